//! The matrix of checks and mutants: each check runs under each defect that it says it notices.

use std::fmt::Write as _;

use futures::StreamExt;
use reports::outcome::Outcome;

use super::one::run_and_remove;
use super::run::until_cancelled;
use super::{Check, RunOptions};
use crate::api::Api;
use crate::api::mutant::Mutant;

/// How a check met a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meeting {
    /// The check failed, as it must.
    Killed,
    /// The check passed: it does not see the defect.
    Survived,
    /// The check passed because the defect never came to act: the declaration is wrong.
    Idle,
    /// The check was Errored: nothing is proven.
    Errored,
}

/// One cell of the matrix.
#[derive(Debug, Clone)]
pub struct MutantCell {
    /// The mutant's name.
    pub mutant: &'static str,
    /// How it went.
    pub meeting: Meeting,
    /// What the check said.
    pub reason: String,
    /// Milliseconds until it said so.
    pub took_ms: f64,
}

/// A check under no mutant and under each of its own.
#[derive(Debug, Clone)]
pub struct MutantRow {
    /// The check.
    pub check: &'static str,
    /// Under no mutant. Anything but Passed makes the row worthless.
    pub control: Outcome,
    /// Why the control did not pass.
    pub control_reason: Option<String>,
    /// The cells; empty unless the control passed.
    pub cells: Vec<MutantCell>,
}

impl MutantRow {
    /// Whether the check is proven: it passes on the healthy server and kills at least one mutant and all that it declares.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.control == Outcome::Passed
            && !self.cells.is_empty()
            && self
                .cells
                .iter()
                .all(|cell| cell.meeting == Meeting::Killed)
    }
}

/// The whole matrix.
#[derive(Debug, Clone, Default)]
pub struct MutantMatrix {
    /// One row a check, in the order of the table.
    pub rows: Vec<MutantRow>,
    /// Paths of objects that stayed behind.
    pub left: Vec<String>,
}

/// Runs each check without a mutant and then under each that it declares. Skipped checks keep a row without cells.
///
/// Give [`RunOptions::limits`] a short patience: a lost event is noticed by waiting for it in vain. The control runs
/// under the same patience, so that impatience alone cannot pass for a kill.
pub async fn run_mutants(
    checks: &[&'static Check],
    api: &Api,
    options: &RunOptions,
) -> MutantMatrix {
    let jobs = options.jobs.max(1);
    let rows = futures::stream::iter(checks.iter().copied())
        .map(|check| row(check, api, options))
        .buffered(jobs)
        .collect::<Vec<_>>()
        .await;
    let (rows, removing): (Vec<_>, Vec<_>) = rows.into_iter().unzip();
    let left = api
        .await_gone(removing.concat(), options.limits.removal)
        .await;
    MutantMatrix { rows, left }
}

async fn row(check: &'static Check, api: &Api, options: &RunOptions) -> (MutantRow, Vec<String>) {
    let mut removing = Vec::new();
    let control = one(check, api, None, options, &mut removing).await;
    let mut row = MutantRow {
        check: check.id,
        control: control.0,
        control_reason: control.1,
        cells: Vec::new(),
    };
    if row.control == Outcome::Passed {
        for mutant in check.kills {
            let (outcome, reason, took_ms, applied) =
                one(check, api, Some(*mutant), options, &mut removing).await;
            let meeting = match outcome {
                Outcome::Failed => Meeting::Killed,
                Outcome::Passed | Outcome::Skipped if applied == 0 => Meeting::Idle,
                Outcome::Passed | Outcome::Skipped => Meeting::Survived,
                Outcome::Errored => Meeting::Errored,
            };
            row.cells.push(MutantCell {
                mutant: mutant.name,
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

impl MutantMatrix {
    /// Cells of this kind.
    #[must_use]
    pub fn count(&self, meeting: Meeting) -> usize {
        self.rows
            .iter()
            .flat_map(|row| &row.cells)
            .filter(|cell| cell.meeting == meeting)
            .count()
    }

    /// Whether every check that was not skipped is proven, and at least one was.
    #[must_use]
    pub fn proven(&self) -> bool {
        let mut examined = self
            .rows
            .iter()
            .filter(|row| row.control != Outcome::Skipped)
            .peekable();
        examined.peek().is_some() && examined.all(MutantRow::proven)
    }

    /// The matrix as text: one line a check, then what was not killed, then the sums.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for row in &self.rows {
            let killed = row
                .cells
                .iter()
                .filter(|cell| cell.meeting == Meeting::Killed)
                .count();
            let took: f64 = row.cells.iter().map(|cell| cell.took_ms).sum();
            let mark = if row.proven() { "proven" } else { "NOT PROVEN" };
            let mark = if row.control == Outcome::Skipped {
                "skipped"
            } else {
                mark
            };
            let _ = writeln!(
                text,
                "{mark:<11} {:<70} {killed}/{} killed, {:.1} s",
                row.check,
                row.cells.len(),
                took.max(0.0) / 1000.0
            );
            if let Some(reason) = &row.control_reason {
                let _ = writeln!(
                    text,
                    "            without a mutant: {}: {reason}",
                    row.control.word()
                );
            }
            for cell in &row.cells {
                let _ = writeln!(
                    text,
                    "            {:<9} {:<36} {:>6.0} ms  {}",
                    word(cell.meeting),
                    cell.mutant,
                    cell.took_ms,
                    cell.reason
                );
            }
        }
        let _ = writeln!(
            text,
            "{} checks; {} killed, {} survived, {} idle, {} errored",
            self.rows.len(),
            self.count(Meeting::Killed),
            self.count(Meeting::Survived),
            self.count(Meeting::Idle),
            self.count(Meeting::Errored)
        );
        for path in &self.left {
            let _ = writeln!(text, "still there: {path}");
        }
        text
    }
}

fn word(meeting: Meeting) -> &'static str {
    match meeting {
        Meeting::Killed => "killed",
        Meeting::Survived => "SURVIVED",
        Meeting::Idle => "IDLE",
        Meeting::Errored => "ERRORED",
    }
}
