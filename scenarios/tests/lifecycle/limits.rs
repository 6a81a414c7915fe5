//! A budget that is too small is an OOM kill against the budget, not a crash of the harness.

use serde_json::Value;

use crate::support::{Sandbox, events, needs_root};

/// The K3s to test on. Its tests are ignored unless asked for, so that none passes without a K3s.
#[track_caller]
pub fn k3s() -> String {
    needs_root();
    std::env::var("ASSAY_TEST_K3S").expect("ASSAY_TEST_K3S=/path/to/k3s")
}

/// A run that ends with exit code 5; its folder and its evidence.
#[track_caller]
fn exceeded(sandbox: &Sandbox, args: &[&str]) -> (std::path::PathBuf, Value) {
    let out = sandbox.out().display().to_string();
    let args = [args, &["--datastore", "sqlite", "--out", &out]].concat();
    let ended = sandbox.run(&args);
    println!("{}", ended.expect(5).stdout);
    sandbox.nothing_left();
    let run = sandbox.latest();
    let mut events = events(&run);
    events.retain(|event| event["event"] == "budget_evidence");
    let evidence = events.pop().expect("evidence");
    assert_eq!(evidence["enforced"], Value::Bool(true));
    println!("evidence: {evidence}");
    (run, evidence)
}

#[track_caller]
fn killed(args: &[&str]) {
    let sandbox = Sandbox::new();
    let (run, evidence) = exceeded(&sandbox, args);
    assert!(evidence["oom_kills"].as_u64() > Some(0), "{evidence}");
    let events = events(&run);
    let died = events.iter().find(|event| event["event"] == "server_died");
    let how = died.expect("a death")["how"].as_str().unwrap().to_owned();
    assert!(how.contains("memory budget"), "{how}");
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("OOM kill"));
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn too_little_memory_for_the_specimen() {
    needs_root();
    let args = ["suite", "footprint", "--distribution", "reference"];
    killed(&[&args[..], &["--budget", "4Mi/1"]].concat());
}

/// Where the server's own code can be thrown away and read again, the kernel starves it rather than kill it (Linux
/// 6.18 with v1 memory and no swap, from 8 to 128 MiB): both are the budget's.
#[test]
#[ignore = "takes minutes on a real K3s: set ASSAY_TEST_K3S=/path/to/k3s and give --ignored"]
fn too_little_memory_for_k3s() {
    let k3s = k3s();
    let sandbox = Sandbox::new();
    let args = [
        "suite",
        "footprint",
        "--k3s-binary",
        &k3s,
        "--budget",
        "128Mi",
    ];
    let more = ["--distribution", "k3s", "--ready-timeout", "60"];
    let (run, evidence) = exceeded(&sandbox, &[&args[..], &more].concat());
    let summary = std::fs::read_to_string(run.join("summary.txt")).expect("a summary");
    let starved = summary.contains("ready within its memory");
    assert!(
        starved || evidence["oom_kills"].as_u64() > Some(0),
        "{summary}"
    );
}
