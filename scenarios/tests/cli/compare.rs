//! `assay compare` on runs, on half a run, and on what is none.

use std::path::PathBuf;

use crate::reports::run_of;
use crate::says::Says;
use crate::support::Sandbox;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/tests/data");

/// A committed journal with one text replaced, in a run's folder of its own.
fn run(sandbox: &Sandbox, name: &str, journal: &str, from: &str, to: &str) -> String {
    let text = std::fs::read_to_string(format!("{DATA}/{journal}.jsonl")).unwrap();
    assert!(text.contains(from), "{from:?} is not in {journal}");
    let folder: PathBuf = sandbox.path(name);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("events.jsonl"), text.replace(from, to)).unwrap();
    folder.display().to_string()
}

#[test]
fn a_run_has_not_changed_against_itself() {
    let sandbox = Sandbox::new();
    let run = run(&sandbox, "a", "pair", "k3s", "k3s");
    let ended = sandbox.run(&["compare", &run, &run, "--fail-on-regression"]);
    let said = &ended.expect(0).stdout;
    assert!(
        said.contains("0 worse, 0 better") && said.contains("not enough repeats"),
        "{said}"
    );
}

#[test]
fn a_check_that_fails_now_gives_code_5_only_when_asked() {
    let sandbox = Sandbox::new();
    let good = run(
        &sandbox,
        "a",
        "pair",
        "\"outcome\":\"failed\",\"reason\":\"expected",
        "\"outcome\":\"passed\",\"reason\":\"expected",
    );
    let bad = run(&sandbox, "b", "pair", "k3s", "k3s");
    let ended = sandbox.run(&["compare", &good, &bad]);
    let said = &ended.expect(0).stdout;
    assert!(
        said.contains("worse: check lists/continue-is-consistent passed in A, failed in B"),
        "{said}"
    );
    let asked = ["compare", &good, &bad, "--fail-on-regression"];
    sandbox.run(&asked).expect(5);
    sandbox
        .run(&["compare", &bad, &good, "--fail-on-regression"])
        .expect(0);
}

#[test]
fn formats_are_written_where_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let run = run(&sandbox, "a", "specimen", "native", "native");
    let ended = sandbox.run(&["compare", &run, &run, "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
    assert_eq!(json["pairs"].as_array().unwrap().len(), 2);
    let file = sandbox.path("compared.md").display().to_string();
    let ended = sandbox.run(&[
        "compare", &run, &run, "--format", "markdown", "--out", &file,
    ]);
    assert!(
        ended
            .expect(0)
            .stdout
            .ends_with(&format!("comparison: {file}\n"))
    );
    assert!(
        std::fs::read_to_string(&file)
            .unwrap()
            .contains("| figure | A | B | change | verdict |")
    );
    let nowhere = sandbox.path("no/such/folder.md").display().to_string();
    let ended = sandbox.run(&["compare", &run, &run, "--out", &nowhere]);
    ended
        .expect(2)
        .says(&["failed to write the comparison", "--out"]);
}

#[test]
fn cells_of_one_run_are_compared_when_named() {
    let sandbox = Sandbox::new();
    let run = run(&sandbox, "a", "pair", "native", "native");
    let cells = "native-k3s-sqlite-edge=native-k3s-etcd-edge";
    let ended = sandbox.run(&["compare", &run, &run, "--cells", cells]);
    let said = &ended.expect(0).stdout;
    assert!(
        said.contains("A: k3s v1.36.3+k3s1, sqlite") && said.contains("B: k3s v1.36.3+k3s1, etcd"),
        "{said}"
    );
    let ended = sandbox.run(&[
        "compare",
        &run,
        &run,
        "--cells",
        "native-k3s-sqlite-edge=none",
    ]);
    ended
        .expect(2)
        .says(&["run B has no cell \"none\"", "native-k3s-etcd-edge"]);
    let ended = sandbox.run(&["compare", &run, &run, "--cells", "one"]);
    let said = &ended.expect(2).stderr;
    assert!(said.contains("CELL_OF_A=CELL_OF_B"), "{said}");
}

#[test]
fn what_cannot_be_compared_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let here = run(&sandbox, "a", "pair", "native", "native");
    let kernel = run(&sandbox, "b", "pair", "6.1.0-29-amd64", "5.15.0-pi");
    let ended = sandbox.run(&["compare", &here, &kernel]);
    ended
        .expect(2)
        .says(&["different kernels: 6.1.0-29-amd64 in A, 5.15.0-pi in B"]);
    let specimen = run(&sandbox, "c", "specimen", "native", "native");
    let ended = sandbox.run(&["compare", &here, &specimen]);
    ended
        .expect(2)
        .says(&["--cells A=B", "native-reference-sqlite-edge"]);
    let cells = "native-k3s-sqlite-edge=native-reference-sqlite-edge";
    let ended = sandbox.run(&["compare", &here, &specimen, "--cells", cells]);
    ended.expect(2).says(&["is the specimen"]);
}

#[test]
fn what_is_no_run_is_refused() {
    let sandbox = Sandbox::new();
    let good = run(&sandbox, "a", "pair", "native", "native");
    let none = sandbox.path("none").display().to_string();
    for pair in [[&good, &none], [&none, &good]] {
        let ended = sandbox.run(&["compare", pair[0], pair[1]]);
        ended
            .expect(2)
            .says(&["failed to read a run", "none", "events.jsonl"]);
    }
    let corrupt = run(
        &sandbox,
        "b",
        "pair",
        "\"event\":\"phase_started\"",
        "\"event\":7",
    );
    let ended = sandbox.run(&["compare", &good, &corrupt]);
    ended.expect(2).says(&["failed to read", "line"]);
    let empty = run_of(&sandbox, b"").display().to_string();
    sandbox
        .run(&["compare", &good, &empty])
        .expect(2)
        .says(&["failed to read"]);
    sandbox.run(&["compare", &good]).expect(2);
}

#[test]
fn a_torn_run_is_compared_as_far_as_it_goes() {
    let sandbox = Sandbox::new();
    let good = run(&sandbox, "a", "pair", "native", "native");
    let torn = run(&sandbox, "b", "torn", "native", "native");
    let ended = sandbox.run(&["compare", &good, &torn]);
    let said = &ended.expect(0).stdout;
    assert!(said.contains("run B did not end in order"), "{said}");
}
