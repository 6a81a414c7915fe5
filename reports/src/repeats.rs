//! Repeats: a cell that was made several times over, each time with a fresh server, is one thing to a reader.

use crate::event::{Latency, Measurement};
use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};
use crate::tables;

/// The id of a cell's repeat, counted from 0: people count from 1, so that the second is `…-r2`.
#[must_use]
pub fn id(cell: &str, repeat: u32) -> String {
    match repeat {
        0 => cell.to_owned(),
        nth => format!("{cell}-r{}", u64::from(nth) + 1),
    }
}

impl CellRecord {
    /// Its id without the number of its repeat.
    #[must_use]
    pub fn base_id(&self) -> &str {
        let end = id("", self.spec.repeat);
        self.id.strip_suffix(&end).unwrap_or(&self.id)
    }
}

/// A cell with its repeats.
#[derive(Debug, Clone)]
pub struct Repeated<'a> {
    /// Its id, without the number of a repeat.
    pub id: &'a str,
    /// The records of it, in order of their start; at least one.
    pub all: Vec<&'a CellRecord>,
}

/// The cells of a run, each with its repeats, in order of appearance.
#[must_use]
pub fn cells(run: &RunRecord) -> Vec<Repeated<'_>> {
    let mut found: Vec<Repeated<'_>> = Vec::new();
    for cell in &run.cells {
        match found.iter_mut().find(|known| known.id == cell.base_id()) {
            Some(known) => known.all.push(cell),
            None => found.push(Repeated {
                id: cell.base_id(),
                all: vec![cell],
            }),
        }
    }
    found
}

impl<'a> Repeated<'a> {
    /// The record that stands for all where one must: the first.
    #[must_use]
    pub fn first(&self) -> &'a CellRecord {
        self.all[0]
    }

    /// The latency distributions of all repeats, those of the same operation and labels merged.
    #[must_use]
    pub fn merged(&self) -> Vec<Latency> {
        tables::merged(self.all.iter().flat_map(|cell| &cell.latencies))
    }

    /// One value a repeat: the median of what that repeat has measured of a figure. The repeats are what is drawn
    /// independently; a repeat that measured it thrice does not count thrice. Where there was one repeat only, the
    /// values that it took itself.
    #[must_use]
    pub fn values(&self, of: impl Fn(&Measurement) -> bool) -> Vec<f64> {
        let each = self.all.iter().map(|cell| {
            let found = cell.measurements.iter().filter(|m| of(m));
            found.map(|m| m.value).filter(|v| v.is_finite()).collect()
        });
        one_a_repeat(each.collect())
    }

    /// The same of a figure that is read from a distribution; a repeat's own distributions of the same operation and
    /// labels are merged.
    #[must_use]
    pub fn values_of_latency(
        &self,
        of: impl Fn(&Latency) -> bool,
        figure: impl Fn(&Latency) -> Option<f64>,
    ) -> Vec<f64> {
        let each = self.all.iter().map(|cell| {
            let merged = tables::merged(cell.latencies.iter().filter(|l| of(l)));
            let values = merged.iter().filter_map(&figure);
            values.filter(|v| v.is_finite()).collect()
        });
        one_a_repeat(each.collect())
    }

    /// How a scenario ended that did not pass, and why, or that it was not run.
    #[must_use]
    pub fn why_not(&self, scenario: &str) -> Option<String> {
        let ends = || {
            let scenarios = self.all.iter().flat_map(|cell| &cell.scenarios);
            scenarios.filter(|s| s.scenario == scenario)
        };
        if let Some(bad) = ends().find(|s| s.outcome != Outcome::Passed) {
            let reason = bad.reason.as_deref().unwrap_or("no reason was recorded");
            return Some(format!("{scenario} was {}: {reason}", bad.outcome.word()));
        }
        if ends().next().is_some() {
            return None;
        }
        let cell = self.first();
        Some(match (&cell.outcome, &cell.reason) {
            (Some(Outcome::Skipped), Some(reason)) => format!("the cell was skipped: {reason}"),
            (None | Some(Outcome::Errored), reason) => format!(
                "{scenario} was not reached: {}",
                reason
                    .as_deref()
                    .unwrap_or("the cell died without reporting")
            ),
            _ => format!("{scenario} was not run"),
        })
    }
}

/// One value for each of several repeats, or all values of a single one.
fn one_a_repeat(mut each: Vec<Vec<f64>>) -> Vec<f64> {
    if each.len() == 1 {
        return each.remove(0);
    }
    each.iter()
        .filter_map(|values| crate::stats::median(values))
        .collect()
}
