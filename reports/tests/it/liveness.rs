//! Unasked ends: before the server was ever ready they are no product's failure, unless the kernel killed it.

use crate::support;
use reports::event::BudgetEvidence;
use reports::outcome::Outcome::{self, Errored, Failed};
use reports::record::{Death, RunRecord};
use reports::{ExitCode, exit_code, judge};

const ENDS: &str = "no unasked end of the server";

/// A run whose first cell's server ended; `change` says when and how.
fn ended(change: impl FnOnce(&mut BudgetEvidence)) -> RunRecord {
    let mut run = support::specimen().record();
    let cell = &mut run.cells[0];
    cell.deaths.push(Death {
        at_ms: 1.0,
        how: "exited with code 3".into(),
        log_tail: String::new(),
    });
    let evidence = cell.budget.as_mut().expect("a cell with evidence");
    evidence.restarts = 1;
    change(evidence);
    judge(&mut run);
    run
}

fn outcome_of(run: &RunRecord) -> Outcome {
    let verdict = run.cells[0].verdicts.iter().find(|v| v.what == ENDS);
    verdict.expect("a verdict on liveness").outcome
}

#[test]
fn a_server_that_ended_before_it_was_ready_was_not_provisioned() {
    let run = ended(|evidence| {
        evidence.hold_ms = 0.0;
        evidence.serving_after_hold = None;
    });
    assert_eq!(outcome_of(&run), Errored);
    assert_eq!(exit_code(&run), ExitCode::Errored);
}

#[test]
fn an_oom_kill_is_the_budgets_even_before_it_was_ready() {
    let run = ended(|evidence| {
        evidence.hold_ms = 0.0;
        evidence.serving_after_hold = None;
        evidence.oom_kills = Some(1);
    });
    assert_eq!(outcome_of(&run), Failed);
    assert_eq!(exit_code(&run), ExitCode::BudgetExceeded);
}

/// A run whose first cell's server was told to stop after it had not become ready.
fn never_ready(change: impl FnOnce(&mut BudgetEvidence)) -> RunRecord {
    let mut run = support::specimen().record();
    let cell = &mut run.cells[0];
    cell.outcome = Some(Errored);
    cell.reason = Some("the server was not ready within 180s".into());
    let evidence = cell.budget.as_mut().expect("a cell with evidence");
    evidence.hold_ms = 0.0;
    evidence.serving_after_hold = None;
    change(evidence);
    judge(&mut run);
    run
}

#[test]
fn one_that_never_became_ready_at_its_memory_limit_had_too_little() {
    let starved = never_ready(|evidence| evidence.peak_bytes = Some((512 << 20) - 4096));
    assert_eq!(exit_code(&starved), ExitCode::BudgetExceeded);
    let verdicts = &starved.cells[0].verdicts;
    let verdict = verdicts
        .iter()
        .find(|v| v.what == "ready within its memory");
    assert_eq!(verdict.expect("a verdict").outcome, Failed);
    let below = never_ready(|evidence| evidence.peak_bytes = Some(300 << 20));
    assert_eq!(exit_code(&below), ExitCode::Errored);
    let observed = never_ready(|evidence| {
        evidence.peak_bytes = Some(512 << 20);
        evidence.enforced = false;
    });
    assert_eq!(exit_code(&observed), ExitCode::Errored);
}

#[test]
fn one_that_thrashed_had_too_little_memory_wherever_its_peak_stood() {
    let thrashed = never_ready(|evidence| {
        evidence.peak_bytes = Some(480 << 20);
        evidence.thrashed = Some("it thrashes: 900 pages read back a second".into());
    });
    assert_eq!(exit_code(&thrashed), ExitCode::BudgetExceeded);
    let verdicts = &thrashed.cells[0].verdicts;
    let verdict = verdicts.iter().find(|v| v.what == "no thrashing");
    let verdict = verdict.expect("a verdict");
    assert_eq!(verdict.outcome, Failed);
    assert!(verdict.because.contains("900 pages"));
}

#[test]
fn a_server_that_ended_after_it_was_ready_has_failed() {
    let run = ended(|evidence| {
        evidence.hold_ms = 1500.0;
        evidence.serving_after_hold = Some(false);
    });
    assert_eq!(outcome_of(&run), Failed);
    assert_eq!(exit_code(&run), ExitCode::BudgetExceeded);
}

#[test]
fn without_evidence_nobody_knows_that_it_never_served() {
    let mut run = ended(|_| ());
    run.cells[0].budget = None;
    judge(&mut run);
    assert_eq!(outcome_of(&run), Failed);
}
