//! The four outcomes and their order.

use serde::{Deserialize, Serialize};

/// The class of a finding. A harness fault never reads as a product fault, nor as a pass.
///
/// The order is the order of gravity: folding outcomes takes the greatest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was examined and it holds.
    Passed,
    /// It was not examined, for a stated reason.
    Skipped,
    /// It could not be examined: the instrument or its surroundings failed.
    Errored,
    /// It was examined and it does not hold.
    Failed,
}

impl Outcome {
    /// The lower-case word used in every output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Errored => "errored",
            Self::Failed => "failed",
        }
    }
}
