//! The watches of the model: each delivers the log from its first revision on, in order, with a delay and bookmarks.

use reports::history::{Change, History, Nanos, Revision, Watched, WatchedKind};

use super::model::{Applied, Away, Log, MS, Plan};
use super::rng::Rng;

/// Adds what the plan's watches saw.
pub fn add(history: &mut History, log: &Log, plan: &Plan, away: Option<Away>, rng: &mut Rng) {
    let last = history
        .operations
        .iter()
        .map(|operation| operation.end)
        .max();
    let end = last.unwrap_or(0) + 100 * MS;
    let mut number = 0;
    for nth in 0..plan.watches {
        // The first begins with the history, others later, some of them in the past.
        let (began, from) = if nth == 0 {
            (1, 11)
        } else {
            let began = rng.below(end * 3 / 4);
            let seen = log.kept().filter(|applied| applied.at < began).last();
            let newest = seen.map_or(10, |applied| applied.revision);
            (
                began,
                newest + 1 - rng.below((newest - 9) as u64) as Revision,
            )
        };
        let Some(away) = away else {
            one(
                history,
                log,
                (number, None),
                (began, from),
                (end, Nanos::MAX),
                rng,
            );
            number += 1;
            continue;
        };
        let mut next = (began, from);
        let mut resumes = None;
        if began < away.from {
            next.1 = one(
                history,
                log,
                (number, None),
                next,
                (away.from, away.from),
                rng,
            );
            resumes = Some(number);
            number += 1;
        }
        next.0 = next.0.max(away.to + rng.below(200 * MS));
        one(
            history,
            log,
            (number, resumes),
            next,
            (end, Nanos::MAX),
            rng,
        );
        number += 1;
    }
    history.watched.sort_by_key(|watched| watched.at);
}

/// One watch; the revision that it would be resumed at.
fn one(
    history: &mut History,
    log: &Log,
    (watch, resumes): (u32, Option<u32>),
    (began, from): (Nanos, Revision),
    (end, cut): (Nanos, Nanos),
    rng: &mut Rng,
) -> Revision {
    let mut push = |at, kind| history.watched.push(Watched { watch, at, kind });
    push(began, WatchedKind::Began { from, resumes });
    let mut shown = from - 1;
    let mut at = began;
    let mut bookmark = began + 400 * MS;
    // Before it breaks off, a watch shows also what will be forgotten.
    let of: Vec<&Applied> = if cut == Nanos::MAX {
        log.kept().collect()
    } else {
        log.all.iter().collect()
    };
    for applied in of {
        if applied.revision < from || applied.at >= cut {
            continue;
        }
        let arrives = at.max(applied.at) + rng.between(MS / 10, 20 * MS);
        while bookmark < arrives && bookmark < end {
            push(bookmark.max(at), WatchedKind::Bookmark { revision: shown });
            bookmark += 400 * MS;
        }
        if arrives >= cut {
            break;
        }
        at = arrives;
        shown = applied.revision;
        let change = match applied.value {
            Some(value) => Change::Put { value },
            None => Change::Delete,
        };
        push(
            at,
            WatchedKind::Changed {
                key: applied.key,
                change,
                revision: applied.revision,
            },
        );
    }
    let how = if cut == Nanos::MAX {
        "closed"
    } else {
        "the connection broke"
    };
    push(end.max(at + 1), WatchedKind::Ended { how: how.into() });
    shown + 1
}
