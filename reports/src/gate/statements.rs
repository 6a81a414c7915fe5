//! The statements' gate: what scenarios state of the server must be so.

use super::{Gate, Verdict, verdict};
use crate::format;
use crate::outcome::Outcome;
use crate::record::CellRecord;

/// Judges each statement by itself. One that rests on no fact is errored, whatever it says.
pub struct Statements;

impl Gate for Statements {
    fn name(&self) -> &'static str {
        "statements"
    }

    fn judge(&self, cell: &CellRecord) -> Vec<Verdict> {
        let verdicts = cell.statements.iter().map(|statement| {
            let outcome = match (statement.facts, statement.holds) {
                (0, _) => Outcome::Errored,
                (_, true) => Outcome::Passed,
                (_, false) => Outcome::Failed,
            };
            let what = format!(
                "{}/{}: {}",
                statement.suite, statement.scenario, statement.name
            );
            let facts = format::count(
                usize::try_from(statement.facts).unwrap_or(usize::MAX),
                "fact",
            );
            verdict(
                self,
                what,
                outcome,
                format!("{} ({facts})", statement.because),
            )
        });
        verdicts.collect()
    }
}
