//! Words that mean nothing, and commands that have nothing to do.

use crate::says::Says;
use crate::support::{Sandbox, names};

/// Refused before anything was made, not even the state folder.
#[track_caller]
fn refused(args: &[&str], words: &[&str]) {
    let sandbox = Sandbox::new();
    sandbox.run(args).expect(2).says(words);
    sandbox.nothing_left();
    assert!(!sandbox.out().exists() && !sandbox.path("reports").exists());
}

/// Refused by clap, whose message has several lines and tells the usage.
#[track_caller]
fn not_understood(args: &[&str], word: &str) {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(args);
    ended.expect(2);
    assert!(ended.stderr.contains(word), "{}", ended.stderr);
    assert!(ended.stderr.contains("--help"), "{}", ended.stderr);
    assert_eq!(names(&sandbox.path("")), [""; 0], "nothing was made");
}

#[test]
fn unknown_names_are_told_with_the_known_ones() {
    refused(
        &["suite", "nope"],
        &[
            "no suite \"nope\"",
            "all, ",
            "footprint",
            "conformance",
            "datastore",
        ],
    );
    let reference = ["suite", "all", "--distribution", "reference"];
    let with = |more: &[&'static str]| [&reference, more].concat();
    refused(
        &with(&["--target", "moon"]),
        &["no target \"moon\"", "native"],
    );
    refused(
        &["suite", "all", "--distribution", "k8s"],
        &[
            "no distribution \"k8s\"",
            "auto, k3s, kubernetes, reference, etcd",
        ],
    );
    refused(
        &with(&["--datastore", "mysql"]),
        &["no datastore \"mysql\"", "sqlite, sqlite-full, etcd"],
    );
    refused(
        &with(&["--filter", "no such check"]),
        &["selects no check and no scenario", "assay list"],
    );
    refused(
        &["report", ".", "--format", "pdf"],
        &["no format \"pdf\"", "html"],
    );
}

/// An agent that nobody starts must not be in a cell's name.
#[test]
fn agents_need_a_shape_a_distribution_and_a_target_that_have_them() {
    let suite = |more: &[&'static str]| [&["suite", "footprint"], more].concat();
    let reference = ["--distribution", "reference", "--agents", "1"];
    refused(&suite(&reference), &["--shape node"]);
    not_understood(&suite(&["--agents", "9"]), "0..=8");
    not_understood(&suite(&["--agents", "many"]), "--agents");
}

#[test]
fn budgets_that_cannot_be_read_are_told_with_an_example() {
    for budget in [
        "", "512", "512Mb", "-1Mi", "1Gi/", "1Gi/0", "/1", "1Gi/1/1", "NaNMi", "9e99Gi", "infGi",
    ] {
        let flag = format!("--budget={budget}");
        refused(&["suite", "all", &flag], &["budget", "768Mi/1.5"]);
    }
}

#[test]
#[ignore = "needs etcd on PATH: run with --ignored"]
fn a_distribution_is_not_asked_for_a_datastore_that_it_lacks() {
    let args = ["suite", "all", "--distribution", "etcd", "--datastore"];
    refused(
        &[&args[..], &["sqlite"]].concat(),
        &["does not run on sqlite", "etcd"],
    );
}

#[test]
fn numbers_and_choices_are_checked() {
    not_understood(&["suite", "all", "--jobs", "0"], "--jobs");
    not_understood(&["suite", "all", "--jobs", "many"], "--jobs");
    not_understood(&["suite", "all", "--format", "yaml"], "json");
    not_understood(&["suite", "all", "--ready-timeout", "0"], "--ready-timeout");
    not_understood(&["suite", "all", "--hold", "-1"], "-1");
    not_understood(&["suite"], "<SUITE>");
    not_understood(&["sweet"], "sweep");
    not_understood(&["list", "--format", "xml"], "json");
    not_understood(&["completions", "cmd"], "bash");
}

#[test]
fn an_argument_that_is_not_unicode_is_no_crash() {
    use std::os::unix::ffi::OsStrExt;
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&["report"]);
    command.arg(std::ffi::OsStr::from_bytes(b"run-\xff"));
    let ended = sandbox.start(command).end();
    ended.expect(2).says(&["failed to read a run"]);
    let mut command = sandbox.command(&["suite", "all", "--dry-run", "--filter"]);
    command.arg(std::ffi::OsStr::from_bytes(b"\xff"));
    sandbox.start(command).end().expect(2);
}

#[test]
fn versions_and_mirrors_are_checked() {
    for command in [
        &["fetch", "--k3s-version"][..],
        &["doctor", "--k3s-version"],
    ] {
        let sandbox = Sandbox::new();
        let ended = sandbox.run(&[command, &["../../etc"]].concat());
        ended.expect(2).says(&["v1.36.3+k3s1"]);
    }
    let k3s = ["suite", "all", "--distribution", "k3s"];
    refused(
        &[&k3s[..], &["--release-mirror", "gopher://x"]].concat(),
        &["mirror"],
    );
}

#[test]
fn a_state_folder_that_cannot_be_had_is_the_users_to_mend() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("file"), "").unwrap();
    for command in [vec!["sweep".to_owned()], sandbox.specimen(&[])] {
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        let mut command = sandbox.command(&words);
        command.env("ASSAY_STATE", sandbox.path("file/state"));
        let ended = sandbox.start(command).end();
        ended.expect(2).says(&["state folder", "ASSAY_STATE"]);
        let mut command = sandbox.command(&words);
        command
            .env_remove("ASSAY_STATE")
            .env_remove("XDG_STATE_HOME")
            .env_remove("HOME");
        let ended = sandbox.start(command).end();
        ended.expect(2).says(&["set ASSAY_STATE"]);
    }
    assert!(
        !sandbox.out().exists(),
        "a run that cannot start leaves no folder"
    );
}

#[test]
fn sweeping_where_there_is_nothing_to_sweep_is_fine() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["sweep"]);
    assert!(ended.expect(0).stdout.contains("0 removed, 0 remain"));
    sandbox.nothing_left();
}

#[test]
fn a_dry_run_runs_nothing() {
    let sandbox = Sandbox::new();
    let out = sandbox.out().display().to_string();
    let args = ["suite", "all", "--distribution", "reference", "--dry-run"];
    let ended = sandbox.run(&[&args[..], &["--out", &out]].concat());
    let plan = &ended.expect(0).stdout;
    assert!(plan.contains("native-reference-sqlite-edge"), "{plan}");
    assert!(plan.contains("footprint/idle"), "{plan}");
    let ended = sandbox.run(&[&args[..], &["--format", "json"]].concat());
    let plan: serde_json::Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
    assert!(
        !plan["suites"][0]["scenarios"]
            .as_array()
            .unwrap()
            .is_empty()
    );
    // K3s that is nowhere: said so, and nothing downloaded.
    let mut command = sandbox.command(&["suite", "all", "--distribution", "k3s", "--dry-run"]);
    command.env("PATH", "/nonexistent");
    let ended = sandbox.start(command).end();
    assert!(
        ended.expect(0).stdout.contains("assay fetch k3s"),
        "{ended:?}"
    );
    assert_eq!(names(&sandbox.path("cache")), [""; 0]);
    assert_eq!(names(&sandbox.path("")), [""; 0], "nothing was made");
}
