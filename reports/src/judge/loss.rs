//! Which versions were forgotten.
//!
//! A version is forgotten when the final list shows its key as it was before, or when, across a fault, a later write
//! was built upon an earlier one. From its last sighting on it may be gone, and what was before it may be seen again:
//! that is one defect and not many, so all judges but the one of acknowledged writes take it as given. A delete that
//! was undone alone, while later writes stayed, is another defect: nothing was rolled back, an object came back.

use std::collections::HashMap;

use super::case::{Case, Commit, Fate, Standing};
use super::claim::{Claim, Content, Source, expected};
use crate::history::{Key, MarkKind, Nanos, Request, Revision};

/// Marks the versions that were lost and the deletes that were undone.
pub(super) fn mark(case: &mut Case<'_>) {
    let faults = faults(case);
    let end = last_list(case);
    let mut undone = Vec::new();
    for fault in &faults {
        numbered_again(case, *fault);
    }
    for (place, other) in case.replaced.clone() {
        replaced(case, place, other, &faults);
    }
    for key in 0..case.by_key.len() {
        let mut gone = built_over(case, key, &faults);
        gone.extend(not_at_the_end(case, key, end.as_ref()));
        for index in gone {
            if case.commits[index].fate == Fate::Lost {
                continue;
            }
            if case.commits[index].content == Content::Deleted {
                undone.push(index);
            } else {
                case.commits[index].fate = Fate::Lost;
            }
        }
    }
    undone.sort_unstable();
    undone.dedup();
    for index in &undone {
        case.commits[*index].fate = Fate::Lost;
    }
    let newest: Vec<(Nanos, Revision)> = faults
        .iter()
        .map(|fault| (*fault, newest_that_stayed(case, *fault)))
        .collect();
    for index in undone {
        let commit = &case.commits[index];
        let rolled_back = newest
            .iter()
            .any(|(fault, newest)| commit.call <= *fault && commit.revision > *newest);
        if !rolled_back {
            case.commits[index].fate = Fate::Undone;
        }
    }
    for (fault, newest) in newest {
        roll_back(case, fault, newest);
    }
}

/// Where revisions began again after a fault at one that had been given out before, what had these revisions is gone,
/// unless somebody saw it later.
fn numbered_again(case: &mut Case<'_>, fault: Nanos) {
    let later = case.commits.iter();
    let later = later.filter(|commit| commit.writer.is_some() && commit.call >= fault);
    let Some(lowest) = later.map(|commit| commit.revision).min() else {
        return;
    };
    for commit in &mut case.commits {
        if commit.known <= fault && commit.revision >= lowest && commit.seen < fault {
            commit.fate = Fate::Lost;
        }
    }
}

/// What had a revision that its key was given again after a fault is gone, and so is what it had been since the version
/// that the other write was built upon.
fn replaced(case: &mut Case<'_>, place: usize, other: usize, faults: &[Nanos]) {
    let (key, last) = (case.commits[place].key, case.commits[place].revision);
    let other = case.request(other);
    let first = expected(other.request).map_or(last, |expected| expected + 1);
    for index in case.by_key[key as usize].clone() {
        let commit = &mut case.commits[index];
        let across = |fault: &Nanos| commit.call <= *fault && *fault <= other.end;
        if (first..=last).contains(&commit.revision) && faults.iter().any(across) {
            commit.fate = Fate::Lost;
        }
    }
}

/// Where what was lost at a fault is newer than all that was there afterwards, the server went back to an earlier state,
/// and what was written after the first loss went with it, even if its absence shows in nothing: a key that was created
/// and deleted is not there either way.
fn roll_back(case: &mut Case<'_>, fault: Nanos, newest: Revision) {
    let before = |commit: &&Commit| commit.known <= fault && commit.revision > newest;
    let lost = case.commits.iter().filter(before);
    let lost = lost.filter(|commit| commit.fate == Fate::Lost);
    let Some(first) = lost.map(|commit| commit.revision).min() else {
        return;
    };
    for versions in case.by_key.clone() {
        // From the newest back: a key that is not there afterwards although its delete was lost had not been created.
        let mut created = false;
        for index in versions.into_iter().rev() {
            let commit = &case.commits[index];
            if commit.known > fault {
                continue;
            }
            let gone = commit.revision > first || (created && commit.revision > newest);
            if commit.fate != Fate::Lost && !gone {
                break;
            }
            let writer = commit.writer.map(|writer| case.request(writer).request);
            created = match commit.content {
                Content::Deleted => true,
                Content::Put(_) => created && !matches!(writer, Some(Request::Create { .. })),
            };
            case.commits[index].fate = Fate::Lost;
        }
    }
}

/// When faults began.
pub(super) fn faults(case: &Case<'_>) -> Vec<Nanos> {
    let marks = case.history.marks.iter();
    marks
        .filter(|mark| matches!(mark.kind, MarkKind::FaultBegan(_)))
        .map(|mark| mark.at)
        .collect()
}

/// The newest revision of before the fault that somebody saw, or built upon, after it. What nobody looked at again may
/// have gone with the rest: a key that was created and deleted is not there either way.
pub(super) fn newest_that_stayed(case: &Case<'_>, fault: Nanos) -> Revision {
    let mut newest = case.history.header.revision;
    for key in 0..case.by_key.len() {
        let mut before: Option<&Commit> = None;
        let once = |commit: &&Commit| !case.tainted.contains(&commit.revision);
        for commit in case.stayed(key as Key).filter(once) {
            if commit.known <= fault && commit.seen >= fault {
                newest = newest.max(commit.revision);
            }
            if let Some(earlier) = before
                && earlier.known <= fault
                && commit.call >= fault
                && let Some(writer) = commit.writer
                && expected(case.request(writer).request) == Some(earlier.revision)
            {
                newest = newest.max(earlier.revision);
            }
            before = Some(commit);
        }
    }
    newest
}

/// The last revision that the key was given twice. What was later built upon, or is there at the end, came after the
/// other write of that revision, so it tells nothing of what the key had until then.
fn last_replaced(case: &Case<'_>, key: usize) -> Option<Revision> {
    let commits = case.replaced.iter().map(|(place, _)| &case.commits[*place]);
    let of_key = commits.filter(|commit| commit.key as usize == key);
    of_key.map(|commit| commit.revision).max()
}

/// Versions that a later write was not built upon, with a fault between the two.
fn built_over(case: &Case<'_>, key: usize, faults: &[Nanos]) -> Vec<usize> {
    let replaced = last_replaced(case, key);
    let mut gone = Vec::new();
    let mut standing: Vec<usize> = Vec::new();
    for &index in &case.by_key[key] {
        let commit = &case.commits[index];
        if let Some(writer) = commit.writer {
            let request = case.request(writer).request;
            while let Some(&before) = standing.last() {
                let earlier = &case.commits[before];
                let over = match expected(request) {
                    Some(expected) => earlier.revision > expected,
                    None => {
                        matches!(request, Request::Create { .. })
                            && matches!(earlier.content, Content::Put(_))
                            && !may_be_deleted(case, earlier)
                    }
                };
                let across = faults
                    .iter()
                    .any(|fault| earlier.call <= *fault && *fault <= commit.known);
                if !over || !across || Some(earlier.revision) <= replaced {
                    break;
                }
                gone.push(before);
                standing.pop();
            }
        }
        standing.push(index);
    }
    gone
}

/// What the final list shows of each key: the revision, or `None` where the claim is another judge's.
struct Final {
    call: Nanos,
    shown: HashMap<Key, Option<Revision>>,
}

fn last_list(case: &Case<'_>) -> Option<Final> {
    let list = case.final_list()?;
    let shown = list.items.iter().map(|(key, version)| {
        let standing = case.standing(&Claim {
            key: *key,
            revision: version.revision,
            content: Content::Put(version.value),
            source: Source::List(0),
            call: list.call,
            end: list.end,
        });
        let genuine = matches!(standing, Standing::Genuine(_));
        (*key, genuine.then_some(version.revision))
    });
    Some(Final {
        call: list.call,
        shown: shown.collect(),
    })
}

/// Versions that were known before the final list and are not in it, nor anything later.
fn not_at_the_end(case: &Case<'_>, key: usize, end: Option<&Final>) -> Vec<usize> {
    let Some(end) = end else {
        return Vec::new();
    };
    let last = match end.shown.get(&(key as Key)) {
        Some(None) => return Vec::new(),
        Some(Some(revision)) => Some(*revision),
        None => None,
    };
    let replaced = last_replaced(case, key);
    let mut gone = Vec::new();
    for &index in case.by_key[key].iter().rev() {
        let commit = &case.commits[index];
        if Some(commit.revision) <= replaced {
            break;
        }
        let kept = match last {
            Some(last) => commit.revision <= last,
            None => commit.content == Content::Deleted || may_be_deleted(case, commit),
        };
        if kept {
            break;
        }
        // What was still under way when the list was taken may have come after it.
        if commit.known <= end.call {
            gone.push(index);
        }
    }
    gone
}

/// Whether a delete whose outcome or revision nobody told may have ended this version.
pub(super) fn may_be_deleted(case: &Case<'_>, commit: &Commit) -> bool {
    case.loose[commit.key as usize]
        .iter()
        .any(|&delete| expected(case.request(delete).request) == Some(commit.revision))
}
