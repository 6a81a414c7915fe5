//! Each key by itself as a register, where revisions do not tell all: a search for an order of its operations.
//!
//! The fallback of the judge of order, for the keys on which the outcome or the revision of a delete (or, without a
//! final list, of a write) stayed unknown. What it cannot decide within its steps is undecided, never a pass.

use super::case::{Case, Fate};
use super::claim::{self, Content, Source, expected};
use super::finding::Tally;
use super::wgl::{self, Act, Need, State, Step, Verdict};
use super::{Finding, tell};
use crate::history::{Answer, Key, Nanos, Operation, Request, Revision, Version};

pub(super) const NAME: &str = "register";

/// A look at an entry takes some tens of nanoseconds, so that this is a second or two for a whole history. Pure code has
/// no clock: a budget of steps is its deadline, and makes the verdict the same on every machine.
pub(super) const STEPS: u64 = 20_000_000;

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let keys = (0..case.by_key.len()).filter(|key| case.unsettled[*key]);
    let mut keys: Vec<usize> = keys.collect();
    let unsettled = keys.len();
    // Where a key got a revision twice, a request for that revision may mean either: the judge of revisions tells.
    keys.retain(|key| !case.confused(*key as Key));
    if keys.is_empty() && unsettled > 0 {
        let why = "every key whose outcome is open got a revision twice, so a request for it may mean either version";
        return Finding::skipped(NAME, why);
    }
    if keys.is_empty() {
        let why = "the history tells the outcome and the revision of every write, so the order of revisions judged them";
        return Finding::skipped(NAME, why);
    }
    let mut tally = Tally::default();
    let mut budget = STEPS;
    for key in keys {
        let asked = operations(case, key as Key);
        tally.facts += asked.len() as u64;
        let name = || tell::key(case, key as Key);
        match verdict(&asked, initial(case, key as Key), &mut budget) {
            Verdict::Linearizable => {}
            Verdict::Undecided => {
                tally.undecided(format!(
                    "{STEPS} steps were not enough to find an order for {} or to know that there is none",
                    name()
                ));
            }
            Verdict::Not(at) => tally.violation(|| {
                let at = match asked[at].1 {
                    Source::Write(index) | Source::Read(index) => {
                        tell::operation(case, case.request(index))
                    }
                    Source::List(index) => tell::listing(&case.history.listings[index]),
                    Source::Watch(_) => String::new(),
                };
                format!("no order explains the answers on {} up to: {at}", name())
            }),
        }
    }
    tally.finding(
        NAME,
        "answers on such keys",
        "keys have answers that no order explains",
    )
}

/// Whether an order explains all answers on a key, whatever the revisions say.
pub(super) fn key_verdict(case: &Case<'_>, key: Key, budget: &mut u64) -> Verdict {
    verdict(&operations(case, key), initial(case, key), budget)
}

fn verdict(asked: &[(Step, Source)], initial: State, budget: &mut u64) -> Verdict {
    let steps: Vec<Step> = asked.iter().map(|(step, _)| *step).collect();
    wgl::check(&steps, initial, budget)
}

/// What the key held before the history began, if the history tells.
fn initial(case: &Case<'_>, key: Key) -> State {
    let header = case.history.header.revision;
    let old = case
        .stayed(key)
        .take_while(|commit| commit.revision <= header);
    old.last().and_then(|commit| match commit.content {
        Content::Put(value) => Some(value),
        Content::Deleted => None,
    })
}

/// The operations on a key. Those that another judge has to tell of are left out: phantoms, contradictions, what was
/// lost, what came back.
fn operations(case: &Case<'_>, key: Key) -> Vec<(Step, Source)> {
    let mut steps = Vec::new();
    for index in 0..case.requests() {
        let operation = case.request(index);
        if operation.key != key {
            continue;
        }
        // A refused write that others built upon took effect, which the judge of phantoms tells.
        let unknown = case.unknown(index) || denied_but_built_upon(case, operation);
        let act = if unknown {
            write(case, key, operation.request)
        } else {
            answered(case, key, index)
        };
        if let Some(act) = act {
            let source = match operation.request {
                Request::Get => Source::Read(index),
                _ => Source::Write(index),
            };
            let step = Step {
                call: operation.call,
                end: (!unknown).then_some(operation.end),
                act,
            };
            steps.push((step, source));
        }
    }
    for (index, list) in case.history.listings.iter().enumerate() {
        if list.asked.is_some() {
            continue;
        }
        let source = Source::List(index);
        let items = list.items.iter().filter(|(at, _)| *at == key);
        let mut items = items.map(|(_, version)| *version);
        let found = items.next();
        if let Some(act) = read(case, key, found, source, (list.call, list.end)) {
            let step = Step {
                call: list.call,
                end: Some(list.end),
                act,
            };
            steps.push((step, source));
        }
    }
    steps
}

fn denied_but_built_upon(case: &Case<'_>, operation: &Operation) -> bool {
    let denied = matches!(
        operation.answer,
        Answer::Refused { .. } | Answer::Conflict { .. }
    );
    let home = || case.home(claim::content(operation.request)?);
    denied && home().is_some()
}

fn answered(case: &Case<'_>, key: Key, index: usize) -> Option<Act> {
    let operation = case.request(index);
    let source = Source::Read(index);
    let times = (operation.call, operation.end);
    match &operation.answer {
        Answer::Written { .. } => {
            let told = claim::of_operation(index, operation);
            let sound = told.is_none_or(|claim| {
                let commit = case.clean(&claim);
                commit.is_some_and(|commit| commit.fate == Fate::Stayed)
            });
            sound.then(|| write(case, key, operation.request))?
        }
        Answer::Read { found, .. } => read(case, key, *found, source, times),
        Answer::Conflict {
            current: Some(current),
            ..
        } => read(case, key, Some(*current), source, times),
        Answer::Conflict { current: None, .. } => match need(case, key, operation.request)? {
            Need::Unnamed => None,
            need => Some(Act::Conflict(need)),
        },
        Answer::Refused { .. } | Answer::Unknown { .. } => None,
    }
}

fn read(
    case: &Case<'_>,
    key: Key,
    found: Option<Version>,
    source: Source,
    (call, end): (Nanos, Nanos),
) -> Option<Act> {
    let Some(version) = found else {
        return Some(Act::Read(None));
    };
    let claim = claim::Claim {
        key,
        revision: version.revision,
        content: Content::Put(version.value),
        source,
        call,
        end,
    };
    let commit = case.clean(&claim)?;
    let at = match source {
        Source::List(index) => Some(case.history.listings[index].revision),
        Source::Read(index) => claim::exact(&case.request(index).answer),
        _ => None,
    };
    let sound = commit.fate == Fate::Stayed && !case.comes_back(&claim, at);
    sound.then_some(Act::Read(Some(version.value)))
}

fn write(case: &Case<'_>, key: Key, request: Request) -> Option<Act> {
    let need = need(case, key, request)?;
    match request {
        Request::Create { value } | Request::Update { value, .. } => Some(Act::Put(value, need)),
        Request::Delete { .. } => Some(Act::Delete(need)),
        Request::Get => None,
    }
}

fn need(case: &Case<'_>, key: Key, request: Request) -> Option<Need> {
    match request {
        Request::Create { .. } => Some(Need::Absent),
        Request::Get => None,
        _ => Some(value_of(case, key, expected(request)?).map_or(Need::Unnamed, Need::Is)),
    }
}

/// The value that a key had at the version of this revision.
fn value_of(case: &Case<'_>, key: Key, revision: Revision) -> Option<u64> {
    let versions = &case.by_key[key as usize];
    let at = versions.binary_search_by_key(&revision, |index| case.commits[*index].revision);
    match case.commits[versions[at.ok()?]].content {
        Content::Put(value) => Some(value),
        Content::Deleted => None,
    }
}
