//! While there are writes, a watch that lives sees them, within five seconds.
//!
//! That a watch is silent is no gap in what it delivered, so the judge of watches cannot see it: a server whose writes
//! and reads are fine while every watcher waits for ever is a defect of its own (kine pull request 759).

use super::case::{Case, Commit};
use super::finding::Tally;
use super::stream::{self, Stream};
use super::{Finding, tell};
use crate::history::{MarkKind, Nanos, Revision, WatchedKind};

pub(super) const NAME: &str = "liveness";

/// A watch must show an acknowledged write, or something later, within this time.
pub const HEARTBEAT: Nanos = 5_000_000_000;

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if case.history.watched.is_empty() {
        return Finding::skipped(NAME, "the history has no watch");
    }
    let mut tally = Tally::default();
    let mut writes = stream::deliverable(case);
    writes.retain(|commit| commit.acknowledged());
    let faults = faults(case);
    let end = last_moment(case);
    for stream in stream::all(case) {
        watch(case, &stream, &writes, &faults, end, &mut tally);
    }
    tally.finding(
        NAME,
        "acknowledged writes due at a watch",
        "were followed by five seconds of silence",
    )
}

fn watch(
    case: &Case<'_>,
    stream: &Stream<'_>,
    writes: &[&Commit],
    faults: &[(Nanos, Option<Nanos>)],
    end: Nanos,
    tally: &mut Tally,
) {
    let Some((began, from)) = stream.began else {
        return;
    };
    let ended = stream.ended.unwrap_or(end);
    let shown = shown(stream);
    let first = writes.partition_point(|commit| commit.revision < from);
    let mut silent: Option<(&Commit, u64)> = None;
    for commit in &writes[first..] {
        let at = commit.end.max(began);
        let next = shown.partition_point(|(revision, _)| *revision < commit.revision);
        let seen = shown.get(next).map(|(_, at)| *at);
        let Some(deadline) = deadline(at, faults) else {
            continue;
        };
        if seen.is_some_and(|seen| seen <= deadline) {
            tally.fact();
        } else if deadline <= ended {
            tally.fact();
            let (first, count) = silent.get_or_insert((commit, 0));
            if commit.end < first.end {
                *first = commit;
            }
            *count += 1;
        }
    }
    // One silence is one finding, however many writes fell into it.
    if let Some((first, count)) = silent {
        tally.violation(|| {
            format!(
                "watch {} from revision {from} was silent for {count} writes, the first: {}",
                stream.watch,
                tell::commit(case, first)
            )
        });
    }
}

/// Revisions and the earliest time at which the watch showed that one or a later one, by revision.
fn shown(stream: &Stream<'_>) -> Vec<(Revision, Nanos)> {
    let mut shown: Vec<(Revision, Nanos)> = stream
        .watched
        .iter()
        .filter_map(|(_, watched)| match watched.kind {
            WatchedKind::Changed { revision, .. }
            | WatchedKind::Bookmark { revision }
            | WatchedKind::Stranger { revision, .. } => Some((revision, watched.at)),
            WatchedKind::Began { .. } | WatchedKind::Ended { .. } => None,
        })
        .collect();
    shown.sort_unstable();
    let mut earliest = Nanos::MAX;
    for (_, at) in shown.iter_mut().rev() {
        earliest = earliest.min(*at);
        *at = earliest;
    }
    shown
}

/// Faults, from their beginning to when the server answered again; `None`: nobody saw it answer.
fn faults(case: &Case<'_>) -> Vec<(Nanos, Option<Nanos>)> {
    let mut faults: Vec<(Nanos, Option<Nanos>)> = Vec::new();
    for mark in &case.history.marks {
        match mark.kind {
            MarkKind::FaultBegan(_) => faults.push((mark.at, None)),
            MarkKind::FaultEnded(_) | MarkKind::Recovered => {
                if let Some((_, end)) = faults.last_mut() {
                    *end = Some(mark.at);
                }
            }
            MarkKind::Compacted(_) => {}
        }
    }
    faults
}

/// By when a write acknowledged at `at` must be shown. A fault stops the clock, and one without an end stops it for good.
fn deadline(at: Nanos, faults: &[(Nanos, Option<Nanos>)]) -> Option<Nanos> {
    let mut deadline = at + HEARTBEAT;
    for (began, ended) in faults {
        if *began <= deadline && ended.is_none_or(|ended| ended >= at) {
            deadline = deadline.max((*ended)? + HEARTBEAT);
        }
    }
    Some(deadline)
}

/// The last thing that anybody recorded.
fn last_moment(case: &Case<'_>) -> Nanos {
    let history = case.history;
    let operations = history.operations.iter().map(|operation| operation.end);
    let lists = history.listings.iter().map(|list| list.end);
    let watched = history.watched.iter().map(|watched| watched.at);
    let marks = history.marks.iter().map(|mark| mark.at);
    let all = operations.chain(lists).chain(watched).chain(marks);
    all.max().unwrap_or(0)
}
