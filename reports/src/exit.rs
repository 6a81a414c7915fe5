//! Exit codes and their precedence, in this one place.
//!
//! A run may deserve several codes. The greatest in this order is given:
//!
//! 1. `130` interrupted: whatever else is true, the record is cut short by the user's own hand.
//! 2. `5` a budget was exceeded. Before `4` and `6`, since an OOM kill makes later checks fail or error:
//!    they are its consequence.
//! 3. `4` a check failed.
//! 4. `7` leftovers remain. After the findings on the product, which are what was asked for, and before `6`:
//!    the host has changed and `assay sweep` has work to do.
//! 5. `6` errored.
//! 6. `3` nothing ran.
//! 7. `0` passed: only where something was examined and nothing of the above holds.
//!
//! `1` and `2` are never read from a record: they are the binary's own.

use serde::Serialize;

use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};

/// The binary's exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum ExitCode {
    /// Something was examined and all of it holds.
    Passed = 0,
    /// A defect of assay itself.
    Internal = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// All was skipped, or there was no check and no measurement.
    NothingRan = 3,
    /// A check failed.
    CheckFailed = 4,
    /// A budget or a baseline was exceeded; an OOM kill or an unasked end under a budget counts here.
    BudgetExceeded = 5,
    /// It could not be provisioned or judged, or died without reporting.
    Errored = 6,
    /// Something remained on the host.
    Leftovers = 7,
    /// A signal cut it short.
    Interrupted = 130,
}

impl ExitCode {
    /// The number.
    #[must_use]
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The meaning, in a few words.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Internal => "internal error",
            Self::Usage => "usage error",
            Self::NothingRan => "nothing ran",
            Self::CheckFailed => "a check failed",
            Self::BudgetExceeded => "a budget was exceeded",
            Self::Errored => "errored: it could not be provisioned or judged",
            Self::Leftovers => "leftovers remain",
            Self::Interrupted => "interrupted",
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.code())
    }
}

/// The exit code of a judged run. See the module's documentation for the precedence.
///
/// A record that was never judged is errored, not passed. Cells outside the record do not count: skipped
/// cells must be in it. A suite in `started.suites` of which nothing ran in any cell is "nothing ran", also where every check of it was skipped
/// for a reason: a server that merely started answers no question that was asked.
#[must_use]
pub fn exit_code(run: &RunRecord) -> ExitCode {
    let any = |of: fn(&CellRecord) -> bool| run.cells.iter().any(of);
    if run.interrupted {
        ExitCode::Interrupted
    } else if any(exceeded) {
        ExitCode::BudgetExceeded
    } else if any(|cell| has(cell, Outcome::Failed)) {
        ExitCode::CheckFailed
    } else if any(|cell| !cell.leftovers.is_empty()) {
        ExitCode::Leftovers
    } else if !run.finished || any(|cell| has(cell, Outcome::Errored) || unjudged(cell)) {
        ExitCode::Errored
    } else if !any(CellRecord::examined_something) || !silent_suites(run).is_empty() {
        ExitCode::NothingRan
    } else {
        ExitCode::Passed
    }
}

fn has(cell: &CellRecord, outcome: Outcome) -> bool {
    cell.verdicts.iter().any(|v| v.outcome == outcome)
}

/// Every cell that was judged has at least the verdict on its own end.
fn unjudged(cell: &CellRecord) -> bool {
    cell.verdicts.is_empty()
}

/// A failed verdict of the budget, or of liveness where there is a budget that the server did not live in.
fn exceeded(cell: &CellRecord) -> bool {
    let limited = cell.spec.budget.memory_bytes.is_some() || cell.spec.budget.cpu_milli.is_some();
    cell.verdicts.iter().any(|v| {
        v.outcome == Outcome::Failed && (v.gate == "budget" || (limited && v.gate == "liveness"))
    })
}

/// The suites that were asked for by name and of which nothing ran in any cell.
#[must_use]
pub fn silent_suites(run: &RunRecord) -> Vec<&str> {
    run.started
        .suites
        .iter()
        .map(String::as_str)
        .filter(|suite| *suite != "all")
        .filter(|suite| !run.cells.iter().any(|cell| ran(cell, suite)))
        .collect()
}

/// Whether anything of a suite ran there. What was skipped has its reason in the report, and has not run.
fn ran(cell: &CellRecord, suite: &str) -> bool {
    let ran = |outcome| outcome != Outcome::Skipped;
    cell.checks
        .iter()
        .any(|c| c.suite == suite && ran(c.outcome))
        || cell
            .scenarios
            .iter()
            .any(|s| s.suite == suite && ran(s.outcome))
        || cell.measurements.iter().any(|m| m.suite == suite)
        || cell.latencies.iter().any(|l| l.suite == suite)
}
