//! Which figures a cell has to compare, and which way of each is good.

use std::collections::BTreeMap;

use serde::Serialize;

use super::change::Good;
use crate::event::Latency;
use crate::format;
use crate::metric::Unit;
use crate::repeats::Repeated;
use crate::tables;

/// A figure: what two cells must both have for it to be compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Figure {
    /// The suite.
    pub suite: String,
    /// The scenario; empty for figures of the cell as a whole.
    pub scenario: String,
    /// Its name, in snake case.
    pub name: String,
    /// Its labels: the workload that it is a figure of.
    pub labels: BTreeMap<String, String>,
    /// Its unit.
    #[serde(serialize_with = "unit_name")]
    pub unit: UnitKey,
}

/// A unit that can be a part of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnitKey(pub Unit);

impl PartialOrd for UnitKey {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UnitKey {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        format::unit_name(self.0).cmp(format::unit_name(other.0))
    }
}

fn unit_name<S: serde::Serializer>(unit: &UnitKey, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(format::unit_name(unit.0))
}

/// Words in the names of counts, and which way of them is good.
const BAD: &[&str] = &[
    "error",
    "errors",
    "failed",
    "lost",
    "duplicated",
    "duplicates",
    "unordered",
    "disordered",
    "order",
    "timeouts",
    "unknown",
    "restarts",
    "ends",
    "kills",
    "missing",
    "missed",
    "fsyncs",
    "stale",
    "throttled",
    "backlog",
    "stalls",
];
/// Words in the names of shares and bytes of which more is better.
const GOOD: &[&str] = &["achieved", "held", "available", "answered", "delivered"];
/// Words in the names of memory of a server, where less than 8 MiB is no change.
const MEMORY: &[&str] = &["peak", "anon", "rss", "pss", "usage", "working"];

impl Figure {
    /// The name for people: `write_ladder: create p99 (clients=16)`.
    #[must_use]
    pub fn words(&self) -> String {
        let name = format::labelled(&self.name.replace('_', " "), &self.labels);
        if self.scenario.is_empty() {
            return name;
        }
        format!("{}: {name}", self.scenario)
    }

    fn has(&self, words: &[&str]) -> bool {
        self.name
            .split(['_', ' '])
            .any(|word| words.contains(&word))
    }

    /// Which way of it is good.
    #[must_use]
    pub fn good(&self) -> Good {
        match self.unit.0 {
            _ if self.has(GOOD) => Good::More,
            Unit::PerSecond => Good::More,
            Unit::Bytes
            | Unit::MilliCpu
            | Unit::Milliseconds
            | Unit::Microseconds
            | Unit::Ratio => Good::Less,
            Unit::Count if self.has(BAD) => Good::Less,
            Unit::Count => Good::Unknown,
        }
    }

    /// The least change of its median that is worth a sentence: 3 % of bytes, and of a server's memory at least 8 MiB;
    /// 10 % of times, rates and shares; of counts, any.
    #[must_use]
    pub fn smallest(&self, median: f64) -> f64 {
        let share = |part: f64| median.abs() * part;
        match self.unit.0 {
            Unit::Bytes if self.has(MEMORY) => share(0.03).max(8.0 * 1_048_576.0),
            Unit::Bytes => share(0.03),
            Unit::Count => 0.0,
            _ => share(0.1),
        }
    }

    /// Whether it is a time, or made of one: of an emulated cell it says nothing.
    #[must_use]
    pub fn is_time(&self) -> bool {
        matches!(
            self.unit.0,
            Unit::Milliseconds | Unit::Microseconds | Unit::PerSecond | Unit::MilliCpu
        ) || self.name.contains("per_second")
            || self.name.contains("per_day")
    }
}

/// What is read from a latency distribution.
type Reading = (&'static str, Unit, fn(&Latency) -> Option<f64>);

const READINGS: [Reading; 4] = [
    ("rate", Unit::PerSecond, Latency::per_second),
    ("p50", Unit::Milliseconds, |l| l.quantile_ms(0.5)),
    ("p99", Unit::Milliseconds, |l| l.quantile_ms(0.99)),
    ("errors", Unit::Ratio, |l| {
        let all = l.count.saturating_add(l.errors);
        (all > 0).then(|| l.errors as f64 / all as f64)
    }),
];

/// The figures of a cell with their values, one a repeat.
#[must_use]
pub fn of(cell: &Repeated<'_>) -> BTreeMap<Figure, Vec<f64>> {
    let mut found = BTreeMap::new();
    for m in cell.all.iter().flat_map(|record| &record.measurements) {
        let figure = Figure {
            suite: m.suite.clone(),
            scenario: m.scenario.clone(),
            name: m.name.clone(),
            labels: m.labels.clone(),
            unit: UnitKey(m.unit),
        };
        found.entry(figure).or_insert_with_key(|figure| {
            cell.values(|m| {
                (&m.suite, &m.scenario, &m.name) == (&figure.suite, &figure.scenario, &figure.name)
                    && m.labels == figure.labels
                    && m.unit == figure.unit.0
            })
        });
    }
    for l in tables::merged(cell.all.iter().flat_map(|record| &record.latencies)) {
        for (name, unit, read) in READINGS {
            let same = |other: &Latency| {
                (&other.suite, &other.scenario, &other.operation)
                    == (&l.suite, &l.scenario, &l.operation)
                    && other.labels == l.labels
            };
            let values = cell.values_of_latency(same, read);
            if values.is_empty() {
                continue;
            }
            let figure = Figure {
                suite: l.suite.clone(),
                scenario: l.scenario.clone(),
                name: format!("{} {name}", l.operation),
                labels: l.labels.clone(),
                unit: UnitKey(unit),
            };
            found.insert(figure, values);
        }
    }
    let peaks: Vec<f64> = cell
        .all
        .iter()
        .filter_map(|record| Some(record.peak()?.bytes))
        .collect();
    if !peaks.is_empty() {
        let figure = Figure {
            suite: "footprint".into(),
            scenario: String::new(),
            name: "peak_memory".into(),
            labels: BTreeMap::new(),
            unit: UnitKey(Unit::Bytes),
        };
        found.insert(figure, peaks);
    }
    found.retain(|_, values| !values.is_empty());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_way_is_good_is_told_by_unit_and_name() {
        let figure = |name: &str, unit| Figure {
            suite: "datastore".into(),
            scenario: "watch_fanout".into(),
            name: name.into(),
            labels: BTreeMap::new(),
            unit: UnitKey(unit),
        };
        for (name, unit, good) in [
            ("knee", Unit::PerSecond, Good::More),
            ("create p99", Unit::Milliseconds, Good::Less),
            ("create errors", Unit::Ratio, Good::Less),
            ("achieved", Unit::Ratio, Good::More),
            ("events_lost", Unit::Count, Good::Less),
            ("watchers", Unit::Count, Good::Unknown),
            ("available_by_sampler", Unit::Bytes, Good::More),
        ] {
            assert_eq!(figure(name, unit).good(), good, "{name}");
        }
        assert_eq!(
            figure("working_set", Unit::Bytes).smallest(1e6),
            8.0 * 1_048_576.0
        );
        assert_eq!(figure("lost", Unit::Count).smallest(1e6), 0.0);
        assert!(figure("written_per_day", Unit::Bytes).is_time());
    }
}
