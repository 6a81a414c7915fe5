//! Every bad fact flips a verdict, and every verdict its exit code.

use crate::support;
use reports::event::{BudgetEvidence, EventKind};
use reports::outcome::Outcome::{self, Errored, Failed, Passed, Skipped};
use reports::record::{CellRecord, Death, RunRecord};
use reports::{ExitCode, exit_code, judge};

fn good() -> RunRecord {
    support::specimen().record()
}

fn changed(change: impl FnOnce(&mut RunRecord)) -> RunRecord {
    let mut run = good();
    change(&mut run);
    judge(&mut run);
    run
}

fn cell(change: impl FnOnce(&mut CellRecord)) -> RunRecord {
    changed(|run| change(&mut run.cells[0]))
}

fn evidence(change: impl FnOnce(&mut BudgetEvidence)) -> RunRecord {
    cell(|c| change(c.budget.as_mut().unwrap()))
}

/// The verdicts that are neither passed nor skipped.
fn bad(run: &RunRecord) -> Vec<(String, Outcome)> {
    run.cells
        .iter()
        .flat_map(|c| &c.verdicts)
        .filter(|v| v.outcome >= Errored)
        .map(|v| (v.what.clone(), v.outcome))
        .collect()
}

#[track_caller]
fn flips(run: &RunRecord, what: &str, outcome: Outcome, code: ExitCode) {
    assert_eq!(bad(run), [(what.to_owned(), outcome)]);
    assert_eq!(exit_code(run), code);
}

const PEAK: &str = "peak within 512 MiB";

#[test]
fn a_good_run_passes() {
    assert_eq!(bad(&good()), []);
    assert_eq!(exit_code(&good()), ExitCode::Passed);
}

#[test]
fn each_bad_fact_of_the_budget_flips_its_verdict() {
    let exceeded = ExitCode::BudgetExceeded;
    flips(
        &evidence(|e| e.peak_bytes = Some((512 << 20) + (1 << 20))),
        PEAK,
        Failed,
        exceeded,
    );
    flips(
        &evidence(|e| e.oom_kills = Some(1)),
        "no OOM kill",
        Failed,
        exceeded,
    );
    flips(
        &evidence(|e| e.restarts = 1),
        "no unasked end of the server",
        Failed,
        exceeded,
    );
    let hold = "serving after the hold period";
    flips(
        &evidence(|e| e.serving_after_hold = Some(false)),
        hold,
        Failed,
        exceeded,
    );
    let stayed = "stayed in its cgroup";
    flips(
        &evidence(|e| e.stayed_in_cgroup = false),
        stayed,
        Errored,
        ExitCode::Errored,
    );
    for change in [
        |e: &mut BudgetEvidence| e.memory_limit_bytes = None,
        |e: &mut BudgetEvidence| e.memory_limit_bytes = Some((512 << 20) + 4096),
        |e: &mut BudgetEvidence| e.memory_limit_bytes = Some((512 << 20) - 64 * 1024),
        |e: &mut BudgetEvidence| e.cpu_limit_milli = None,
        |e: &mut BudgetEvidence| e.cpu_limit_milli = Some(1002),
        |e: &mut BudgetEvidence| e.cpu_limit_milli = Some(500),
    ] {
        flips(
            &evidence(change),
            "budget in force",
            Errored,
            ExitCode::Errored,
        );
    }
    let rounded = evidence(|e| e.memory_limit_bytes = Some((512 << 20) - 4096));
    assert_eq!(bad(&rounded), [], "the kernel rounds to pages");
    let exact = evidence(|e| e.peak_bytes = Some(512 << 20));
    assert_eq!(bad(&exact), [], "at the limit is within it");
    let page = |enforced| {
        evidence(|e| {
            e.peak_bytes = Some((512 << 20) + 4096);
            e.enforced = enforced;
        })
    };
    assert_eq!(bad(&page(true)), [], "the kernel's own overshoot");
    flips(&page(false), PEAK, Failed, exceeded);
}

#[test]
fn samples_and_deaths_count_where_the_evidence_is_silent() {
    let oom = cell(|c| {
        c.series.push(reports::record::Series {
            source: "cgroup-v2".into(),
            metric: reports::metric::Metric::OomKills,
            points: vec![(1.0, 0.0), (2.0, 1.0)],
        });
    });
    flips(&oom, "no OOM kill", Failed, ExitCode::BudgetExceeded);
    let died = cell(|c| {
        c.deaths.push(Death {
            at_ms: 1.0,
            how: "exit 1".into(),
            log_tail: String::new(),
        });
    });
    flips(
        &died,
        "no unasked end of the server",
        Failed,
        ExitCode::BudgetExceeded,
    );
    // Without a budget there is none to exceed; the death is a failure all the same.
    let unlimited = changed(|run| {
        run.cells[0].spec.budget = reports::budget::Budget::unlimited();
        run.cells[0].budget.as_mut().unwrap().restarts = 1;
    });
    assert_eq!(exit_code(&unlimited), ExitCode::CheckFailed);
}

#[test]
fn no_evidence_is_never_a_pass() {
    let run = cell(|c| c.budget = None);
    let what: Vec<_> = bad(&run);
    assert_eq!(what.len(), 4, "{what:?}");
    assert!(what.iter().all(|(_, outcome)| *outcome == Errored));
    assert_eq!(exit_code(&run), ExitCode::Errored);
    let blind = cell(|c| {
        c.series.clear();
        c.budget.as_mut().unwrap().peak_bytes = None;
    });
    flips(&blind, PEAK, Errored, ExitCode::Errored);
    // Resident sets lack page cache and kernel memory: enough to observe, not to judge an enforced limit.
    let resident = |enforced| {
        cell(|c| {
            c.series = vec![reports::record::Series {
                source: "process:k3s-server".into(),
                metric: reports::metric::Metric::Rss,
                points: vec![(1.0, 3e8)],
            }];
            let evidence = c.budget.as_mut().unwrap();
            evidence.peak_bytes = None;
            evidence.enforced = enforced;
        })
    };
    flips(&resident(true), PEAK, Errored, ExitCode::Errored);
    assert_eq!(exit_code(&resident(false)), ExitCode::Passed);
}

#[test]
fn the_worst_of_two_pieces_of_evidence_is_kept_in_each_field() {
    let good = support::evidence(100.0);
    let mut bad = support::evidence(200.0);
    bad.enforced = false;
    bad.not_enforced_because = Some("why".into());
    bad.memory_limit_bytes = None;
    bad.oom_kills = Some(2);
    bad.limit_hits = 3;
    bad.throttled_share = Some(0.9);
    bad.stayed_in_cgroup = false;
    bad.restarts = 4;
    bad.serving_after_hold = Some(false);
    bad.hold_ms = 20_000.0;
    assert_eq!(good.clone().worst_with(&bad), bad);
    assert_eq!(bad.clone().worst_with(&good), bad);
}

#[test]
fn an_observed_budget_is_judged_and_says_so() {
    let observed = |peak: u64| {
        evidence(|e| {
            e.enforced = false;
            e.not_enforced_because = Some("not root".into());
            e.memory_limit_bytes = None;
            e.cpu_limit_milli = None;
            e.stayed_in_cgroup = false;
            e.peak_bytes = Some(peak);
        })
    };
    let run = observed(300 << 20);
    assert_eq!(exit_code(&run), ExitCode::Passed);
    let peak = run.cells[0]
        .verdicts
        .iter()
        .find(|v| v.what == PEAK)
        .unwrap();
    assert!(
        peak.because.contains("observed, not enforced"),
        "{}",
        peak.because
    );
    flips(&observed(513 << 20), PEAK, Failed, ExitCode::BudgetExceeded);
}

#[test]
fn each_bad_check_flips_its_verdict() {
    let check = |outcome, facts| {
        cell(|c| {
            c.checks[3].outcome = outcome;
            c.checks[3].facts = facts;
        })
    };
    let what = "conformance checks";
    flips(&check(Failed, 4), what, Failed, ExitCode::CheckFailed);
    flips(&check(Errored, 4), what, Errored, ExitCode::Errored);
    flips(&check(Passed, 0), what, Errored, ExitCode::Errored);
    assert_eq!(exit_code(&check(Skipped, 0)), ExitCode::Passed);
}

#[test]
fn silence_flips_the_cell() {
    let what = "the cell ran to its end";
    flips(
        &cell(|c| c.outcome = None),
        what,
        Errored,
        ExitCode::Errored,
    );
    flips(
        &cell(|c| c.outcome = Some(Errored)),
        what,
        Errored,
        ExitCode::Errored,
    );
    flips(
        &cell(|c| c.outcome = Some(Failed)),
        what,
        Failed,
        ExitCode::CheckFailed,
    );
    let empty = cell(|c| {
        c.checks.clear();
        c.measurements.clear();
        c.latencies.clear();
    });
    flips(&empty, what, Errored, ExitCode::Errored);
    let scenario = |outcome| cell(|c| c.scenarios[0].outcome = outcome);
    flips(
        &scenario(Errored),
        "footprint/cold_start",
        Errored,
        ExitCode::Errored,
    );
    flips(
        &scenario(Failed),
        "footprint/cold_start",
        Failed,
        ExitCode::CheckFailed,
    );
}

#[test]
fn nothing_ran_is_not_a_pass() {
    let skip = |c: &mut CellRecord| {
        c.outcome = Some(Skipped);
        c.checks.clear();
        c.measurements.clear();
        c.latencies.clear();
        c.budget = None;
    };
    let all = changed(|run| run.cells.iter_mut().for_each(skip));
    assert_eq!((bad(&all), exit_code(&all)), (vec![], ExitCode::NothingRan));
    let one = changed(|run| skip(&mut run.cells[1]));
    assert_eq!((bad(&one), exit_code(&one)), (vec![], ExitCode::Passed));
    assert_eq!(
        exit_code(&changed(|run| run.cells.clear())),
        ExitCode::NothingRan
    );
    let silent = changed(|run| run.started.suites.push("resilience".into()));
    assert_eq!(exit_code(&silent), ExitCode::NothingRan);
    let skipped_checks = changed(|run| {
        run.started.suites = vec!["conformance".into()];
        for cell in &mut run.cells {
            // A server that was started leaves figures of its cold start, which are the footprint's.
            cell.measurements.retain(|m| m.suite != "conformance");
            cell.latencies.clear();
            cell.checks.iter_mut().for_each(|c| c.outcome = Skipped);
            cell.outcome = Some(Skipped);
        }
    });
    assert_eq!(exit_code(&skipped_checks), ExitCode::NothingRan);
}

#[test]
fn an_unjudged_or_unfinished_run_is_errored() {
    let mut run = good();
    run.cells[1].verdicts.clear();
    assert_eq!(exit_code(&run), ExitCode::Errored);
    assert_eq!(
        exit_code(&changed(|run| run.finished = false)),
        ExitCode::Errored
    );
}

#[test]
fn precedence_is_as_documented() {
    let mut run = good();
    let mut expect = |change: fn(&mut RunRecord), code| {
        change(&mut run);
        judge(&mut run);
        assert_eq!(exit_code(&run), code);
    };
    expect(|run| run.cells[1].outcome = None, ExitCode::Errored);
    expect(
        |run| run.cells[0].leftovers.push("cgroup x".into()),
        ExitCode::Leftovers,
    );
    expect(
        |run| run.cells[1].checks[0].outcome = Failed,
        ExitCode::CheckFailed,
    );
    expect(
        |run| run.cells[1].budget.as_mut().unwrap().oom_kills = Some(1),
        ExitCode::BudgetExceeded,
    );
    expect(|run| run.interrupted = true, ExitCode::Interrupted);
    let oom = support::oom().record();
    assert_eq!(
        exit_code(&oom),
        ExitCode::BudgetExceeded,
        "not a crash of the harness"
    );
    let codes = [0, 1, 2, 3, 4, 5, 6, 7, 130];
    use ExitCode::*;
    let all = [
        ExitCode::Passed,
        Internal,
        Usage,
        NothingRan,
        CheckFailed,
        BudgetExceeded,
        ExitCode::Errored,
        Leftovers,
        Interrupted,
    ];
    assert_eq!(all.map(ExitCode::code), codes);
}

#[test]
fn judging_again_replaces() {
    let mut run = good();
    let before = run.clone();
    judge(&mut run);
    assert_eq!(run, before);
}

#[test]
fn the_worst_evidence_of_a_cell_counts() {
    let mut journal = support::specimen();
    let mut early = support::evidence(20.0);
    early.oom_kills = Some(1);
    early.serving_after_hold = None;
    let at = journal.events.len() / 4;
    let id = journal.events[at].cell.clone();
    let event = reports::event::Event {
        at_ms: journal.events[at].at_ms,
        cell: id,
        kind: EventKind::BudgetEvidence(early),
    };
    journal.events.insert(at, event);
    let run = journal.record();
    flips(&run, "no OOM kill", Failed, ExitCode::BudgetExceeded);
    assert_eq!(
        run.cells[0].budget.as_ref().unwrap().serving_after_hold,
        Some(true)
    );
}
