//! Nothing appears that nobody wrote: no value, no delete, no key.

use super::case::{Case, Standing};
use super::claim::{self, Source};
use super::finding::Tally;
use super::{Finding, tell};
use crate::history::WatchedKind;
use crate::text;

pub(super) const NAME: &str = "phantom";

/// A key's name is another's text.
const CAP: usize = 120;

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let mut tally = Tally::default();
    claim::each(case.history, |claim| {
        if matches!(claim.source, Source::Write(_)) {
            return;
        }
        tally.fact();
        if let Standing::Phantom(why) = case.standing(&claim) {
            tally.violation(|| format!("{why}: {}", tell::claim(case, &claim)));
        }
    });
    for list in &case.history.listings {
        for name in &list.strangers {
            tally.fact();
            tally.violation(|| {
                let name = text::plain(name, CAP);
                format!("nobody wrote the key {name}: {}", tell::listing(list))
            });
        }
    }
    for watched in &case.history.watched {
        if let WatchedKind::Stranger { name, revision } = &watched.kind {
            tally.fact();
            tally.violation(|| {
                let name = text::plain(name, CAP);
                let watch = watched.watch;
                format!("nobody wrote the key {name}: watch {watch}, revision {revision}")
            });
        }
    }
    tally.finding(NAME, "sightings of values", "that nobody can have caused")
}
