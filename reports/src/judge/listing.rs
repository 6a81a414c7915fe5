//! A list is the state at its revision: every key that was there, once, in order, at the version that it had.

use std::collections::HashSet;

use super::case::{Case, Commit, Fate};
use super::claim::{Claim, Content, Source};
use super::finding::Tally;
use super::loss::may_be_deleted;
use super::{Finding, tell};
use crate::history::{Key, Listing, Request};

pub(super) const NAME: &str = "listing";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    if case.history.listings.is_empty() {
        return Finding::skipped(NAME, "the history has no list");
    }
    let mut tally = Tally::default();
    for (index, list) in case.history.listings.iter().enumerate() {
        shape(case, list, &mut tally);
        content(case, index, list, &mut tally);
    }
    tally.finding(
        NAME,
        "listed or absent keys",
        "are not as they were at the list's revision",
    )
}

/// Repeats, order, and the revision that was asked for.
fn shape(case: &Case<'_>, list: &Listing, tally: &mut Tally) {
    let mut seen = HashSet::with_capacity(list.items.len());
    for (key, _) in &list.items {
        if !seen.insert(*key) {
            tally.violation(|| {
                format!(
                    "repeated {}: {}",
                    tell::key(case, *key),
                    tell::listing(list)
                )
            });
        }
    }
    let name = |key: Key| case.history.header.keys.get(key as usize);
    for pair in list.items.windows(2) {
        let (earlier, later) = (pair[0].0, pair[1].0);
        if name(earlier) > name(later) {
            tally.violation(|| {
                let (earlier, later) = (tell::key(case, earlier), tell::key(case, later));
                format!("{later} comes after {earlier}: {}", tell::listing(list))
            });
        }
    }
    if let Some(asked) = list.asked
        && asked != list.revision
    {
        tally.violation(|| format!("revision {asked} was asked for: {}", tell::listing(list)));
    }
}

fn content(case: &Case<'_>, index: usize, list: &Listing, tally: &mut Tally) {
    let mut shown: Vec<Option<Claim>> = vec![None; case.by_key.len()];
    for (key, version) in &list.items {
        if let Some(slot) = shown.get_mut(*key as usize)
            && slot.is_none()
        {
            *slot = Some(Claim {
                key: *key,
                revision: version.revision,
                content: Content::Put(version.value),
                source: Source::List(index),
                call: list.call,
                end: list.end,
            });
        }
    }
    for (key, shown) in shown.into_iter().enumerate() {
        if case.unsettled[key] {
            continue;
        }
        let Some(must) = state(case, key, list) else {
            continue;
        };
        let is = match &shown {
            None => None,
            Some(claim) => match case.clean(claim) {
                // What is a phantom, contradicts others or came back is told elsewhere.
                None => continue,
                Some(_) if case.comes_back(claim, Some(list.revision)) => continue,
                // What was seen before it was lost.
                Some(commit) if commit.fate == Fate::Lost => continue,
                Some(commit) => Some(commit),
            },
        };
        tally.fact();
        if is.map(|commit| commit.revision) != must.map(|commit| commit.revision) {
            tally.violation(|| {
                let name = |commit: Option<&Commit>| match commit {
                    Some(commit) => format!("at revision {}", commit.revision),
                    None => "absent".to_owned(),
                };
                format!(
                    "{} is {} and must be {}: {}",
                    tell::key(case, key as Key),
                    name(is),
                    name(must),
                    tell::listing(list)
                )
            });
        }
    }
}

/// What the key must be in the list: `Some(None)` is absent, `None` where nothing tells.
fn state<'c>(case: &'c Case<'_>, key: usize, list: &Listing) -> Option<Option<&'c Commit>> {
    let versions = &case.by_key[key];
    let tainted = |at: &usize| case.tainted.contains(&case.commits[*at].revision);
    if !case.tainted.is_empty() && versions.iter().any(tainted) {
        return None;
    }
    let until = versions.partition_point(|at| case.commits[*at].revision <= list.revision);
    for at in versions[..until].iter().rev() {
        let commit = &case.commits[*at];
        // A revision that was given out again after a fault.
        if commit.call > list.end {
            continue;
        }
        match commit.fate {
            Fate::Stayed => {}
            // Somebody saw it later than this list, so it was there.
            Fate::Lost if list.end < commit.seen => {}
            Fate::Lost if case.is_final(list) => continue,
            Fate::Lost | Fate::Undone => return None,
        }
        return (!may_be_deleted(case, commit))
            .then(|| matches!(commit.content, Content::Put(_)).then_some(commit));
    }
    let first = case.stayed(key as Key).next()?;
    match case.request(first.writer?).request {
        Request::Create { .. } => Some(None),
        _ => None,
    }
}
