//! Which keys have an outcome that nothing tells, so that their versions do not say all.

use super::case::{Case, Fate};
use super::claim::{Content, content, expected};
use crate::history::Request;

/// Marks the keys that only a search over all possible orders can judge.
pub(super) fn mark(case: &mut Case<'_>) {
    for key in 0..case.by_key.len() {
        for at in 0..case.loose[key].len() {
            let delete = case.loose[key][at];
            if !told(case, key, delete) {
                case.unsettled[key] = true;
            }
        }
    }
    // A write whose value nobody saw was not applied, or it is what the key holds at the end: only who has seen it
    // can build upon it. The final list tells; without one it stays open.
    if case.final_list().is_some() {
        return;
    }
    let mut written = std::collections::HashSet::new();
    written.extend(case.commits.iter().filter_map(|commit| commit.writer));
    for index in 0..case.requests() {
        let operation = case.request(index);
        if case.unknown(index)
            && matches!(content(operation.request), Some(Content::Put(_)))
            && !written.contains(&index)
        {
            case.unsettled[operation.key as usize] = true;
        }
    }
}

/// Whether what is known of the key tells that this delete was not applied.
fn told(case: &Case<'_>, key: usize, delete: usize) -> bool {
    if !case.unknown(delete) {
        return false;
    }
    let wanted = expected(case.request(delete).request);
    let mut versions = case.by_key[key]
        .iter()
        .map(|index| &case.commits[*index])
        .filter(|commit| commit.fate == Fate::Stayed)
        .skip_while(|commit| Some(commit.revision) < wanted);
    match versions.next() {
        // It wanted a revision that the key never had, or has no more.
        Some(version) if Some(version.revision) != wanted => return true,
        None => return true,
        Some(_) => {}
    }
    match versions.next() {
        Some(next) => next.writer.is_some_and(|writer| {
            let request = case.request(writer).request;
            !matches!(request, Request::Create { .. }) && expected(request) == wanted
        }),
        None => {
            let shown = case.final_list().map(|list| {
                let mut items = list.items.iter();
                items.any(|(at, version)| *at as usize == key && Some(version.revision) == wanted)
            });
            shown == Some(true)
        }
    }
}
