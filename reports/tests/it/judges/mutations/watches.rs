//! Defects of watches.

use reports::history::{Change, History, Nanos, Revision, Watched, WatchedKind};

use super::super::model::{MS, Made, Plan};
use super::super::rng::Rng;
use super::{Mutation, acknowledged, pick};

pub static MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "event_dropped",
        defect: "a watch leaves out a change and goes on",
        judge: "watch",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, _) = pick(rng, followed(&made.history))?;
            made.history.watched.remove(index);
            Some(())
        },
    },
    Mutation {
        name: "event_duplicated",
        defect: "a watch delivers a change twice",
        judge: "watch",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, _) = pick(rng, events(&made.history))?;
            let again = made.history.watched[index].clone();
            made.history.watched.insert(index + 1, again);
            Some(())
        },
    },
    Mutation {
        name: "events_swapped",
        defect: "a watch delivers two changes in the wrong order",
        judge: "watch",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (first, second) = pick(rng, followed(&made.history))?;
            let kind = made.history.watched[first].kind.clone();
            let other = std::mem::replace(&mut made.history.watched[second].kind, kind);
            made.history.watched[first].kind = other;
            Some(())
        },
    },
    Mutation {
        name: "false_bookmark",
        defect: "a bookmark covers a change that is delivered after it",
        judge: "watch",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, _) = pick(rng, followed(&made.history))?;
            let event = made.history.watched[index].clone();
            let revision = revision(&event)?;
            made.history.watched.insert(
                index,
                Watched {
                    kind: WatchedKind::Bookmark { revision },
                    ..event
                },
            );
            Some(())
        },
    },
    Mutation {
        name: "bookmark_of_no_revision",
        defect: "a bookmark has the revision 0",
        judge: "watch",
        plan: Plan::rich,
        mutate: |made, rng| {
            let bookmarks =
                made.history
                    .watched
                    .iter_mut()
                    .filter_map(|watched| match &mut watched.kind {
                        WatchedKind::Bookmark { revision } => Some(revision),
                        _ => None,
                    });
            *pick(rng, bookmarks.collect())? = 0;
            Some(())
        },
    },
    Mutation {
        name: "event_from_before",
        defect: "a watch delivers a change from before the revision that it was asked for from",
        judge: "watch",
        plan: Plan::rich,
        mutate: before,
    },
    Mutation {
        name: "resumed_with_a_gap",
        defect: "a watch that goes on for another one misses the first change",
        judge: "watch",
        plan: |seed| Plan {
            fault: true,
            ..Plan::rich(seed)
        },
        mutate: |made, rng| {
            let resumed: Vec<u32> = made
                .history
                .watched
                .iter()
                .filter(|watched| {
                    matches!(
                        watched.kind,
                        WatchedKind::Began {
                            resumes: Some(_),
                            ..
                        }
                    )
                })
                .map(|watched| watched.watch)
                .collect();
            let of = pick(rng, resumed)?;
            let mut events = followed(&made.history).into_iter();
            let (index, _) = events.find(|(index, _)| made.history.watched[*index].watch == of)?;
            made.history.watched.remove(index);
            Some(())
        },
    },
    Mutation {
        name: "silent_watch",
        defect: "a watch shows nothing any more while writes go on",
        judge: "liveness",
        plan: |seed| Plan {
            fault: false,
            ..Plan::rich(seed)
        },
        mutate: silent,
    },
    Mutation {
        name: "delete_that_nobody_asked_for",
        defect: "a watch tells of a delete that nobody asked for",
        judge: "phantom",
        plan: |seed| Plan {
            unknown: 0,
            ..Plan::rich(seed)
        },
        mutate: deleted_by_nobody,
    },
];

fn revision(watched: &Watched) -> Option<Revision> {
    match watched.kind {
        WatchedKind::Changed { revision, .. } => Some(revision),
        _ => None,
    }
}

/// The events that are acknowledged writes, so that others know of them, each with its watch.
fn events(history: &History) -> Vec<(usize, u32)> {
    let all = acknowledged(history);
    let known: std::collections::HashSet<Revision> =
        all.iter().map(|known| known.version.revision).collect();
    let watched = history.watched.iter().enumerate();
    watched
        .filter(|(_, watched)| revision(watched).is_some_and(|revision| known.contains(&revision)))
        .map(|(index, watched)| (index, watched.watch))
        .collect()
}

/// Pairs of events that follow upon each other in one watch with nothing between them.
fn followed(history: &History) -> Vec<(usize, usize)> {
    let events = events(history);
    let next = |index: usize, watch: u32| {
        let later = history.watched.iter().enumerate().skip(index + 1);
        let mut of_watch = later.filter(move |(_, watched)| watched.watch == watch);
        of_watch.next().map(|(index, _)| index)
    };
    events
        .iter()
        .filter_map(|(index, watch)| {
            let next = next(*index, *watch)?;
            events.contains(&(next, *watch)).then_some((*index, next))
        })
        .collect()
}

fn before(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let watched = made.history.watched.iter().enumerate();
    let fits = watched.filter_map(|(index, watched)| match watched.kind {
        WatchedKind::Began { from, .. } => {
            let mut older = all
                .iter()
                .rev()
                .filter(|known| known.version.revision < from);
            let older = older.find(|known| !known.deleted)?;
            let event = Watched {
                watch: watched.watch,
                at: watched.at + 1,
                kind: WatchedKind::Changed {
                    key: older.key,
                    change: Change::Put {
                        value: older.version.value,
                    },
                    revision: older.version.revision,
                },
            };
            Some((index + 1, event))
        }
        _ => None,
    });
    let (index, event) = pick(rng, fits.collect())?;
    made.history.watched.insert(index, event);
    Some(())
}

fn silent(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let last = acknowledged(&made.history)
        .into_iter()
        .map(|known| known.end)
        .max()?;
    let watched = &mut made.history.watched;
    let began = watched.iter().filter(|watched| {
        matches!(watched.kind, WatchedKind::Began { .. }) && watched.at + 6000 * MS < last
    });
    let began = began.map(|watched| (watched.watch, watched.at)).collect();
    let (watch, at): (u32, Nanos) = pick(rng, began)?;
    let from = rng.between(at, last - 5900 * MS);
    watched.retain(|watched| {
        watched.watch != watch
            || watched.at <= from
            || matches!(watched.kind, WatchedKind::Ended { .. })
    });
    Some(())
}

fn deleted_by_nobody(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let events = followed(&made.history).into_iter();
    let fits = events.filter_map(|(first, second)| {
        let watched = &made.history.watched;
        let (first, after) = (revision(&watched[first])?, revision(&watched[second])?);
        let free = first + 1;
        (free < after).then_some((second, free))
    });
    let (index, free) = pick(rng, fits.collect())?;
    let event = &made.history.watched[index];
    let event = Watched {
        watch: event.watch,
        at: event.at,
        kind: WatchedKind::Changed {
            key: rng.below(made.history.header.keys.len() as u64) as u32,
            change: Change::Delete,
            revision: free,
        },
    };
    made.history.watched.insert(index, event);
    Some(())
}
