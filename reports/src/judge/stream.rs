//! The watches of a history, each with what it delivered, in the order of its arrival.

use std::collections::BTreeMap;

use super::case::{Case, Commit, Fate};
use crate::history::{Nanos, Revision, Watched, WatchedKind};

/// One watch.
pub(super) struct Stream<'a> {
    pub(super) watch: u32,
    /// When the server confirmed it, and the first revision that it may deliver.
    pub(super) began: Option<(Nanos, Revision)>,
    /// All of it, with its index among what was watched.
    pub(super) watched: Vec<(usize, &'a Watched)>,
    pub(super) ended: Option<Nanos>,
}

/// The watches, by number.
pub(super) fn all<'a>(case: &Case<'a>) -> Vec<Stream<'a>> {
    let mut streams: BTreeMap<u32, Stream<'a>> = BTreeMap::new();
    for (index, watched) in case.history.watched.iter().enumerate() {
        let stream = streams.entry(watched.watch).or_insert_with(|| Stream {
            watch: watched.watch,
            began: None,
            watched: Vec::new(),
            ended: None,
        });
        match watched.kind {
            WatchedKind::Began { from, .. } => stream.began = Some((watched.at, from)),
            WatchedKind::Ended { .. } => stream.ended = Some(watched.at),
            _ => {}
        }
        stream.watched.push((index, watched));
    }
    streams.into_values().collect()
}

/// Every version that a watch of all keys must deliver, by revision.
pub(super) fn deliverable<'c>(case: &'c Case<'_>) -> Vec<&'c Commit> {
    let header = case.history.header.revision;
    let mut commits: Vec<&Commit> = case
        .by_key
        .iter()
        .flatten()
        .map(|index| &case.commits[*index])
        .filter(|commit| {
            commit.fate != Fate::Lost
                && commit.revision > header
                && commit.writer.is_some()
                && !case.tainted.contains(&commit.revision)
        })
        .collect();
    commits.sort_unstable_by_key(|commit| commit.revision);
    commits
}
