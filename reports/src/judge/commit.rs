//! The versions that keys had, and how what is said stands to them.

use super::claim::Content;
use crate::history::{Key, Nanos, Revision};

/// What became of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// It was current until the next one.
    Stayed,
    /// It was forgotten: what was before it was seen again.
    Lost,
    /// A delete that was undone although later writes stayed.
    Undone,
}

/// A version that a key had.
#[derive(Debug, Clone)]
pub(super) struct Commit {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) content: Content,
    /// The request that wrote it (see `Case::request`), where one is known.
    pub(super) writer: Option<usize>,
    /// When that was sent; 0 where it is unknown.
    pub(super) call: Nanos,
    /// When it was acknowledged; [`Nanos::MAX`] where it never was.
    pub(super) end: Nanos,
    /// From here on somebody knew of it.
    pub(super) known: Nanos,
    /// The latest time at which a read or list was sent that still saw it.
    pub(super) seen: Nanos,
    pub(super) fate: Fate,
}

impl Commit {
    /// Whether the server has told its writer.
    pub(super) fn acknowledged(&self) -> bool {
        self.end != Nanos::MAX
    }
}

/// How a claim stands to the versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is that version.
    Genuine(usize),
    /// Nobody can have caused it.
    Phantom(&'static str),
    /// A better claim says otherwise.
    Contradicted,
}
