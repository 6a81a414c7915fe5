//! What kind of history is made.

use reports::history::{Level, Nanos};

/// What kind of history to make.
#[derive(Debug, Clone)]
pub struct Plan {
    pub seed: u64,
    pub clients: u32,
    pub keys: u32,
    pub operations: usize,
    /// Requests of a thousand whose answer is lost.
    pub unknown: u64,
    pub level: Level,
    pub watches: u32,
    /// Time between two requests of a client, at most.
    pub think: Nanos,
    /// A restart in the middle.
    pub fault: bool,
    /// What is wrong with the server: it forgets this many of its last writes at the restart.
    pub forgets: usize,
    /// And begins again at the revision before them.
    pub reuses: bool,
    /// Whether the end was looked at.
    pub final_list: bool,
    pub lists: bool,
    pub deletes: bool,
}
