//! Each write was built upon the version that it asked for: the part of the judge of order that needs no times.

use super::case::{Case, Commit};
use super::claim::{Content, expected};
use super::finding::Tally;
use super::{loss, tell};
use crate::history::Request;

/// Looks at each version and the one before it.
pub(super) fn judge(case: &Case<'_>, tally: &mut Tally) {
    for key in 0..case.by_key.len() {
        if case.unsettled[key] || case.confused(key as u32) {
            continue;
        }
        let mut before: Option<&Commit> = None;
        for commit in case.stayed(key as u32) {
            if let Some(earlier) = before
                && let Some(writer) = commit.writer
                && !case.tainted.contains(&commit.revision)
                && !case.tainted.contains(&earlier.revision)
            {
                tally.fact();
                if let Some(why) = broken(case, earlier, case.request(writer).request) {
                    tally.violation(|| {
                        let (new, old) = (tell::commit(case, commit), tell::commit(case, earlier));
                        format!("{why}: {new}; before it was: {old}")
                    });
                }
            }
            before = Some(commit);
        }
    }
}

fn broken(case: &Case<'_>, before: &Commit, request: Request) -> Option<&'static str> {
    let there = matches!(before.content, Content::Put(_));
    match (request, expected(request)) {
        (Request::Create { .. }, _) => (there && !loss::may_be_deleted(case, before))
            .then_some("it was created although it was there"),
        (_, Some(wanted)) if case.tainted.contains(&wanted) => None,
        // An update of what was deleted is a resurrection.
        (Request::Update { .. }, _) if !there => None,
        (_, Some(wanted)) => {
            (wanted != before.revision).then_some("it did not have the revision that was asked for")
        }
        _ => None,
    }
}
