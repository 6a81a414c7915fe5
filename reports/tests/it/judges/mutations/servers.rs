//! Defects of the whole server: what it forgets, brings back, or numbers wrongly.

use reports::history::{Answer, History, Level, MarkKind, Request, Revision, WatchedKind};

use super::super::model::{Made, Plan};
use super::super::rng::Rng;
use super::{Mutation, acknowledged, pick, versions};

pub static MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "last_writes_lost_on_restart",
        defect: "the last acknowledged writes are gone after a restart",
        judge: "acknowledged",
        plan: |seed| Plan {
            fault: true,
            forgets: 3,
            // Else none of the three may have been acknowledged.
            unknown: 0,
            ..Plan::rich(seed)
        },
        mutate: |made, _| {
            let fault = made.history.marks.first()?.at;
            let forgotten = &made.log.all[made.log.forgotten.clone()];
            let all = acknowledged(&made.history);
            let told = forgotten.iter().any(|lost| {
                let mut all = all.iter();
                all.any(|known| known.version.revision == lost.revision && known.end < fault)
            });
            told.then_some(())
        },
    },
    Mutation {
        name: "acknowledged_write_missing_at_the_end",
        defect: "the final state of a key is the one before its last acknowledged write",
        judge: "acknowledged",
        plan: Plan::rich,
        mutate: missing_at_the_end,
    },
    Mutation {
        name: "revisions_swapped",
        defect: "a later write gets the smaller revision",
        judge: "order",
        plan: Plan::rich,
        mutate: swapped,
    },
    Mutation {
        name: "revision_used_again",
        defect: "two writes get the same revision",
        judge: "revision",
        plan: Plan::rich,
        mutate: used_again,
    },
    Mutation {
        name: "deleted_key_comes_back",
        defect: "a deleted key is there again at the end, while later writes stay",
        judge: "resurrection",
        plan: |seed| Plan {
            fault: false,
            ..Plan::rich(seed)
        },
        mutate: comes_back,
    },
    Mutation {
        name: "lost_update",
        defect: "two updates of the same version are both acknowledged",
        judge: "order",
        plan: |seed| Plan {
            fault: false,
            ..Plan::rich(seed)
        },
        mutate: lost_update,
    },
    Mutation {
        name: "stale_read_where_deletes_have_no_revision",
        defect: "a read shows an overwritten version of a key whose deletes are told without a revision",
        judge: "register",
        plan: |seed| Plan {
            level: Level::Api,
            watches: 0,
            ..Plan::rich(seed)
        },
        mutate: stale_register,
    },
];

fn missing_at_the_end(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let list = made
        .history
        .listings
        .iter()
        .position(|list| list.is_final)?;
    let items = made.history.listings[list].items.iter().enumerate();
    let written = |revision| all.iter().any(|known| known.version.revision == revision);
    let fits = items.filter(|(_, (_, version))| written(version.revision));
    let (at, key) = pick(rng, fits.map(|(at, (key, _))| (at, *key)).collect())?;
    let before = versions(made, key).into_iter().rev().nth(1);
    let items = &mut made.history.listings[list].items;
    match before.and_then(|(_, version)| version) {
        Some(before) => items[at].1 = before,
        None => {
            items.remove(at);
        }
    }
    Some(())
}

/// Two neighbours that the server can only have done in this order.
fn neighbours(history: &History) -> Vec<(Revision, Revision)> {
    let all = acknowledged(history);
    let between = |revision: Revision| {
        let lists = history.listings.iter();
        lists.clone().any(|list| list.revision == revision)
            || history.operations.iter().any(|operation| {
                matches!(operation.answer,
                    Answer::Read { revision: Some(at), .. }
                    | Answer::Conflict { revision: Some(at), .. } if at == revision)
            })
            || history.watched.iter().any(|watched| match watched.kind {
                WatchedKind::Bookmark { revision: at } => at == revision,
                WatchedKind::Began { from, .. } => from == revision + 1,
                _ => false,
            })
    };
    all.windows(2)
        .filter(|pair| {
            let (first, second) = (&pair[0], &pair[1]);
            first.version.revision + 1 == second.version.revision
                && first.end < second.call
                && first.key != second.key
                && !history
                    .marks
                    .iter()
                    .any(|mark| first.call <= mark.at && mark.at <= second.end)
                && !between(first.version.revision)
        })
        .map(|pair| (pair[0].version.revision, pair[1].version.revision))
        .collect()
}

/// Calls revisions by other numbers, wherever they are told.
fn renumber(history: &mut History, map: impl Fn(Revision) -> Revision) {
    for operation in &mut history.operations {
        match &mut operation.request {
            Request::Update { expected, .. } | Request::Delete { expected } => {
                *expected = map(*expected);
            }
            _ => {}
        }
        match &mut operation.answer {
            Answer::Written {
                revision: Some(revision),
            } => *revision = map(*revision),
            Answer::Read { found, .. } | Answer::Conflict { current: found, .. } => {
                if let Some(found) = found {
                    found.revision = map(found.revision);
                }
            }
            _ => {}
        }
    }
    for list in &mut history.listings {
        for (_, version) in &mut list.items {
            version.revision = map(version.revision);
        }
    }
    for watched in &mut history.watched {
        if let WatchedKind::Changed { revision, .. } = &mut watched.kind {
            *revision = map(*revision);
        }
    }
}

fn swapped(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let (first, second) = pick(rng, neighbours(&made.history))?;
    let history = &mut made.history;
    renumber(history, |revision| {
        if revision == first {
            second
        } else if revision == second {
            first
        } else {
            revision
        }
    });
    // Watches deliver by revision, as they promise.
    let numbers: Vec<u32> = history
        .watched
        .iter()
        .map(|watched| watched.watch)
        .collect();
    for number in numbers {
        let at = |history: &History, wanted| {
            history.watched.iter().position(|watched| {
                watched.watch == number
                    && matches!(watched.kind, WatchedKind::Changed { revision, .. } if revision == wanted)
            })
        };
        if let (Some(first), Some(second)) = (at(history, first), at(history, second))
            && second < first
        {
            let kind = history.watched[first].kind.clone();
            history.watched[first].kind =
                std::mem::replace(&mut history.watched[second].kind, kind);
        }
    }
    Some(())
}

fn used_again(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let (first, second) = pick(rng, neighbours(&made.history))?;
    renumber(&mut made.history, |revision| {
        if revision == second { first } else { revision }
    });
    Some(())
}

fn comes_back(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let newest = all.last()?.version.revision;
    let keys = 0..made.history.header.keys.len() as u32;
    let fits = keys.filter_map(|key| {
        let versions = versions(made, key);
        let (deleted, None) = *versions.last()? else {
            return None;
        };
        let told = all.iter().any(|known| known.version.revision == deleted);
        let before = versions[versions.len() - 2].1?;
        (told && deleted < newest).then_some((key, before))
    });
    let item = pick(rng, fits.collect())?;
    let mut lists = made.history.listings.iter_mut();
    let list = lists.find(|list| list.is_final)?;
    list.items.push(item);
    list.items.sort_by_key(|(key, _)| *key);
    Some(())
}

fn lost_update(made: &mut Made, rng: &mut Rng) -> Option<()> {
    assert!(
        !made
            .history
            .marks
            .iter()
            .any(|mark| matches!(mark.kind, MarkKind::FaultBegan(_)))
    );
    let operations = made.history.operations.iter().enumerate();
    let fits = operations.filter_map(|(index, operation)| {
        let (Request::Update { expected, .. }, Answer::Written { .. }) =
            (operation.request, &operation.answer)
        else {
            return None;
        };
        let versions = versions(made, operation.key);
        let at = versions
            .iter()
            .position(|(revision, _)| *revision == expected)?;
        let older = versions[at.checked_sub(1)?].1?;
        Some((index, older.revision))
    });
    let (index, older) = pick(rng, fits.collect())?;
    if let Request::Update { expected, .. } = &mut made.history.operations[index].request {
        *expected = older;
    }
    Some(())
}

fn stale_register(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let deleted = |key| {
        let mut operations = made.history.operations.iter();
        operations.any(|operation| {
            operation.key == key && operation.answer == Answer::Written { revision: None }
        })
    };
    let fits = super::answers::stale(made)
        .into_iter()
        .filter(|(index, _)| deleted(made.history.operations[*index].key));
    let (index, older) = pick(rng, fits.collect())?;
    made.history.operations[index].answer = Answer::Read {
        found: Some(older),
        revision: None,
    };
    Some(())
}
