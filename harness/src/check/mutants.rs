//! The matrix of checks and mutants: each check runs under each defect that it says it notices.

use futures::StreamExt;
use reports::mutants::{Meeting, MutantCell, MutantMatrix, MutantRow};
use reports::outcome::Outcome;

use super::one::run_and_remove;
use super::run::until_cancelled;
use super::{Check, RunOptions};
use crate::api::Api;
use crate::api::mutant::Mutant;

/// Runs each check without a mutant and then under each that it declares. Skipped checks keep a row without cells.
///
/// Give [`RunOptions::limits`] a short patience: a lost event is noticed by waiting for it in vain. The control runs
/// under the same patience, so that impatience alone cannot pass for a kill.
pub async fn run_mutants(
    checks: &[&'static Check],
    api: &Api,
    options: &RunOptions,
) -> MutantMatrix {
    let mut rows = Vec::new();
    // Those that must run alone come last, one after the other.
    for (serial, jobs) in [(false, options.jobs.max(1)), (true, 1)] {
        let chosen = checks.iter().copied().enumerate();
        let chosen = chosen.filter(|(_, check)| check.serial.is_some() == serial);
        let ran = futures::stream::iter(chosen)
            .map(|(nth, check)| async move { (nth, row(check, api, options).await) })
            .buffer_unordered(jobs);
        rows.extend(ran.collect::<Vec<_>>().await);
    }
    rows.sort_by_key(|(nth, _)| *nth);
    let (rows, removing): (Vec<_>, Vec<_>) = rows.into_iter().map(|(_, row)| row).unzip();
    let left = api
        .await_gone(removing.concat(), options.limits.removal)
        .await;
    MutantMatrix {
        rows,
        left,
        ..MutantMatrix::default()
    }
}

async fn row(check: &'static Check, api: &Api, options: &RunOptions) -> (MutantRow, Vec<String>) {
    let mut removing = Vec::new();
    let control = one(check, api, None, options, &mut removing).await;
    let mut row = MutantRow {
        check: check.id.to_owned(),
        control: control.0,
        control_reason: control.1,
        cells: Vec::new(),
    };
    if row.control == Outcome::Passed {
        for mutant in check.kills {
            let (outcome, reason, took_ms, applied) =
                one(check, api, Some(*mutant), options, &mut removing).await;
            let meeting = match outcome {
                // Whatever failed then, it was not this defect that was noticed.
                Outcome::Passed | Outcome::Failed | Outcome::Skipped if applied == 0 => {
                    Meeting::Idle
                }
                Outcome::Failed => Meeting::Killed,
                Outcome::Passed | Outcome::Skipped => Meeting::Survived,
                Outcome::Errored => Meeting::Errored,
            };
            row.cells.push(MutantCell {
                mutant: mutant.name.to_owned(),
                meeting,
                reason: reason.unwrap_or_default(),
                took_ms,
            });
        }
    }
    (row, removing)
}

async fn one(
    check: &Check,
    api: &Api,
    mutant: Option<Mutant>,
    options: &RunOptions,
    removing: &mut Vec<String>,
) -> (Outcome, Option<String>, f64, u64) {
    let api = api.apart(mutant);
    match until_cancelled(
        run_and_remove(check, &api, &options.offer, options.limits),
        options.cancel.clone(),
    )
    .await
    {
        Some(ran) => {
            removing.extend(ran.removing);
            (
                ran.finding.outcome,
                ran.finding.reason,
                ran.finding.took_ms,
                api.mutations().unwrap_or(0),
            )
        }
        None => {
            removing.extend(api.remove_made().await);
            (
                Outcome::Errored,
                Some("the run was interrupted".to_owned()),
                0.0,
                0,
            )
        }
    }
}
