//! The liveness gate: did the server stay up, and did it still answer after the hold period?

use super::{Gate, Verdict, agents, verdict};
use crate::event::BudgetEvidence;
use crate::format;
use crate::outcome::Outcome::{Errored, Failed, Passed, Skipped};
use crate::record::CellRecord;

/// Judges unasked ends of the server and the hold period. Part of the verdict on a budget: a server that
/// restarts its way through 512 MiB does not run in 512 MiB.
pub struct Liveness;

impl Gate for Liveness {
    fn name(&self) -> &'static str {
        "liveness"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        if cell.skipped() {
            return Vec::new();
        }
        let what = "no unasked end of the server";
        let ends = match (cell.unasked_ends(), &cell.budget) {
            (0, Some(_)) => verdict(self, what, Passed, "it ran until it was told to stop"),
            (0, None) => verdict(self, what, Errored, "no evidence was recorded"),
            (ends, _) => {
                let how = cell.deaths.first().map_or("", |d| d.how.as_str());
                let how = if how.is_empty() { "unknown how" } else { how };
                let ends = format::count(ends as usize, "unasked end");
                let mut because = format!("{ends}, the first: {how}");
                // A server that ends by itself before it ever served was not provisioned: a wrong binary, a port
                // in use. Its budget is to blame only where the kernel says so.
                let outcome = if cell
                    .budget
                    .as_ref()
                    .is_some_and(BudgetEvidence::never_served)
                    && !cell.was_oom_killed()
                {
                    because.push_str("; it had never been ready, and no OOM kill was counted");
                    Errored
                } else {
                    Failed
                };
                verdict(self, what, outcome, because)
            }
        };
        let Some(evidence) = &cell.budget else {
            return vec![ends];
        };
        let hold = format::millis(evidence.hold_ms);
        let what = "serving after the hold period";
        let (outcome, because) = match evidence.serving_after_hold {
            Some(true) => (Passed, format!("it answered at the end of {hold}")),
            Some(false) => (Failed, format!("it did not answer at the end of {hold}")),
            None => (Skipped, "there was no hold period".to_owned()),
        };
        let mut verdicts = vec![ends, verdict(self, what, outcome, because)];
        verdicts.extend(evidence.agents.iter().map(|agent| {
            let (what, (outcome, because)) = agents::lived(agent);
            verdict(self, what, outcome, because)
        }));
        verdicts
    }
}
