//! The questions of whoever must choose a datastore.

use std::collections::BTreeSet;

use serde::Serialize;

use super::answers::{self, FAULTS, LADDER, Values};
use crate::compare::Good;
use crate::event::Latency;
use crate::format;
use crate::metric::Unit;
use crate::repeats::Repeated;

/// How values are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// In a unit of the record.
    In(Unit),
    /// Bytes as decimal gigabytes, as the makers of memory cards count them.
    Gigabytes,
}

impl Show {
    /// A value in words.
    #[must_use]
    pub fn value(self, value: f64) -> String {
        match self {
            Self::In(unit) => format::value(value, unit),
            Self::Gigabytes => format!("{} GB", format::number(value / 1e9)),
        }
    }
}

/// How an answer is read from a cell.
type Reader<'a> = Box<dyn Fn(&Repeated<'_>) -> Values + 'a>;

/// A question.
pub struct Question<'a> {
    /// Get, pay, or what happens when things go wrong.
    pub section: &'static str,
    /// The question.
    pub words: String,
    /// How its values are shown.
    pub show: Show,
    /// Which way is good.
    pub good: Good,
    /// Reads the answer.
    pub of: Reader<'a>,
}

impl Question<'_> {
    /// The least difference that is worth a sentence.
    #[must_use]
    pub fn smallest(&self, median: f64) -> f64 {
        match self.show {
            Show::In(Unit::Count) => 0.0,
            Show::In(Unit::Bytes) | Show::Gigabytes => median.abs() * 0.03,
            Show::In(_) => median.abs() * 0.1,
        }
    }
}

const GET: &str = "What you get";
const PAY: &str = "What you pay";
const BREAK: &str = "When things go wrong";

/// All questions that make sense for a group. What no cell of it could have is asked nevertheless: a gap must be seen.
pub fn all<'a>(group: &[Repeated<'_>]) -> Vec<Question<'a>> {
    let mut all: Vec<Question<'a>> = Vec::new();
    let mut ask = |section, words: String, show, good, of: Reader<'a>| {
        all.push(Question {
            section,
            words,
            show,
            good,
            of,
        });
    };
    let rate = Show::In(Unit::PerSecond);
    let time = Show::In(Unit::Milliseconds);
    let bytes = Show::In(Unit::Bytes);
    for level in levels(group) {
        let at = match level.as_deref() {
            Some("api") => " (through the Kubernetes API)".to_owned(),
            Some("datastore") => " (straight to the datastore)".to_owned(),
            Some(other) => format!(" ({other})"),
            None => String::new(),
        };
        let of = level.clone();
        ask(
            GET,
            format!("writes a second, one client{at}"),
            rate,
            Good::More,
            Box::new(move |c| answers::one_client(c, of.as_deref())),
        );
        let of = level.clone();
        ask(
            GET,
            format!("writes a second at the knee{at}"),
            rate,
            Good::More,
            Box::new(move |c| answers::knee(c, of.as_deref())),
        );
        let of = level.clone();
        ask(
            GET,
            format!("p99 of a write at half the knee{at}"),
            time,
            Good::Less,
            Box::new(move |c| answers::half_knee_p99(c, of.as_deref())),
        );
    }
    for (scenario, operation, label, words) in [
        ("read_list_scaling", "list", "objects", "p50 of a list of"),
        (
            "watch_fanout",
            "delivery",
            "watchers",
            "p50 of an event's way to each of",
        ),
    ] {
        if let Some(most) = greatest(group, scenario, operation, label) {
            let of = move |l: &Latency| l.operation == operation && number(l, label) == Some(most);
            let words = format!("{words} {} {label}", format::number(most as f64));
            ask(
                GET,
                words,
                time,
                Good::Less,
                Box::new(move |c| answers::quantile(c, scenario, of, 0.5)),
            );
        }
    }
    ask(
        PAY,
        "memory while idle (working set)".into(),
        bytes,
        Good::Less,
        Box::new(answers::idle_memory),
    );
    ask(
        PAY,
        "memory under load (working set)".into(),
        bytes,
        Good::Less,
        Box::new(answers::loaded_memory),
    );
    ask(
        PAY,
        "bytes written to the disk for a write".into(),
        bytes,
        Good::Less,
        Box::new(|c| answers::per_write(c, "written_per_write")),
    );
    ask(
        PAY,
        "fsyncs for a write".into(),
        Show::In(Unit::Count),
        Good::Less,
        Box::new(|c| answers::per_write(c, "fsyncs_per_write")),
    );
    ask(
        PAY,
        "written a day while idle".into(),
        Show::Gigabytes,
        Good::Less,
        Box::new(|c| answers::a_day(c, Unit::Bytes, "idle")),
    );
    ask(
        PAY,
        "written a day under load".into(),
        Show::Gigabytes,
        Good::Less,
        Box::new(|c| answers::a_day(c, Unit::Bytes, "load")),
    );
    ask(
        PAY,
        "fsyncs a day while idle".into(),
        Show::In(Unit::Count),
        Good::Less,
        Box::new(|c| answers::a_day(c, Unit::Count, "idle")),
    );
    let ran = |fault: &str| {
        let scenarios = group
            .iter()
            .flat_map(|cell| &cell.all)
            .flat_map(|record| &record.scenarios);
        scenarios.into_iter().any(|s| s.scenario == fault)
    };
    if !FAULTS.iter().any(|(fault, _)| ran(fault)) {
        let none = |_: &Repeated<'_>| {
            Err("no fault was injected: the scenarios fault_* were not run".to_owned())
        };
        ask(
            BREAK,
            "acknowledged writes lost, and time until it serves again".into(),
            Show::In(Unit::Count),
            Good::Less,
            Box::new(none),
        );
        return all;
    }
    for (fault, words) in FAULTS {
        let lost = format!("acknowledged writes lost by {words}");
        ask(
            BREAK,
            lost,
            Show::In(Unit::Count),
            Good::Less,
            Box::new(move |c| answers::lost(c, fault)),
        );
        let again = format!("first write after {words}");
        ask(
            BREAK,
            again,
            time,
            Good::Less,
            Box::new(move |c| answers::recovery(c, fault, "recovery_first_write")),
        );
    }
    all
}

/// The levels at which the ladder wrote: datastore before API; one without a name where there is none.
pub fn levels(group: &[Repeated<'_>]) -> Vec<Option<String>> {
    let latencies = group
        .iter()
        .flat_map(|cell| &cell.all)
        .flat_map(|record| &record.latencies);
    let found: BTreeSet<Option<String>> = latencies
        .filter(|l| l.scenario == LADDER)
        .map(|l| l.labels.get("level").cloned())
        .collect();
    if found.is_empty() {
        return vec![None];
    }
    found.into_iter().rev().collect()
}

fn number(l: &Latency, label: &str) -> Option<u64> {
    l.labels.get(label)?.parse().ok()
}

/// The greatest value of a label that every cell of a group has which has any.
fn greatest(group: &[Repeated<'_>], scenario: &str, operation: &str, label: &str) -> Option<u64> {
    let of = |cell: &Repeated<'_>| -> BTreeSet<u64> {
        let latencies = cell.all.iter().flat_map(|record| &record.latencies);
        latencies
            .filter(|l| l.scenario == scenario && l.operation == operation)
            .filter_map(|l| number(l, label))
            .collect()
    };
    let sets = group.iter().map(of).filter(|set| !set.is_empty());
    let common = sets.reduce(|a, b| a.intersection(&b).copied().collect())?;
    common.last().copied()
}
