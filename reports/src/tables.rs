//! The tables that several formats share. Cells of a table are raw text: each format escapes them.

use crate::event::{Latency, Measurement};
use crate::figures::Tally;
use crate::format;
use crate::latency::QUANTILES;
use crate::official::{Count, State};
use crate::overview::cell_outcome;
use crate::record::{CellRecord, RunRecord};
use crate::repeats::{self, Repeated};
use crate::stats;

/// A table of text.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Table {
    /// Its heading.
    pub title: String,
    /// Column heads.
    pub head: Vec<String>,
    /// Rows, each as long as the head.
    pub rows: Vec<Vec<String>>,
}

/// What stands in a cell without a figure.
pub const NONE: &str = "-";

/// One row per cell of the run: budget, peak, ready time, checks, verdict.
#[must_use]
pub fn cells(run: &RunRecord) -> Table {
    let rows = run.cells.iter().map(|cell| {
        let tally = Tally::checks([cell]);
        vec![
            cell.id.clone(),
            cell_outcome(cell).word().to_owned(),
            peak(cell),
            limit(cell),
            ready(cell).unwrap_or(NONE.into()),
            tally.passed.to_string(),
            tally.failed.to_string(),
            tally.skipped.to_string(),
            tally.errored.to_string(),
        ]
    });
    Table {
        title: "Cells".into(),
        head: strings(&[
            "cell", "outcome", "peak", "limit", "ready", "passed", "failed", "skipped", "errored",
        ]),
        rows: rows.collect(),
    }
}

/// The peak with its source where it is not the kernel's own.
#[must_use]
pub fn peak(cell: &CellRecord) -> String {
    use crate::figures::PeakSource::{
        Kernel, ResidentPeaks, SampledMachine, SampledRss, SampledUsage,
    };
    cell.peak().map_or(NONE.into(), |peak| {
        let bytes = format::bytes(peak.bytes);
        match peak.source {
            Kernel => bytes,
            SampledMachine => format!("{bytes} (sampled, whole machine)"),
            SampledUsage => format!("{bytes} (sampled usage)"),
            ResidentPeaks => format!("{bytes} (resident sets, added up)"),
            SampledRss => format!("{bytes} (sampled RSS)"),
        }
    })
}

/// Time to ready, how many starts stand behind it, and whether it is no figure of any board since the
/// target emulates its processor.
#[must_use]
pub fn ready(cell: &CellRecord) -> Option<String> {
    let (ms, starts) = cell.time_to_ready()?;
    let mut text = format::millis(ms);
    if starts > 1 {
        text.push_str(&format!(" (median of {starts})"));
    }
    if cell.spec.emulated {
        text.push_str(" (emulated, not a performance figure)");
    }
    Some(text)
}

/// The memory limit, and whether it was only observed.
#[must_use]
pub fn limit(cell: &CellRecord) -> String {
    let Some(limit) = cell.spec.budget.memory_bytes else {
        return "unlimited".into();
    };
    let limit = format::bytes(limit as f64);
    match &cell.budget {
        Some(evidence) if !evidence.enforced => format!("{limit} (observed)"),
        _ => limit,
    }
}

/// Latency distributions, those of the same operation and labels merged, in order of appearance.
#[must_use]
pub fn merged<'a>(latencies: impl IntoIterator<Item = &'a Latency>) -> Vec<Latency> {
    let mut all: Vec<Latency> = Vec::new();
    for latency in latencies {
        let same = all.iter_mut().find(|l| {
            l.suite == latency.suite
                && l.scenario == latency.scenario
                && l.operation == latency.operation
                && l.labels == latency.labels
        });
        match same {
            Some(known) => known.merge(latency),
            None => all.push(latency.clone()),
        }
    }
    all
}

/// SQLite beside etcd: one table for each group of cells that differ in nothing but the datastore, repeats merged.
#[must_use]
pub fn datastores(run: &RunRecord) -> Vec<Table> {
    let mut tables = Vec::new();
    for group in crate::stores::groups(run) {
        let stores: Vec<(&CellRecord, Vec<Latency>)> = group
            .iter()
            .map(|cell| (cell.first(), cell.merged()))
            .filter(|(_, latencies)| !latencies.is_empty())
            .collect();
        let Some((first, _)) = stores.first() else {
            continue;
        };
        let mut keys: Vec<(String, String)> = Vec::new();
        for latency in stores.iter().flat_map(|(_, latencies)| latencies) {
            let key = (latency.scenario.clone(), latency.key());
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        let mut head = strings(&["operation"]);
        for figure in ["ops/s", "p50", "p99", "errors"] {
            head.extend(
                stores
                    .iter()
                    .map(|(cell, _)| format!("{figure} {}", cell.spec.datastore)),
            );
        }
        let rows = keys.into_iter().map(|(scenario, key)| {
            let mut row = vec![format!("{scenario}: {key}")];
            let figures: [fn(&Latency) -> String; 4] = [
                |l| optional(l.per_second().map(format::number)),
                |l| optional(l.quantile_ms(0.5).map(format::millis)),
                |l| optional(l.quantile_ms(0.99).map(format::millis)),
                |l| format::number(l.errors as f64),
            ];
            for figure in figures {
                row.extend(stores.iter().map(|(_, latencies)| {
                    latencies
                        .iter()
                        .find(|l| l.scenario == scenario && l.key() == key)
                        .map_or(NONE.into(), figure)
                }));
            }
            row
        });
        tables.push(Table {
            title: format!(
                "{}, {}, {}",
                first.spec.distribution, first.spec.budget, first.spec.target
            ),
            rows: rows.collect(),
            head,
        });
    }
    tables
}

/// All latency distributions with counts and all four quantiles.
#[must_use]
pub fn latencies(run: &RunRecord) -> Table {
    let mut head = strings(&["cell", "operation", "n", "errors", "ops/s"]);
    head.extend(QUANTILES.map(|(name, ..)| name.to_owned()));
    head.push("max".into());
    let mut rows = Vec::new();
    for cell in repeats::cells(run) {
        for latency in cell.merged() {
            let mut row = vec![
                cell.id.to_owned(),
                format!("{}: {}", latency.scenario, latency.key()),
                format::number(latency.count as f64),
                format::number(latency.errors as f64),
                optional(latency.per_second().map(format::number)),
            ];
            row.extend(
                latency
                    .quantiles_ms()
                    .map(|q| optional(q.map(format::millis))),
            );
            row.push(format::millis(latency.max_us as f64 / 1000.0));
            rows.push(row);
        }
    }
    Table {
        title: "Latencies".into(),
        head,
        rows,
    }
}

/// One table per suite: figures down, cells across, repeats together; the median where a figure was taken more than
/// once.
#[must_use]
pub fn measurements(run: &RunRecord) -> Vec<Table> {
    let all = || run.cells.iter().flat_map(|cell| &cell.measurements);
    let mut suites: Vec<&str> = Vec::new();
    for m in all() {
        if !suites.contains(&m.suite.as_str()) {
            suites.push(&m.suite);
        }
    }
    let cells = repeats::cells(run);
    let table = |suite: &str| {
        let mut keys: Vec<&Measurement> = Vec::new();
        for m in all().filter(|m| m.suite == suite) {
            if !keys.iter().any(|k| same_figure(k, m)) {
                keys.push(m);
            }
        }
        let mut head = strings(&["scenario", "figure"]);
        head.extend(cells.iter().map(|cell| cell.id.to_owned()));
        let rows = keys.into_iter().map(|key| {
            let figure = format::labelled(&key.name.replace('_', " "), &key.labels);
            let mut row = vec![key.scenario.clone(), figure];
            row.extend(cells.iter().map(|cell| figure_of(cell, key)));
            row
        });
        Table {
            title: suite.to_owned(),
            rows: rows.collect(),
            head,
        }
    };
    suites.into_iter().map(table).collect()
}

fn same_figure(a: &Measurement, b: &Measurement) -> bool {
    a.suite == b.suite
        && a.scenario == b.scenario
        && a.name == b.name
        && a.unit == b.unit
        && a.labels == b.labels
}

fn figure_of(cell: &Repeated<'_>, key: &Measurement) -> String {
    let values = stats::finite(cell.values(|m| same_figure(m, key)));
    match (values.as_slice(), stats::quantile(&values, 0.5)) {
        ([one], _) => format::value(*one, key.unit),
        ([least, .., greatest], Some(median)) => format!(
            "{} (n={}, {} to {})",
            format::value(median, key.unit),
            values.len(),
            format::value(*least, key.unit),
            format::value(*greatest, key.unit)
        ),
        _ => NONE.into(),
    }
}

/// The three numbers of each cell that has a list: of names, of names, and of checks. They are never added up.
#[must_use]
pub fn official(run: &RunRecord) -> Table {
    let mut rows = Vec::new();
    for cell in &run.cells {
        let (Some(list), Some(numbers)) = (&cell.official, cell.numbers()) else {
            continue;
        };
        let version = list
            .minor
            .map_or(NONE.into(), |minor| format!("v1.{minor}"));
        let names = |what: &str, count: Count| {
            let passed = format!("{} of {} names", count.passed, count.total);
            let others = State::ALL
                .into_iter()
                .filter(|state| *state != State::Passed);
            let others = others.map(|state| count.of(state).to_string());
            let row = [cell.id.clone(), version.clone(), what.to_owned(), passed];
            row.into_iter().chain(others).collect::<Vec<_>>()
        };
        rows.push(names("official", numbers.official));
        rows.push(names("restated", numbers.restated));
        let beyond = numbers.beyond;
        let mut row = vec![cell.id.clone(), version.clone(), "beyond".to_owned()];
        row.push(format!("{} of {} checks", beyond.passed, beyond.total()));
        row.extend([beyond.failed, beyond.errored, beyond.skipped].map(|n| n.to_string()));
        row.resize(State::ALL.len() + 3, NONE.into());
        rows.push(row);
    }
    let mut head = strings(&["cell", "list", "of", "passed"]);
    let others = State::ALL
        .into_iter()
        .filter(|state| *state != State::Passed);
    head.extend(others.map(|state| state.words().to_owned()));
    Table {
        title: "Official conformance tests".into(),
        head,
        rows,
    }
}

fn optional(text: Option<String>) -> String {
    text.unwrap_or(NONE.into())
}

fn strings(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}
