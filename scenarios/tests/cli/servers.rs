//! Servers that misbehave: fake ones that say they are K3s, and the specimen, killed half-way.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::support::{Ended, Sandbox, events, names, needs_root, until};

const VERSION: &str = "[ \"$1\" = --version ] && { echo 'k3s version v9.9.9+k3s1 (x)'; exit 0; }";

/// Runs a shell script as K3s.
#[track_caller]
fn fake(sandbox: &Sandbox, script: &str, more: &[&str]) -> Ended {
    let path = sandbox.path("k3s");
    std::fs::write(&path, format!("#!/bin/sh\n{VERSION}\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (path, out) = (
        path.display().to_string(),
        sandbox.out().display().to_string(),
    );
    let mut args = vec![
        "suite",
        "footprint",
        "--distribution",
        "k3s",
        "--datastore",
        "sqlite",
    ];
    args.extend(["--k3s-binary", &path, "--out", &out]);
    args.extend(more);
    let ended = sandbox.run(&args);
    sandbox.nothing_left();
    ended
}

fn of_kind(run: &Path, kind: &str) -> Vec<Value> {
    let mut found = events(run);
    found.retain(|event| event["event"] == kind);
    found
}

#[test]
fn one_that_exits_at_once_could_not_be_provisioned() {
    let sandbox = Sandbox::new();
    let ended = fake(&sandbox, "echo no license; exit 3", &[]);
    let summary = &ended.expect(6).stdout;
    assert!(
        summary.contains("exited with code 3 before it was ready"),
        "{summary}"
    );
    assert!(summary.contains("server.log"), "{summary}");
    let run = sandbox.latest();
    let died = of_kind(&run, "server_died");
    assert_eq!(died[0]["log_tail"], "no license");
    assert_eq!(
        of_kind(&run, "leftovers")[0]["items"],
        serde_json::json!([])
    );
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("exited with code 3"));
}

#[test]
fn one_that_is_ended_by_a_signal_says_which() {
    let sandbox = Sandbox::new();
    let ended = fake(
        &sandbox,
        "ulimit -c 0; sh -c 'kill -SEGV $PPID'; exit 9",
        &[],
    );
    let summary = &ended.expect(6).stdout;
    // The first process of a pid namespace is immune to signals from within, and goes on to its exit.
    let how = summary.contains("signal 11") || summary.contains("code 9");
    assert!(how, "{summary}");
}

#[test]
fn one_that_never_becomes_ready_is_waited_for_and_no_longer() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 0' TERM; sleep 1000 & wait";
    let ended = fake(&sandbox, script, &["--ready-timeout", "2"]);
    let summary = &ended.expect(6).stdout;
    assert!(summary.contains("was not ready within 2s"), "{summary}");
    assert!(summary.contains("last seen: "), "{summary}");
    assert!(summary.contains("server.log"), "{summary}");
    assert_eq!(of_kind(&sandbox.latest(), "server_died").len(), 0);
}

const SECRETS: &str = r#"
echo "join with K10aaaabbbb::server:hush1"
echo "token=hush2 --token hush3 --agent-token=hush4"
echo "Authorization: Bearer hush5.x.y"
echo '{"token":"hush6","password": "hush7"}'
echo "jwt eyJhbGciOiJSUzI1NiJ9.hush8.hush9"
echo "client-key-data: hush10"
echo "-----BEGIN EC PRIVATE KEY-----"
echo "hush11"
echo "-----END EC PRIVATE KEY-----"
echo "K3S_TOKEN='hush12' password: hush13"
printf '\033[31mred\033[0m \007 <script>alert(1)</script>\n'
head -c 30000 /dev/zero | tr '\0' x
echo
echo the end
exit 1"#;

/// What comes from the device under test is hostile text.
#[test]
fn secrets_in_its_log_reach_no_report() {
    let sandbox = Sandbox::new();
    let ended = fake(&sandbox, SECRETS, &[]);
    ended.expect(6);
    let run = sandbox.latest();
    let tail = of_kind(&run, "server_died")[0]["log_tail"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        tail.contains("the end") && tail.contains("[redacted]"),
        "{tail}"
    );
    assert!(!tail.contains('\u{1b}') && tail.len() < 20_000, "{tail}");
    let mut looked = 0;
    for name in names(&run) {
        let path = run.join(&name);
        if !path.is_file() {
            continue;
        }
        looked += 1;
        let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
        assert!(!text.contains("hush"), "{name}: {text}");
        let page = name.ends_with(".html");
        assert!(!(page && text.contains("<script>alert(1)")), "{name}");
    }
    assert!(looked >= 5);
    for text in [&ended.stdout, &ended.stderr] {
        assert!(!text.contains("hush") && !text.contains('\u{1b}'), "{text}");
    }
}

/// The pid of the cell's server, as the ledger has it.
fn server(sandbox: &Sandbox) -> Option<i32> {
    let folder = sandbox.path("state/ledger");
    let ledger = names(&folder).into_iter().find(|n| n.ends_with(".jsonl"))?;
    let text = std::fs::read_to_string(folder.join(ledger)).ok()?;
    let entries = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut processes = entries.filter(|e| e["resource"]["what"] == "the server of a cell");
    let pid = processes.next()?["resource"]["pid"].as_i64()?;
    i32::try_from(pid).ok()
}

/// Kills the specimen as soon as the run is in a phase whose name holds `phase`.
#[track_caller]
fn killed_in(sandbox: &Sandbox, phase: &str, more: &[&str]) -> Ended {
    let words = sandbox.specimen(more);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = sandbox.start(sandbox.command(&words));
    until("the phase begins", || {
        let run = sandbox.out().join("latest");
        let started = of_kind(&run, "phase_started");
        let there = |event: &Value| event["phase"].as_str().is_some_and(|p| p.contains(phase));
        started.iter().any(there).then_some(())
    });
    let pid = server(sandbox).expect("the server stands in the ledger");
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let ended = running.end();
    sandbox.nothing_left();
    ended
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn one_that_dies_half_way_has_not_lived_within_its_budget() {
    needs_root();
    let sandbox = Sandbox::new();
    let ended = killed_in(&sandbox, "idle/", &[]);
    let summary = &ended.expect(5).stdout;
    assert!(
        summary.contains("ended by signal 9 while it was driven"),
        "{summary}"
    );
    let died = of_kind(&sandbox.latest(), "server_died");
    assert_eq!(died.len(), 1);
    let evidence = of_kind(&sandbox.latest(), "budget_evidence");
    assert_eq!(evidence[0]["oom_kills"], 0, "killed, but not by the budget");
}

#[test]
fn one_that_dies_without_a_budget_has_failed_all_the_same() {
    let sandbox = Sandbox::new();
    killed_in(&sandbox, "idle/", &["--budget", "unlimited"]).expect(4);
}

#[test]
fn one_that_dies_in_the_hold_period_is_noticed() {
    let sandbox = Sandbox::new();
    let ended = killed_in(&sandbox, "hold/", &["--hold", "200"]);
    let summary = &ended.expect(5).stdout;
    assert!(summary.contains("1 unasked end"), "{summary}");
}
