//! A budget that is too small is an OOM kill against the budget, not a crash of the harness.

use serde_json::Value;

use crate::support::{Sandbox, events, root};

/// The K3s to test on, if one was named.
pub fn k3s(test: &str) -> Option<String> {
    let named = std::env::var("ASSAY_TEST_K3S").ok();
    if named.is_none() {
        eprintln!("skipped: {test}: ASSAY_TEST_K3S=/path/to/k3s names none");
    }
    named.filter(|_| root(test))
}

#[track_caller]
fn exceeded(sandbox: &Sandbox, args: &[&str]) {
    let out = sandbox.out().display().to_string();
    let ended = sandbox.run(&[args, &["--out", &out]].concat());
    ended.expect(5);
    sandbox.nothing_left();
    let run = sandbox.latest();
    let events = events(&run);
    let of = |kind: &str| events.iter().find(|e| e["event"] == kind).cloned();
    let evidence = of("budget_evidence").expect("evidence");
    assert!(evidence["oom_kills"].as_u64() > Some(0), "{evidence}");
    assert_eq!(evidence["enforced"], Value::Bool(true));
    let died = of("server_died").expect("a death");
    assert!(
        died["how"].as_str().unwrap().contains("memory budget"),
        "{died}"
    );
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.contains("OOM kill"));
    println!("evidence: {evidence}");
}

#[test]
fn too_little_memory_for_the_specimen() {
    if root("a budget that is enforced") {
        let args = [
            "suite",
            "footprint",
            "--distribution",
            "reference",
            "--datastore",
            "sqlite",
        ];
        exceeded(
            &Sandbox::new(),
            &[&args[..], &["--budget", "4Mi/1"]].concat(),
        );
    }
}

#[test]
fn too_little_memory_for_k3s() {
    if let Some(k3s) = k3s("128 MiB on K3s") {
        let args = [
            "suite",
            "footprint",
            "--distribution",
            "k3s",
            "--k3s-binary",
            &k3s,
        ];
        exceeded(
            &Sandbox::new(),
            &[&args[..], &["--budget", "128Mi"]].concat(),
        );
    }
}
