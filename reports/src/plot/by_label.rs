//! Figures against one number that a scenario turned: latency against an injected fsync delay, and sizes on disk as time
//! goes by.

use std::collections::BTreeSet;

use super::compared::{Compared, Panel, panels};
use super::{Plot, Width};
use crate::event::{Latency, Measurement};
use crate::metric::Unit;
use crate::record::RunRecord;
use crate::stats;

const SLOW: &str = "fault_slow_fsync";
const DELAY: &str = "delay_ms";
/// Sizes on disk, and what to call them.
const SIZES: [(&str, &str); 3] = [
    ("database_size", "database, MiB"),
    ("log_size", "write-ahead log, MiB"),
    ("wal_size", "write-ahead log, MiB"),
];
/// Labels that count time or steps.
const STEPS: [(&str, &str); 3] = [
    ("seconds", "seconds"),
    ("minutes", "minutes"),
    ("cycle", "cycle"),
];

/// Latency against the injected delay.
pub(super) fn slow_disk(run: &RunRecord, width: Width) -> Vec<Plot> {
    let of = |l: &Latency| {
        l.scenario == SLOW && number(l.labels.get(DELAY)).is_some() && l.counted() > 0
    };
    let Some(compared) = Compared::of(run, |cell| {
        cell.all.iter().any(|c| c.latencies.iter().any(of))
    }) else {
        return Vec::new();
    };
    let mut page = compared.page(
        width,
        "A slow disk: time of an operation by the delay added to each fsync",
    );
    let panel = |(name, q): (&str, f64)| Panel {
        title: format!("{name} of an operation, ms"),
        across: "delay of an fsync, ms",
        lines: compared.lines(|cell| {
            let delays = cell.all.iter().flat_map(|c| &c.latencies).filter(|l| of(l));
            let delays = distinct(delays.filter_map(|l| number(l.labels.get(DELAY))));
            let at = |delay: f64| {
                let here = |l: &Latency| of(l) && number(l.labels.get(DELAY)) == Some(delay);
                let mut values = Vec::new();
                for record in &cell.all {
                    let mut found = record.latencies.iter().filter(|l| here(l));
                    let Some(mut all) = found.next().cloned() else {
                        continue;
                    };
                    found.for_each(|l| all.merge(l));
                    values.extend(all.quantile_ms(q));
                }
                Some((delay, stats::median(&values)?))
            };
            delays.into_iter().filter_map(at).collect()
        }),
        diagonal: false,
    };
    let all: Vec<Panel<'_>> = [("p50", 0.5), ("p99", 0.99)].map(panel).into();
    panels(&mut page, &all);
    let caption = "medians of the repeats; failed operations are not in it; a p99 of fewer than 100 operations is not given";
    vec![compared.finish(page, "slow-disk", caption)]
}

/// Sizes on disk, one plot a scenario that took them more than once.
pub(super) fn sizes(run: &RunRecord, width: Width) -> Vec<Plot> {
    let measurements = || run.cells.iter().flat_map(|cell| &cell.measurements);
    let mut scenarios: Vec<&str> = Vec::new();
    for m in measurements()
        .filter(|m| SIZES.iter().any(|(name, _)| m.name == *name) && step(m).is_some())
    {
        if !scenarios.contains(&m.scenario.as_str()) {
            scenarios.push(&m.scenario);
        }
    }
    scenarios
        .into_iter()
        .filter_map(|scenario| sizes_of(run, scenario, width))
        .collect()
}

fn sizes_of(run: &RunRecord, scenario: &str, width: Width) -> Option<Plot> {
    let of = |m: &Measurement| {
        m.scenario == scenario
            && m.unit == Unit::Bytes
            && SIZES.iter().any(|(name, _)| m.name == *name)
            && step(m).is_some()
    };
    let compared = Compared::of(run, |cell| {
        cell.all.iter().any(|c| c.measurements.iter().any(of))
    })?;
    let unit = run
        .cells
        .iter()
        .flat_map(|c| &c.measurements)
        .find(|m| of(m))
        .and_then(step)?
        .0;
    let mut page = compared.page(width, &format!("Size on disk over time, {scenario}"));
    let panel = |(name, title): &(&str, &str)| {
        let lines = compared.lines(|cell| {
            let here = |m: &Measurement| of(m) && m.name == *name;
            let all = cell
                .all
                .iter()
                .flat_map(|c| &c.measurements)
                .filter(|m| here(m));
            let steps = distinct(all.filter_map(step).map(|(_, at)| at));
            let at = |at: f64| {
                let values = cell.values(|m| here(m) && step(m).is_some_and(|(_, s)| s == at));
                Some((at, stats::median(&values)? / 1_048_576.0))
            };
            steps.into_iter().filter_map(at).collect()
        });
        Panel {
            title: (*title).to_owned(),
            across: unit,
            lines,
            diagonal: false,
        }
    };
    let all: Vec<Panel<'_>> = SIZES
        .iter()
        .map(panel)
        .filter(|p| p.lines.iter().any(|(_, l)| !l.is_empty()))
        .collect();
    panels(&mut page, &all);
    let name = super::file_name("size", scenario);
    Some(compared.finish(
        page,
        &name,
        "files of the database as the file system tells; medians of the repeats",
    ))
}

fn step(m: &Measurement) -> Option<(&'static str, f64)> {
    STEPS
        .iter()
        .find_map(|(label, unit)| Some((*unit, number(m.labels.get(*label))?)))
}

fn number(text: Option<&String>) -> Option<f64> {
    text?
        .parse::<f64>()
        .ok()
        .filter(|n| n.is_finite() && *n >= 0.0)
}

/// Each number once, ascending.
fn distinct(numbers: impl Iterator<Item = f64>) -> Vec<f64> {
    let bits: BTreeSet<u64> = numbers.map(f64::to_bits).collect();
    // Of numbers that are not negative the order of the bits is theirs.
    bits.into_iter().map(f64::from_bits).collect()
}
