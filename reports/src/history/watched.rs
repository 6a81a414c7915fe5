//! What a watch delivered.

use serde::{Deserialize, Serialize};

use super::{Key, Nanos, Revision, ValueId};

/// One thing that happened to a watch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Which watch; a watch that was begun again after its end is another one.
    #[serde(rename = "w")]
    pub watch: u32,
    /// When it was seen.
    pub at: Nanos,
    /// What.
    #[serde(rename = "s")]
    pub kind: WatchedKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchedKind {
    /// The server has confirmed it: every change from this revision on is to be delivered, of all keys.
    Began {
        /// The first revision that it may deliver.
        from: Revision,
        /// The watch that it goes on for, if it resumes one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        resumes: Option<u32>,
    },
    /// A change.
    Changed {
        /// The key.
        #[serde(rename = "k")]
        key: Key,
        /// What became of it.
        change: Change,
        /// The change's revision.
        #[serde(rename = "r")]
        revision: Revision,
    },
    /// Everything up to this revision has been delivered: etcd's progress, Kubernetes' bookmark.
    Bookmark {
        /// That revision.
        #[serde(rename = "r")]
        revision: Revision,
    },
    /// A change of a key that no client of this history ever wrote.
    Stranger {
        /// Its name, capped.
        name: String,
        /// The change's revision.
        #[serde(rename = "r")]
        revision: Revision,
    },
    /// It ended.
    Ended {
        /// `compacted`, `closed` (by the reader), or the server's words, capped.
        how: String,
    },
}

/// What became of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It was created or updated.
    Put {
        /// The value.
        #[serde(rename = "v")]
        value: ValueId,
    },
    /// It was deleted.
    Delete,
}
