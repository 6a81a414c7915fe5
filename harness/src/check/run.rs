//! Many checks: concurrent where they may be, alone where they must be, interruptible, and nothing left behind.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use reports::event::CheckFinding;
use reports::outcome::Outcome;
use tokio::sync::watch;

use super::one::{Ran, run_and_remove};
use super::{Check, Limits, Offer, SUITE};
use crate::api::Api;

/// How to run checks.
#[derive(Clone)]
pub struct RunOptions {
    /// Checks at a time; at least one.
    pub jobs: usize,
    /// How long each may wait.
    pub limits: Limits,
    /// What the server offers; see [`Offer::discover`].
    pub offer: Arc<Offer>,
    /// Turns true when the run is to stop; checks under way are cut short, and cleaning up still happens.
    pub cancel: watch::Receiver<bool>,
}

/// Runs checks and gives what stayed behind: paths of objects that were still there at the removal deadline.
///
/// Each finding goes to `sink` as soon as it is there. Slow checks begin at once and run beside the `jobs` others, for they
/// mostly wait; serial checks run alone, after all of these. A check that a cancellation kept from running or from ending
/// is Errored: it was not examined, and that is never a pass.
pub async fn run_checks<'c>(
    checks: &[&'c Check],
    api: &Api,
    options: &RunOptions,
    sink: impl Fn(CheckFinding),
) -> Vec<String> {
    let (serial, beside): (Vec<&Check>, Vec<&Check>) = checks
        .iter()
        .copied()
        .partition(|check| check.serial.is_some());
    let (slow, concurrent): (Vec<&Check>, Vec<&Check>) =
        beside.into_iter().partition(|check| check.slow.is_some());
    let removing = Mutex::new(Vec::new());
    let group = |group: Vec<&'c Check>, jobs: usize| {
        futures::stream::iter(group)
            .map(|check| run_unless_cancelled(check, api.apart(None), options))
            .buffer_unordered(jobs)
            .for_each(|ran| {
                removing
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend(ran.removing);
                sink(ran.finding);
                std::future::ready(())
            })
    };
    let places = slow.len().max(1);
    futures::join!(group(slow, places), group(concurrent, options.jobs.max(1)));
    group(serial, 1).await;
    let removing = removing
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner);
    api.await_gone(removing, options.limits.removal).await
}

async fn run_unless_cancelled(check: &Check, api: Api, options: &RunOptions) -> Ran {
    if *options.cancel.borrow() {
        return Ran {
            finding: interrupted(check, "before it began"),
            removing: Vec::new(),
        };
    }
    let run = run_and_remove(check, &api, &options.offer, options.limits);
    match until_cancelled(run, options.cancel.clone()).await {
        Some(ran) => ran,
        None => Ran {
            finding: interrupted(check, "before it ended"),
            removing: api.remove_made().await,
        },
    }
}

/// The future's output, or `None` when the cancellation came first.
pub(super) async fn until_cancelled<T>(
    run: impl Future<Output = T>,
    mut cancel: watch::Receiver<bool>,
) -> Option<T> {
    let cancelled = async move {
        // A dropped sender can cancel nothing any more.
        if cancel.wait_for(|stop| *stop).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        biased;
        () = cancelled => None,
        output = run => Some(output),
    }
}

fn interrupted(check: &Check, when: &str) -> CheckFinding {
    CheckFinding {
        suite: SUITE.to_owned(),
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        official: check.names().map(str::to_owned).collect(),
        outcome: Outcome::Errored,
        reason: Some(format!("the run was interrupted {when}")),
        facts: 0,
        took_ms: 0.0,
        evidence: Vec::new(),
    }
}
