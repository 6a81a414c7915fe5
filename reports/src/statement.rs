//! Statements: what a scenario says of the server, to be judged.
//!
//! A scenario only records, so it cannot fail by itself: one that returns an error could not measure. What it found
//! true or false of the server it states with the facts that it looked at, and [`crate::gate::statements`] judges.

use serde::{Deserialize, Serialize};

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// What must be true, such as `no change is lost`.
    pub name: String,
    /// Whether it is.
    pub holds: bool,
    /// How many facts were looked at; none is never a pass.
    pub facts: u64,
    /// The figures that it rests on, in a sentence.
    pub because: String,
}
