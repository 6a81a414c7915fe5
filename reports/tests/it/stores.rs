//! What you get and what you pay: every figure from an event, every gap with its reason.

use reports::plot::{Width, all};
use reports::record::RunRecord;
use reports::stores::{Answer, Bargain, Line, bargains};

use crate::support;

fn line<'a>(bargain: &'a Bargain, question: &str) -> &'a Line {
    let mut lines = bargain.sections.iter().flat_map(|(_, lines)| lines);
    let found = lines.find(|line| line.question == question);
    found.unwrap_or_else(|| panic!("{question} in {bargain:#?}"))
}

fn only(run: &RunRecord) -> Bargain {
    let mut all = bargains(run);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
fn datastores_are_told_apart_with_their_spread() {
    let bargain = only(&support::stores().record());
    assert_eq!(bargain.stores, ["sqlite", "etcd"]);
    let knee = line(
        &bargain,
        "writes a second at the knee (straight to the datastore)",
    );
    let [Answer::Measured(sqlite), Answer::Measured(etcd)] = knee.answers.as_slice() else {
        panic!("{knee:?}");
    };
    assert_eq!((sqlite.n, etcd.n), (5, 5));
    assert!(sqlite.median > etcd.median * 1.4 && sqlite.least < sqlite.greatest);
    let words = knee.difference.as_deref().unwrap();
    assert!(words.starts_with("sqlite better, 1."), "{words}");
    let faults = line(&bargain, "acknowledged writes lost by SIGKILL");
    assert_eq!(faults.difference.as_deref(), Some("not enough repeats"));
    let idle = line(&bargain, "written a day while idle");
    // 11 bytes a millisecond on one and 17.6 on the other, 86.4 million milliseconds a day.
    assert_eq!(idle.answers[0].parts(idle.show).0, "0.950 GB");
    assert_eq!(idle.answers[1].parts(idle.show).0, "1.52 GB");
}

#[test]
fn a_gap_says_why() {
    let bargain = only(&support::stores().record());
    let reason = |question: &str, store: usize| match line(&bargain, question).answers[store] {
        Answer::Missing(nth) => bargain.reasons[nth - 1].clone(),
        Answer::Measured(_) => panic!("{question} was measured"),
    };
    assert_eq!(
        reason("fsyncs for a write", 0),
        "no scenario recorded fsyncs per write"
    );
    assert_eq!(
        reason("acknowledged writes lost by a full disk", 0),
        "fault_disk_full was skipped: this host has no loop devices"
    );
    assert_eq!(
        reason("first write after an OOM kill at the budget", 1),
        "fault_oom was not run"
    );
    assert_eq!(
        reason("written a day under load", 0),
        "no scenario recorded it under load"
    );
}

#[test]
fn disks_that_are_not_alike_are_not_compared() {
    let mut run = support::stores().record();
    for cell in run
        .cells
        .iter_mut()
        .filter(|cell| cell.spec.datastore == "etcd")
    {
        let probe = cell.disk_probe.as_mut().unwrap().latency.as_mut().unwrap();
        probe.buckets.iter_mut().for_each(|b| b.0 *= 3);
        probe.max_us *= 3;
    }
    let bargain = only(&run);
    let words = line(
        &bargain,
        "writes a second at the knee (straight to the datastore)",
    )
    .difference
    .clone()
    .unwrap();
    assert!(words.starts_with("not compared ["), "{words}");
    assert!(
        bargain
            .reasons
            .iter()
            .any(|r| r.contains("their disks differ more than twofold"))
    );
}

/// Without the measured knee it is the greatest offered rate that was held, and never one with errors.
#[test]
fn the_knee_is_read_from_the_ladder_where_it_is_not_told() {
    let mut run = support::stores().record();
    for cell in &mut run.cells {
        cell.measurements.retain(|m| m.name != "knee");
    }
    let bargain = only(&run);
    let knee = line(
        &bargain,
        "writes a second at the knee (straight to the datastore)",
    );
    let Answer::Measured(sqlite) = &knee.answers[0] else {
        panic!("{knee:?}")
    };
    assert!(
        sqlite.median > 1400.0 && sqlite.greatest < 2100.0,
        "{sqlite:?}"
    );
}

#[test]
fn nothing_is_made_up() {
    let mut run = support::stores().record();
    for cell in &mut run.cells {
        cell.latencies.clear();
        cell.measurements.clear();
        cell.series.clear();
    }
    let bargain = only(&run);
    for line in bargain.sections.iter().flat_map(|(_, lines)| lines) {
        assert!(
            line.answers.iter().all(|a| matches!(a, Answer::Missing(_))),
            "{line:?}"
        );
        assert_eq!(line.difference, None);
    }
    assert_eq!(
        all(&run, Width::Wide),
        [],
        "a plot without data is left out"
    );
    assert_eq!(
        bargains(&support::oom().record()).len(),
        1,
        "a cell that tried and died is asked all the same"
    );
}

#[test]
fn repeats_are_one_thing_to_a_reader() {
    let run = support::stores().record();
    let names: Vec<String> = all(&run, Width::Wide).into_iter().map(|p| p.name).collect();
    assert_eq!(
        names,
        [
            "memory",
            "memory-native-k3s-sqlite-edge",
            "memory-native-k3s-etcd-edge",
            "latency-ecdf",
            "throughput",
            "ladder-datastore",
            "ladder-api",
            "slow-disk",
            "size-compaction",
            "wear",
            "recovery",
        ]
    );
    let latencies = reports::tables::latencies(&run);
    assert!(
        latencies.rows.iter().all(|row| !row[0].contains("-r")),
        "{latencies:?}"
    );
    let figures = &reports::tables::measurements(&run)[0];
    assert_eq!(
        figures.head.len(),
        4,
        "two figures of ten cells: {:?}",
        figures.head
    );
}

#[test]
fn golden_bargain() {
    let run = support::stores().record();
    for name in ["console", "markdown"] {
        let report = reports::REPORTS.iter().find(|r| r.name() == name).unwrap();
        let text = String::from_utf8(report.render(&run).unwrap()[0].bytes.clone()).unwrap();
        insta::assert_snapshot!(format!("stores-{name}"), text);
    }
}
