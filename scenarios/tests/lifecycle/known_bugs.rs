//! Each known bug of the specimen is found by the scenario made for it, and the healthy specimen passes the same one.

use std::collections::BTreeSet;

use serde_json::Value;

use super::support::{Ended, Sandbox, needs_root};

/// Runs one scenario at its quick size on the specimen's SQLite.
#[track_caller]
fn ran(sandbox: &Sandbox, scenario: &str, bug: Option<&str>) -> (Ended, Value) {
    let out = sandbox.out().display().to_string();
    let filter = format!("datastore/{scenario}");
    let mut args = vec![
        "suite",
        "datastore",
        "--filter",
        &filter,
        "--profile",
        "quick",
    ];
    args.extend(["--distribution", "reference", "--datastore", "sqlite"]);
    args.extend([
        "--budget",
        "unlimited",
        "--hold",
        "1",
        "--format",
        "json",
        "--out",
        &out,
    ]);
    let variable = bug.map(|bug| format!("ASSAY_SPECIMEN_BUG={bug}"));
    if let Some(variable) = &variable {
        args.extend(["--server-env", variable]);
    }
    let ended = sandbox.run(&args);
    let record = serde_json::from_str(&ended.stdout);
    let record = record.unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    (ended, record)
}

/// What failed or could not be judged, by its outcome.
fn verdicts(record: &Value, outcome: &str) -> BTreeSet<String> {
    let cells = record["cells"].as_array().into_iter().flatten();
    cells
        .flat_map(|cell| cell["verdicts"].as_array().into_iter().flatten())
        .filter(|verdict| verdict["outcome"] == outcome)
        .map(|verdict| verdict["what"].as_str().unwrap_or_default().to_owned())
        .collect()
}

/// Runs a scenario on a healthy specimen.
#[track_caller]
fn passes(scenario: &str) {
    let sandbox = Sandbox::new();
    let (ended, record) = ran(&sandbox, scenario, None);
    assert_eq!(verdicts(&record, "failed"), BTreeSet::new(), "{record}");
    assert_eq!(verdicts(&record, "errored"), BTreeSet::new(), "{record}");
    ended.expect(0);
    let statements = &record["cells"][0]["statements"];
    assert!(
        statements.as_array().is_some_and(|s| s.len() > 2),
        "{record}"
    );
    sandbox.nothing_left();
}

/// Runs a scenario on a specimen with a bug: the first statements must fail, the second may as its consequence, no other
/// does; and the report's title names the bug. Names are without the level.
#[track_caller]
fn finds(bug: &str, scenario: &str, must: &[&str], may: &[&str]) {
    let sandbox = Sandbox::new();
    let (ended, record) = ran(&sandbox, scenario, Some(bug));
    let prefix = format!("datastore/{scenario}: ");
    let bare = |what: &String| {
        let name = what.strip_prefix(&prefix)?.to_owned();
        Some(name.split(" (").next()?.to_owned())
    };
    let failed: BTreeSet<_> = verdicts(&record, "failed")
        .iter()
        .filter_map(bare)
        .collect();
    for name in must {
        assert!(failed.contains(*name), "{name} did not fail: {record}");
    }
    let known = |name: &String| must.contains(&name.as_str()) || may.contains(&name.as_str());
    assert!(failed.iter().all(known), "more failed: {failed:?} {record}");
    assert_eq!(verdicts(&record, "errored"), BTreeSet::new(), "{record}");
    ended.expect(4);
    let page = fs_err::read_to_string(sandbox.latest().join("report.html")).expect("a report");
    let title = format!("<title>KNOWN BUG {bug}; SPECIMEN");
    assert!(page.contains(&title), "the title does not name the bug");
    sandbox.nothing_left();
}

#[test]
fn a_healthy_specimen_passes_read_list_scaling() {
    passes("read_list_scaling");
}

#[test]
fn a_healthy_specimen_passes_watch_fanout() {
    passes("watch_fanout");
}

#[test]
fn a_healthy_specimen_passes_large_values() {
    passes("large_values");
}

#[test]
fn a_healthy_specimen_passes_lease_churn() {
    passes("lease_churn");
}

#[test]
fn a_healthy_specimen_passes_compaction() {
    passes("compaction");
}

#[test]
fn acknowledge_before_write_is_found_by_read_list_scaling() {
    finds(
        "acknowledge-before-write",
        "read_list_scaling",
        &[
            "the newest list is what was acknowledged",
            "a read gives the last acknowledged write",
        ],
        &[],
    );
}

#[test]
fn stale_list_is_found_by_read_list_scaling() {
    finds(
        "stale-list",
        "read_list_scaling",
        &["the newest list is what was acknowledged"],
        &["pages read under writes are the snapshot of their revision"],
    );
}

#[test]
fn repeat_revision_is_found_by_watch_fanout() {
    finds(
        "repeat-revision",
        "watch_fanout",
        &["no two writes have one revision"],
        &["no change comes twice", "no change is lost"],
    );
}

#[test]
fn drop_event_on_compaction_is_found_by_compaction() {
    finds(
        "drop-event-on-compaction",
        "compaction",
        &["a watch from before the compactions gets every change"],
        &[],
    );
}

#[test]
fn stuck_compaction_is_found_by_compaction() {
    finds(
        "stuck-compaction",
        "compaction",
        &[
            "the compact revision advances",
            "the database returns to a bound",
        ],
        &[],
    );
}

#[test]
#[ignore = "needs root: faults are injected into a cell with a disk and a cgroup of its own"]
fn a_healthy_specimen_passes_restart() {
    needs_root();
    passes("restart");
}

#[test]
#[ignore = "needs root: faults are injected into a cell with a disk and a cgroup of its own"]
fn lose_last_writes_is_found_by_restart() {
    needs_root();
    finds(
        "lose-last-writes",
        "restart",
        &[
            "what was acknowledged just before the kill is there",
            "no revision is given again",
        ],
        &[],
    );
}

#[test]
#[ignore = "needs root: faults are injected into a cell with a disk and a cgroup of its own"]
fn forget_lease_is_found_by_restart() {
    needs_root();
    finds(
        "forget-lease",
        "restart",
        &["leases go on: their keys go"],
        &[],
    );
}

#[test]
fn a_bug_is_the_specimens_alone_and_has_a_name() {
    let sandbox = Sandbox::new();
    for (distribution, bug, words) in [
        ("etcd", "stale-list", "--distribution reference"),
        ("reference", "no-such-bug", "stuck-compaction"),
    ] {
        let variable = format!("ASSAY_SPECIMEN_BUG={bug}");
        let mut args = vec!["suite", "datastore", "--distribution", distribution];
        args.extend(["--server-env", &variable, "--dry-run"]);
        let ended = sandbox.run(&args);
        ended.expect(2);
        assert!(ended.stderr.contains(words), "{ended:?}");
    }
}
