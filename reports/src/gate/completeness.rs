//! The completeness gate: did the cell do what it set out to do, and say so?

use super::{Gate, Verdict, verdict};
use crate::outcome::Outcome::{Errored, Failed, Passed, Skipped};
use crate::record::CellRecord;

/// Judges the cell's own end and those of its scenarios. Silence is never a pass.
pub struct Completeness;

impl Gate for Completeness {
    fn name(&self) -> &'static str {
        "completeness"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        let reason = |given: &Option<String>| match given.as_deref() {
            Some(reason) if !reason.trim().is_empty() => reason.to_owned(),
            _ => "no reason was recorded".to_owned(),
        };
        let what = "the cell ran to its end";
        let end = match cell.outcome {
            None => (Errored, "it died without reporting".to_owned()),
            Some(Skipped) => (Skipped, reason(&cell.reason)),
            Some(Errored) => (Errored, reason(&cell.reason)),
            Some(Passed | Failed) if !cell.examined_something() => (
                Errored,
                "it recorded no check and no measurement".to_owned(),
            ),
            // A failed cell says that something in it failed; where nothing recorded did, the cell itself does.
            Some(Failed) if !cell.has_own_failure() => (Failed, reason(&cell.reason)),
            Some(Passed | Failed) => (Passed, "it reported its end".to_owned()),
        };
        let mut verdicts = vec![verdict(self, what, end.0, end.1)];
        for scenario in cell.scenarios.iter().filter(|s| s.outcome != Passed) {
            let what = format!("{}/{}", scenario.suite, scenario.scenario);
            verdicts.push(verdict(
                self,
                what,
                scenario.outcome,
                reason(&scenario.reason),
            ));
        }
        verdicts
    }
}

impl CellRecord {
    /// Whether a check, a scenario or the server itself failed by its own record.
    fn has_own_failure(&self) -> bool {
        self.checks.iter().any(|c| c.counted() >= Errored)
            || self.scenarios.iter().any(|s| s.outcome >= Errored)
            || self.unasked_ends() > 0
            || self.was_oom_killed()
    }
}
