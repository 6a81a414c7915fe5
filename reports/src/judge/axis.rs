//! The axis of revisions: when each may first have been there, and what each key was in each stretch of it.

use super::case::{Case, Commit};
use super::claim::{Content, expected};
use super::loss::may_be_deleted;
use crate::history::{Key, Nanos, Request, Revision};

/// What a key was in a stretch of revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// It had the version of this revision.
    At(Revision),
    /// It was not there.
    Absent,
    /// Nothing tells.
    Untold,
}

/// What an answer says that the key was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// The version of this revision.
    Is(Revision),
    /// Not there.
    Absent,
    /// There, in whatever version.
    Exists,
    /// Anything but this version.
    IsNot(Revision),
}

impl Wanted {
    fn holds(self, state: State) -> bool {
        match (self, state) {
            (_, State::Untold) => true,
            (Self::Is(wanted), State::At(revision)) => wanted == revision,
            (Self::Is(_), State::Absent) => false,
            (Self::Absent, state) => state == State::Absent,
            (Self::Exists, state) => state != State::Absent,
            (Self::IsNot(unwanted), state) => state != State::At(unwanted),
        }
    }
}

struct Stretch {
    from: Revision,
    /// Before this, it cannot have begun.
    call: Nanos,
    state: State,
}

/// The axis.
pub(super) struct Axis {
    keys: Vec<Vec<Stretch>>,
    /// Revision, and the latest time at which a write up to it was sent.
    sent: Vec<(Revision, Nanos)>,
}

impl Axis {
    /// The axis of some of the versions.
    pub(super) fn of(case: &Case<'_>, is_in: impl Fn(&Commit) -> bool) -> Self {
        let mut sent = Vec::with_capacity(case.commits.len());
        let mut keys = Vec::with_capacity(case.by_key.len());
        for versions in &case.by_key {
            let versions = versions.iter().map(|index| &case.commits[*index]);
            let versions: Vec<&Commit> = versions.filter(|commit| is_in(commit)).collect();
            let once = |commit: &&&Commit| !case.tainted.contains(&commit.revision);
            let calls = versions.iter().filter(once);
            sent.extend(calls.map(|commit| (commit.revision, commit.call)));
            keys.push(stretches(case, versions.into_iter()));
        }
        sent.sort_unstable();
        let mut latest = 0;
        for (_, call) in &mut sent {
            latest = latest.max(*call);
            *call = latest;
        }
        Self { keys, sent }
    }

    /// The time before which the datastore cannot have been at this revision.
    pub(super) fn earliest(&self, revision: Revision) -> Nanos {
        let after = self.sent.partition_point(|(at, _)| *at <= revision);
        after.checked_sub(1).map_or(0, |last| self.sent[last].1)
    }

    /// The smallest revision from `from` on, and up to `to` where that is told, at which the key was as wanted, if the
    /// datastore may have been there by `end`.
    pub(super) fn point(
        &self,
        key: Key,
        wanted: Wanted,
        from: Revision,
        to: Option<Revision>,
        end: Nanos,
    ) -> Option<Revision> {
        let stretches = &self.keys[key as usize];
        let mut at = stretches
            .partition_point(|stretch| stretch.from <= from)
            .saturating_sub(1);
        while let Some(stretch) = stretches.get(at) {
            let point = from.max(stretch.from);
            if stretch.call > end || to.is_some_and(|to| point > to) {
                return None;
            }
            if wanted.holds(stretch.state) {
                return (self.earliest(point) <= end).then_some(point);
            }
            at += 1;
        }
        None
    }
}

fn stretches<'c>(case: &Case<'_>, versions: impl Iterator<Item = &'c Commit>) -> Vec<Stretch> {
    let mut versions = versions.peekable();
    let mut stretches = vec![Stretch {
        from: Revision::MIN,
        call: 0,
        state: before_the_first(case, versions.peek().copied()),
    }];
    while let Some(commit) = versions.next() {
        let state = match commit.content {
            // Of a revision that means two things nobody knows when it was.
            _ if case.tainted.contains(&commit.revision) => State::Untold,
            Content::Put(_) => State::At(commit.revision),
            Content::Deleted => State::Absent,
        };
        stretches.push(Stretch {
            from: commit.revision,
            call: commit.call,
            state,
        });
        // A delete that nothing places has ended it, somewhere before the next version.
        if state != State::Absent && may_be_deleted(case, commit) {
            let next = versions.peek().map_or(Revision::MAX, |next| next.revision);
            if next > commit.revision + 1 {
                stretches.push(Stretch {
                    from: commit.revision + 1,
                    call: commit.call,
                    state: State::Untold,
                });
            }
        }
    }
    stretches
}

/// What the key was before its first version, as that version's writer asked it to be.
fn before_the_first(case: &Case<'_>, first: Option<&Commit>) -> State {
    let Some(first) = first else {
        return State::Untold;
    };
    let Some(writer) = first.writer else {
        return State::Untold;
    };
    match case.request(writer).request {
        Request::Create { .. } => State::Absent,
        request => expected(request).map_or(State::Untold, State::At),
    }
}
