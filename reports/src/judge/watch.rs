//! A watch is ordered, unique, reliable, resumable, and its bookmarks are true.
//!
//! From the revision that it began at to the last that it showed, every change is delivered once and in the order of
//! revisions; after a bookmark nothing comes that the bookmark covered. A watch that goes on for another one is held to
//! the same from its own beginning, so a gap between the two shows in the second.

use std::collections::HashSet;

use super::case::{Case, Commit, Fate, Standing};
use super::claim::{Claim, Content, Source};
use super::finding::Tally;
use super::stream::{self, Stream};
use super::{Finding, tell};
use crate::history::{Change, Key, Revision, Watched, WatchedKind};

pub(super) const NAME: &str = "watch";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if case.history.watched.is_empty() {
        return Finding::skipped(NAME, "the history has no watch");
    }
    let mut tally = Tally::default();
    let must = stream::deliverable(case);
    for stream in stream::all(case) {
        Reader::new(case, &stream).read(&must, &mut tally);
    }
    tally.finding(
        NAME,
        "events, bookmarks and changes due",
        "are not as a watch promises",
    )
}

struct Reader<'c, 'a> {
    case: &'c Case<'a>,
    stream: &'c Stream<'a>,
    from: Option<Revision>,
    /// The greatest revision of an event so far, and of a bookmark.
    event: Revision,
    bookmark: Revision,
    seen: HashSet<(Revision, Key)>,
}

impl<'c, 'a> Reader<'c, 'a> {
    fn new(case: &'c Case<'a>, stream: &'c Stream<'a>) -> Self {
        Self {
            case,
            stream,
            from: None,
            event: Revision::MIN,
            bookmark: Revision::MIN,
            seen: HashSet::with_capacity(stream.watched.len()),
        }
    }

    fn read(mut self, must: &[&Commit], tally: &mut Tally) {
        for (index, watched) in &self.stream.watched {
            match watched.kind {
                WatchedKind::Began { from, .. } => self.from = Some(from),
                WatchedKind::Changed { .. } => self.changed(*index, watched, tally),
                WatchedKind::Bookmark { revision } => self.bookmark(watched, revision, tally),
                WatchedKind::Stranger { .. } | WatchedKind::Ended { .. } => {}
            }
        }
        let Some(from) = self.from else {
            let watch = self.stream.watch;
            tally.undecided(format!("watch {watch} delivered before it was confirmed"));
            return;
        };
        let to = self.event.max(self.bookmark);
        let first = must.partition_point(|commit| commit.revision < from);
        for commit in must[first..]
            .iter()
            .take_while(|commit| commit.revision <= to)
        {
            // A revision that was given out again when the watch was over.
            if self.stream.ended.is_some_and(|ended| ended < commit.call) {
                continue;
            }
            tally.fact();
            if !self.seen.contains(&(commit.revision, commit.key)) {
                tally.violation(|| {
                    format!(
                        "watch {} from revision {from}, which went on to revision {to}, never delivered: {}",
                        self.stream.watch,
                        tell::commit(self.case, commit)
                    )
                });
            }
        }
    }

    fn changed(&mut self, index: usize, watched: &Watched, tally: &mut Tally) {
        let Some(claim) = claim(index, watched) else {
            return;
        };
        let revision = claim.revision;
        match self.case.standing(&claim) {
            Standing::Genuine(place) => {
                if self.case.commits[place].fate == Fate::Lost
                    || self.case.tainted.contains(&revision)
                {
                    self.seen.insert((revision, claim.key));
                    return;
                }
            }
            // Told elsewhere; that something was delivered in its place is not denied.
            Standing::Phantom(_) | Standing::Contradicted => {
                self.seen.insert((revision, claim.key));
                self.seen
                    .extend(self.case.home(claim.content).map(|at| (at, claim.key)));
                return;
            }
        }
        tally.fact();
        let wrong = if !self.seen.insert((revision, claim.key)) {
            Some("delivered twice".to_owned())
        } else if self.from.is_some_and(|from| revision < from) {
            Some("delivered from before its beginning".to_owned())
        } else if revision <= self.bookmark {
            Some(format!(
                "delivered after its bookmark of revision {}",
                self.bookmark
            ))
        } else if revision < self.event {
            Some(format!("delivered after revision {}", self.event))
        } else {
            None
        };
        self.event = self.event.max(revision);
        if let Some(wrong) = wrong {
            tally.violation(|| format!("{wrong}: {}", tell::claim(self.case, &claim)));
        }
    }

    fn bookmark(&mut self, watched: &Watched, revision: Revision, tally: &mut Tally) {
        tally.fact();
        let wrong = if revision <= 0 {
            Some("a bookmark of no revision")
        } else if revision < self.bookmark {
            Some("a bookmark that goes back")
        } else {
            None
        };
        self.bookmark = self.bookmark.max(revision);
        if let Some(wrong) = wrong {
            tally.violation(|| {
                let at = watched.at as f64 / 1e9;
                format!(
                    "{wrong}: watch {} at {at:.6} s, revision {revision}",
                    watched.watch
                )
            });
        }
    }
}

fn claim(index: usize, watched: &Watched) -> Option<Claim> {
    let WatchedKind::Changed {
        key,
        change,
        revision,
    } = watched.kind
    else {
        return None;
    };
    Some(Claim {
        key,
        revision,
        content: match change {
            Change::Put { value } => Content::Put(value),
            Change::Delete => Content::Deleted,
        },
        source: Source::Watch(index),
        call: 0,
        end: watched.at,
    })
}
