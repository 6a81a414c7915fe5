//! A line of a history's file.

use serde::{Deserialize, Serialize};

use super::{Listing, Nanos, Operation, Watched};

/// How the datastore was spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// etcd's protocol, straight to the datastore.
    Datastore,
    /// The Kubernetes API.
    Api,
}

/// The first line: what the history is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// How the datastore was spoken to.
    pub level: Level,
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// Which part of it, such as `fault` or `control`.
    pub part: String,
    /// The name of key `n` is the `n`-th, for as many as the workload has.
    pub keys: Vec<String>,
    /// The revision before the first operation.
    pub revision: i64,
    /// Fewer acknowledged writes than this say nothing: before, during and after the fault, or in all where there is
    /// none.
    pub floor: u64,
}

/// Something that was done to the server, or seen of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// When.
    pub at: Nanos,
    /// What.
    pub kind: MarkKind,
    /// What shows it: pids, counters, the kernel's words.
    pub witness: String,
}

/// What a mark says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// A fault began, such as `kill`, `freeze`, `disk_full`.
    FaultBegan(String),
    /// It ended: from here on the server may be asked to recover.
    FaultEnded(String),
    /// The server was compacted up to this revision, as far as it tells.
    Compacted(i64),
    /// The server answered its first write after the fault.
    Recovered,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Line {
    /// The first one.
    Header(Header),
    /// A request is about to be sent. Written only so that what was under way when the recorder died is known to be
    /// unknown; an [`Line::Op`] of the same client replaces it.
    Intent(Operation),
    /// A request and its answer.
    Op(Operation),
    /// A list.
    List(Listing),
    /// Something that happened to a watch.
    Watch(Watched),
    /// Something that was done to the server.
    Mark(Mark),
    /// The last one, when the history was closed in order.
    Closed {
        /// When.
        at: Nanos,
    },
}
