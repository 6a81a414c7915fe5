//! The checks' gate: one verdict per suite over its checks.

use super::{Gate, Verdict, verdict};
use crate::event::CheckFinding;
use crate::figures::Tally;
use crate::outcome::Outcome;
use crate::record::CellRecord;

/// Judges the checks of each suite. A check that examined no facts counts as errored, whatever it says of itself.
pub struct Checks;

impl Gate for Checks {
    fn name(&self) -> &'static str {
        "checks"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        let mut suites: Vec<&str> = Vec::new();
        for check in &cell.checks {
            if !suites.contains(&check.suite.as_str()) {
                suites.push(&check.suite);
            }
        }
        suites
            .into_iter()
            .map(|suite| {
                let checks: Vec<_> = cell.checks.iter().filter(|c| c.suite == suite).collect();
                let tally = Tally::of(checks.iter().map(|c| c.counted()));
                let outcome = outcome(tally);
                let mut because = tally.to_string();
                let worst = checks
                    .iter()
                    .find(|c| outcome > Outcome::Skipped && c.counted() == outcome);
                if let Some(worst) = worst {
                    because.push_str(&first(worst));
                }
                verdict(self, format!("{suite} checks"), outcome, because)
            })
            .collect()
    }
}

fn first(check: &CheckFinding) -> String {
    format!("; the first: {}: {}", check.id, check.why())
}

/// All skipped is skipped and never passed; some skipped beside some passed is passed.
fn outcome(tally: Tally) -> Outcome {
    if tally.failed > 0 {
        Outcome::Failed
    } else if tally.errored > 0 {
        Outcome::Errored
    } else if tally.passed > 0 {
        Outcome::Passed
    } else {
        Outcome::Skipped
    }
}
