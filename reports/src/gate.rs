//! Gates: pure judges over a record.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;
use crate::record::CellRecord;

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
