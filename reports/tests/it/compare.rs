//! Two runs against each other: what changed, what is noise, and what is refused with a sentence.

use reports::budget::Budget;
use reports::compare::{Change, Comparison, compare};
use reports::event::{DiskProbe, EventKind};
use reports::metric::Unit;
use reports::outcome::Outcome;
use reports::record::RunRecord;
use reports::repeats;

use crate::support::{self, Journal, evidence, latency, measurement, spec};

/// A run of repeats of one cell: each measures a rate, and a distribution of times, that are `by` times the usual.
fn run(name: &str, store: &str, repeats: u32, by: f64) -> RunRecord {
    let mut j = Journal::new(name);
    let base = format!("native-k3s-{store}-edge");
    for nth in 0..repeats {
        let id = repeats::id(&base, nth);
        let at = 100.0 + f64::from(nth) * 60_000.0;
        let mut spec = spec("k3s", store, Budget::edge());
        spec.repeat = nth;
        let wobble = 1.0 + (j.noise() - 0.5) * 0.06;
        let mut say = |kind| j.push(at, Some(&id), kind);
        say(EventKind::CellStarted(spec));
        let mut probe = latency("fdatasync", 1, 1700.0, 500);
        probe.labels.clear();
        say(EventKind::DiskProbe(DiskProbe {
            write_bytes: 2300,
            latency: Some(probe),
            not_probed_because: None,
        }));
        let mut knee = measurement("write_ladder", "knee", Unit::PerSecond, 900.0 / by * wobble);
        knee.suite = "datastore".into();
        knee.labels.insert("level".into(), "api".into());
        say(EventKind::Measurement(knee));
        let mut times = latency("create", 1, 1000.0 * by * wobble, 2000);
        times.scenario = "write_ladder".into();
        say(EventKind::Latency(times));
        say(EventKind::ScenarioFinished {
            suite: "datastore".into(),
            scenario: "write_ladder".into(),
            outcome: Outcome::Passed,
            reason: None,
        });
        say(EventKind::BudgetEvidence(evidence(300.0)));
        say(EventKind::CellFinished {
            outcome: Outcome::Passed,
            reason: None,
        });
    }
    j.finish(1e6);
    j.record()
}

fn change(comparison: &Comparison, figure: &str) -> Change {
    let rows = comparison.pairs.iter().flat_map(|pair| &pair.rows);
    let row = rows.into_iter().find(|row| row.figure.words() == figure);
    row.unwrap_or_else(|| panic!("{figure} in {comparison:#?}"))
        .difference
        .change
}

#[track_caller]
fn refused(a: &RunRecord, b: &RunRecord, words: &str) {
    let comparison = compare(a, b, &[]).unwrap();
    assert_eq!(comparison.pairs, [], "{words}");
    let said = comparison.refused.join("\n");
    assert!(said.contains(words), "{words:?} is not in {said:?}");
}

const KNEE: &str = "write_ladder: knee (level=api)";

#[test]
fn what_changed_is_told_from_noise() {
    let before = run("before", "sqlite", 5, 1.0);
    let after = compare(&before, &run("after", "sqlite", 5, 1.5), &[]).unwrap();
    assert_eq!(change(&after, KNEE), Change::Worse);
    assert_eq!(
        change(&after, "write_ladder: create p50 (clients=1)"),
        Change::Worse
    );
    assert_eq!(change(&after, "peak memory"), Change::WithinNoise);
    assert!(after.regressed() && after.refused.is_empty(), "{after:#?}");
    let better = compare(&before, &run("after", "sqlite", 5, 0.5), &[]).unwrap();
    assert_eq!(change(&better, KNEE), Change::Better);
    assert!(!better.regressed());
    let same = compare(&before, &before, &[]).unwrap();
    assert_eq!(change(&same, KNEE), Change::WithinNoise);
    let few = compare(
        &run("few", "sqlite", 4, 1.0),
        &run("after", "sqlite", 5, 9.0),
        &[],
    )
    .unwrap();
    assert_eq!(change(&few, KNEE), Change::TooFew);
    assert!(!few.regressed(), "too few to tell is no alarm");
}

#[test]
fn what_is_not_alike_is_refused() {
    let good = run("good", "sqlite", 2, 1.0);
    let with = |change: &dyn Fn(&mut RunRecord)| {
        let mut run = good.clone();
        change(&mut run);
        run
    };
    let each = |change: &dyn Fn(&mut reports::record::CellRecord)| {
        with(&|run| run.cells.iter_mut().for_each(change))
    };
    refused(
        &good,
        &with(&|r| r.started.host.kernel = "5.15".into()),
        "different kernels",
    );
    refused(
        &good,
        &with(&|r| r.started.host.cpu = "Cortex-A72".into()),
        "different processors",
    );
    refused(
        &good,
        &with(&|r| r.started.host.cpus = 4),
        "different numbers of CPUs: 2 in A, 4 in B",
    );
    refused(
        &good,
        &each(&|c| c.spec.target = "docker".into()),
        "different targets: native in A, docker in B",
    );
    refused(
        &good,
        &each(&|c| c.spec.emulated = true),
        "one of them is emulated",
    );
    refused(
        &good,
        &each(&|c| c.spec.budget = Budget::unlimited()),
        "different budgets",
    );
    refused(&good, &each(&|c| c.spec.specimen = true), "is the specimen");
    let slow = each(&|c| {
        let probe = c.disk_probe.as_mut().unwrap().latency.as_mut().unwrap();
        probe.buckets.iter_mut().for_each(|b| b.0 *= 3);
        probe.max_us *= 3;
    });
    refused(&good, &slow, "their disks differ more than twofold");
    let skipped = each(&|c| {
        c.outcome = Some(Outcome::Skipped);
        c.reason = Some("etcd is not on PATH".into());
    });
    refused(&good, &skipped, "it was skipped in B: etcd is not on PATH");
    refused(
        &good,
        &run("other", "etcd", 2, 1.0),
        "say with --cells A=B which belong together",
    );
    refused(
        &with(&|r| r.cells.clear()),
        &good,
        "no cell of A has the id of one of B",
    );
}

#[test]
fn another_workload_is_refused_and_the_rest_is_compared() {
    let good = run("good", "sqlite", 5, 1.0);
    let mut other = good.clone();
    for cell in &mut other.cells {
        for l in &mut cell.latencies {
            l.labels.insert("value_bytes".into(), "4096".into());
        }
    }
    let comparison = compare(&good, &other, &[]).unwrap();
    let said = comparison.refused.join("\n");
    assert!(
        said.contains("write_ladder ran with another workload: clients=1 in A, clients=1 value_bytes=4096 in B"),
        "{said}"
    );
    assert_eq!(change(&comparison, KNEE), Change::WithinNoise);
}

#[test]
fn cells_of_other_names_are_compared_when_told_so() {
    let (a, b) = (run("a", "sqlite", 5, 1.0), run("b", "etcd", 5, 2.0));
    let told = |right: &str| [("native-k3s-sqlite-edge".to_owned(), right.to_owned())];
    let comparison = compare(&a, &b, &told("native-k3s-etcd-edge")).unwrap();
    assert_eq!(change(&comparison, KNEE), Change::Worse);
    let error = compare(&a, &b, &told("native-k3s-etcd-edge-r2")).unwrap_err();
    assert!(
        error.contains("run B has no cell") && error.contains("native-k3s-etcd-edge"),
        "{error}"
    );
}

#[test]
fn times_of_an_emulator_are_not_compared() {
    let mut run = run("emulated", "sqlite", 5, 1.0);
    run.cells
        .iter_mut()
        .for_each(|cell| cell.spec.emulated = true);
    let comparison = compare(&run, &run, &[]).unwrap();
    let units: Vec<Unit> = comparison.pairs[0]
        .rows
        .iter()
        .map(|row| row.figure.unit.0)
        .collect();
    assert!(
        units.contains(&Unit::Bytes) && !units.contains(&Unit::Milliseconds),
        "{units:?}"
    );
    assert!(comparison.refused.join("").contains("the emulator's"));
}

#[test]
fn a_check_that_fails_now_is_worse() {
    let before = support::specimen().record();
    let mut after = before.clone();
    after.cells[0].checks[0].outcome = Outcome::Failed;
    let comparison = compare(&before, &after, &[]).unwrap();
    assert!(comparison.regressed());
    let finding = &comparison.pairs[0].findings[0];
    assert_eq!(
        (finding.a, finding.b, finding.change),
        (Outcome::Passed, Outcome::Failed, Change::Worse)
    );
    let back = compare(&after, &before, &[]).unwrap();
    assert_eq!(back.pairs[0].findings[0].change, Change::Better);
}

#[test]
fn a_run_cut_short_says_so() {
    let mut torn = RunRecord::from_journal(&support::torn()).unwrap();
    reports::judge(&mut torn);
    let comparison = compare(&support::pair().record(), &torn, &[]).unwrap();
    assert!(
        comparison
            .notes
            .iter()
            .any(|n| n.contains("run B did not end in order")),
        "{comparison:#?}"
    );
}

#[test]
fn golden_comparison() {
    let (a, b) = (
        run("before", "sqlite", 5, 1.0),
        run("after", "sqlite", 5, 1.5),
    );
    let comparison = compare(&a, &b, &[]).unwrap();
    insta::assert_snapshot!("compare-text", reports::compare::text(&comparison));
    insta::assert_snapshot!("compare-markdown", reports::compare::markdown(&comparison));
}

/// Hostile words of a server reach neither the terminal nor a table's structure.
#[test]
fn hostile_words_are_tamed() {
    let mut run = run("hostile", "sqlite", 5, 1.0);
    for cell in &mut run.cells {
        cell.spec.version = "v1\u{1b}[31m|<script>".into();
        cell.measurements[0].name = "kn|ee\n## head".into();
    }
    let comparison = compare(&run, &run, &[]).unwrap();
    let text = reports::compare::text(&comparison);
    assert!(!text.contains('\u{1b}'), "{text}");
    let markdown = reports::compare::markdown(&comparison);
    assert!(
        !markdown.contains("<script>") && !markdown.contains("\n## head"),
        "{markdown}"
    );
}
