//! What figures are of: a machine, whose size is what its own kernel found and nobody's wish; a cgroup; or processes.

use crate::support;
use reports::event::BudgetEvidence;
use reports::figures::PeakSource::{Kernel, ResidentPeaks, SampledRss};
use reports::gate::Verdict;
use reports::metric::Metric::Rss;
use reports::outcome::Outcome::{Errored, Passed, Skipped};
use reports::record::RunRecord;
use reports::record::Series;
use reports::{ExitCode, exit_code, judge};

const IN_FORCE: &str = "budget in force";

/// A run whose first cell was a machine of 512 MiB and one CPU.
fn machine(change: impl FnOnce(&mut BudgetEvidence)) -> RunRecord {
    let mut run = support::specimen().record();
    let evidence = run.cells[0].budget.as_mut().expect("a cell with evidence");
    evidence.machine = true;
    evidence.stayed_in_cgroup = false;
    // As Linux 6.1 on arm64 tells.
    evidence.memory_limit_bytes = Some(490_364 << 10);
    change(evidence);
    judge(&mut run);
    run
}

fn in_force(run: &RunRecord) -> &Verdict {
    let verdicts = &run.cells[0].verdicts;
    let found = verdicts.iter().find(|verdict| verdict.what == IN_FORCE);
    found.expect("a verdict on the budget")
}

#[test]
fn a_machine_of_the_size_asked_for_is_a_budget_in_force() {
    let run = machine(|_| {});
    let verdict = in_force(&run);
    assert_eq!(verdict.outcome, Passed, "{}", verdict.because);
    assert!(
        verdict
            .because
            .contains("the machine's own kernel found 479"),
        "{}",
        verdict.because
    );
    assert_eq!(exit_code(&run), ExitCode::Passed);
}

#[test]
fn what_nobody_counted_is_no_pass() {
    for enforced in [true, false] {
        let run = machine(|e| {
            e.oom_kills = None;
            e.enforced = enforced;
        });
        let verdicts = &run.cells[0].verdicts;
        let oom = verdicts.iter().find(|v| v.what == "no OOM kill");
        let wanted = if enforced { Errored } else { Skipped };
        assert_eq!(oom.map(|v| v.outcome), Some(wanted));
    }
    let known = support::evidence(100.0);
    let mut unknown = known.clone();
    unknown.oom_kills = None;
    assert_eq!(known.clone().worst_with(&unknown).oom_kills, None);
    let mut killed = known;
    killed.oom_kills = Some(1);
    assert_eq!(unknown.worst_with(&killed).oom_kills, Some(1));
}

#[test]
fn a_machine_that_tells_nothing_or_something_else_was_not_seen_in_force() {
    for change in [
        |e: &mut BudgetEvidence| e.memory_limit_bytes = None,
        |e: &mut BudgetEvidence| e.memory_limit_bytes = Some((512 << 20) + 4096),
        |e: &mut BudgetEvidence| e.memory_limit_bytes = Some(256 << 20),
        |e: &mut BudgetEvidence| e.cpu_limit_milli = None,
        |e: &mut BudgetEvidence| e.cpu_limit_milli = Some(2000),
    ] {
        let run = machine(change);
        assert_eq!(in_force(&run).outcome, Errored);
        assert_eq!(exit_code(&run), ExitCode::Errored);
    }
}

#[test]
fn what_processes_tell_of_themselves_is_no_peak_of_a_cgroup() {
    let mut run = support::specimen().record();
    let cell = &mut run.cells[0];
    assert_eq!(cell.peak().map(|peak| peak.source), Some(Kernel));
    let rss = |source: &str, bytes| Series {
        source: source.into(),
        metric: Rss,
        points: vec![(1.0, bytes)],
    };
    cell.series = vec![rss("process-tree", 2e8), rss("process:k3s-server", 1e8)];
    let evidence = cell.budget.as_mut().expect("a cell with evidence");
    evidence.enforced = false;
    evidence.stayed_in_cgroup = false;
    evidence.peak_bytes = Some(300 << 20);
    let peak = cell.peak().expect("a peak");
    assert_eq!(peak.source, ResidentPeaks);
    assert!(reports::tables::peak(cell).contains("resident sets, added up"));
    // Most of the processes had ended when the evidence was taken.
    cell.budget.as_mut().expect("evidence").peak_bytes = Some(1 << 20);
    let peak = cell.peak().expect("a peak");
    assert_eq!((peak.source, peak.bytes), (SampledRss, 2e8));
}
