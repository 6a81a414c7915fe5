//! One request of one client, and its answer.

use serde::{Deserialize, Serialize};

/// Nanoseconds since the history's origin.
pub type Nanos = u64;
/// A revision of the datastore: etcd's mod revision, Kubernetes' resourceVersion.
pub type Revision = i64;
/// A key, by its number in the history.
pub type Key = u32;
/// A value, by the number that its writer put in front of it. 0 is a value that no client of this history wrote.
pub type ValueId = u64;

/// A value and the revision that wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// The value.
    #[serde(rename = "v")]
    pub value: ValueId,
    /// Its revision.
    #[serde(rename = "r")]
    pub revision: Revision,
}

/// What was asked of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Write it, provided that it does not exist.
    Create {
        /// What to write.
        value: ValueId,
    },
    /// Write it, provided that it is as this revision left it.
    Update {
        /// What to write.
        value: ValueId,
        /// The revision that it must have.
        expected: Revision,
    },
    /// Delete it, provided that it is as this revision left it.
    Delete {
        /// The revision that it must have.
        expected: Revision,
    },
    /// Read it as it is now. Such reads are linearizable in etcd and kine.
    Get,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// The write is committed.
    Written {
        /// Its revision; `None` where the answer does not tell (a delete through the Kubernetes API).
        revision: Option<Revision>,
    },
    /// The condition did not hold, so nothing was written.
    Conflict {
        /// The key as it is, where the answer tells: a failed create never does.
        current: Option<Version>,
        /// The revision at which the condition was looked at, where the answer tells.
        revision: Option<Revision>,
    },
    /// A read's answer.
    Read {
        /// The key as it is; `None`: it does not exist.
        found: Option<Version>,
        /// The revision at which it was read, where the answer tells.
        revision: Option<Revision>,
    },
    /// The server said that it has not done it, so it was not applied.
    Refused {
        /// In its own words, capped.
        reason: String,
    },
    /// Nothing that tells: no answer in time, or a connection that broke. It may have been applied, or be applied later.
    Unknown {
        /// What was seen.
        reason: String,
    },
}

/// One request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
    /// Who asked; a client has one request at a time.
    #[serde(rename = "c")]
    pub client: u32,
    /// When it was sent.
    #[serde(rename = "at")]
    pub call: Nanos,
    /// When the answer was there, or when it was given up.
    #[serde(rename = "end")]
    pub end: Nanos,
    /// The key.
    #[serde(rename = "k")]
    pub key: Key,
    /// What was asked.
    #[serde(rename = "q")]
    pub request: Request,
    /// What was answered.
    #[serde(rename = "a")]
    pub answer: Answer,
}

/// A list of all keys, in one piece or in pages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// Who asked.
    #[serde(rename = "c")]
    pub client: u32,
    /// When the first page was asked for.
    #[serde(rename = "at")]
    pub call: Nanos,
    /// When the last page was there.
    pub end: Nanos,
    /// The revision asked for; `None` for the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<Revision>,
    /// The revision that the list is said to show: that of its first page, for all of them.
    pub revision: Revision,
    /// How many items a page had at most; 0: all in one.
    pub limit: u32,
    /// The number of pages.
    pub pages: u32,
    /// The keys in the order in which they came.
    pub items: Vec<(Key, Version)>,
    /// Names under the prefix that no client of this history ever wrote.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub strangers: Vec<String>,
    /// Whether it is the state at the end, taken when nobody wrote any more.
    #[serde(default, rename = "final", skip_serializing_if = "std::ops::Not::not")]
    pub is_final: bool,
}
