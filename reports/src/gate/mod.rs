//! Gates: pure judges over a record.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};

mod agents;
pub mod budget;
pub mod checks;
pub mod completeness;
pub mod history;
pub mod liveness;
pub mod statements;

/// A gate's finding on one cell.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// The gate, such as `budget`.
    pub gate: String,
    /// What was judged, such as `peak within 512 MiB`.
    pub what: String,
    /// Its class.
    pub outcome: Outcome,
    /// The figures it rests on, in a sentence.
    pub because: String,
}

/// A pure judge.
pub trait Gate: Sync {
    /// The gate's name.
    fn name(&self) -> &'static str;
    /// Judges one cell. A gate that has nothing to say of a cell returns nothing.
    fn judge(&self, cell: &CellRecord) -> Vec<Verdict>;
}

/// The gates, in the order in which reports show their verdicts.
pub static GATES: &[&dyn Gate] = &[
    &budget::Budget,
    &liveness::Liveness,
    &checks::Checks,
    &statements::Statements,
    &history::Histories,
    &completeness::Completeness,
];

/// Judges every cell with every gate, replacing earlier verdicts: an old run can be judged again.
pub fn judge(run: &mut RunRecord) {
    for cell in &mut run.cells {
        cell.verdicts = GATES.iter().flat_map(|gate| gate.judge(cell)).collect();
    }
}

/// A verdict in the making.
pub(crate) fn verdict(
    gate: &dyn Gate,
    what: impl Into<String>,
    outcome: Outcome,
    because: impl Into<String>,
) -> Verdict {
    Verdict {
        gate: gate.name().to_owned(),
        what: what.into(),
        outcome,
        because: because.into(),
    }
}
