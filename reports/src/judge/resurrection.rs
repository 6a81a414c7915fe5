//! What was deleted does not come back without being created again.

use super::case::{Case, Commit, Fate};
use super::claim::{self, Content, Source};
use super::finding::Tally;
use super::{Finding, tell};
use crate::history::Request;

pub(super) const NAME: &str = "resurrection";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let mut deletes = case.commits.iter().filter(|commit| is_delete(commit));
    if deletes.next().is_none() {
        return Finding::skipped(NAME, "nothing was deleted at a revision that anybody told");
    }
    let mut tally = Tally::default();
    for key in 0..case.by_key.len() {
        updated(case, key, &mut tally);
    }
    claim::each(case.history, |claim| {
        let at = match claim.source {
            Source::Read(index) => claim::exact(&case.request(index).answer),
            Source::List(index) => Some(case.history.listings[index].revision),
            Source::Write(_) | Source::Watch(_) => return,
        };
        if case.clean(&claim).is_some() && case.comes_back(&claim, at) {
            tally.violation(|| format!("it had been deleted: {}", tell::claim(case, &claim)));
        }
    });
    tally.finding(
        NAME,
        "deletes that were looked at later",
        "things came back",
    )
}

fn is_delete(commit: &Commit) -> bool {
    commit.content == Content::Deleted && commit.fate != Fate::Lost
}

/// Counts the deletes that somebody looked at later, and finds versions that were built upon a delete.
fn updated(case: &Case<'_>, key: usize, tally: &mut Tally) {
    let mut before: Option<&Commit> = None;
    let last_list = case.history.listings.iter().map(|list| list.call).max();
    for &index in &case.by_key[key] {
        let commit = &case.commits[index];
        if commit.fate == Fate::Lost {
            continue;
        }
        if let Some(earlier) = before
            && is_delete(earlier)
        {
            let request = commit.writer.map(|writer| case.request(writer).request);
            if matches!(request, Some(Request::Update { expected, .. }) if !case.tainted.contains(&expected))
            {
                tally.violation(|| {
                    let (new, old) = (tell::commit(case, commit), tell::commit(case, earlier));
                    format!("updated after it had been deleted: {new}; the delete: {old}")
                });
            }
            tally.fact();
        }
        before = Some(commit);
    }
    if let Some(last) = before
        && is_delete(last)
        && last_list.is_some_and(|list| list >= last.known)
    {
        tally.fact();
    }
}
