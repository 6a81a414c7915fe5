//! What goes to standard output, what does not, and readers that go away.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};

use crate::support::{Sandbox, binary, needs_root};

#[test]
fn the_list_parses_and_every_id_is_unique() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&["list", "--format", "json"]);
    let suites: serde_json::Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
    let mut seen = BTreeSet::new();
    for suite in suites.as_array().unwrap() {
        for kind in ["checks", "scenarios"] {
            for entry in suite[kind].as_array().unwrap() {
                let id = entry["id"].as_str().unwrap().to_owned();
                assert!(!entry["title"].as_str().unwrap().is_empty(), "{id}");
                assert!(seen.insert(id.clone()), "{id} twice");
            }
        }
    }
    assert!(seen.len() > 5, "{seen:?}");
    let plain = sandbox.run(&["list"]).stdout;
    assert!(seen.iter().all(|id| plain.contains(id.as_str())));
}

#[test]
fn completions_and_the_doctor_speak() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = sandbox.run(&["completions", shell]);
        assert!(script.expect(0).stdout.contains("assay"), "{shell}");
    }
    let mut command = sandbox.command(&["doctor", "--format", "json", "--offline"]);
    command.env("NO_COLOR", "1");
    let ended = sandbox.start(command).end();
    assert!(matches!(ended.code, Some(0 | 6)), "{ended:?}");
    let findings: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(findings.is_object() || findings.is_array());
}

#[test]
fn a_reader_that_goes_away_is_no_crash() {
    let sandbox = Sandbox::new();
    for args in [
        &["list"][..],
        &["completions", "bash"],
        &["doctor"],
        &["sweep"],
    ] {
        let mut child = sandbox
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&ended.stderr);
        assert!(!text.contains("panicked"), "{args:?}: {text}");
        assert!(
            matches!(ended.status.code(), Some(0 | 6)),
            "{args:?}: {ended:?}"
        );
    }
}

/// A run goes to its end, and its report is written, though nobody reads its words any more.
#[test]
#[ignore = "needs root: run with --ignored"]
fn a_run_survives_its_readers() {
    needs_root();
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&["--hold", "1"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut child = sandbox
        .command(&words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop((child.stdout.take(), child.stderr.take()));
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert!(sandbox.latest().join("report.html").exists());
    sandbox.nothing_left();
}

/// One run, looked at from all sides: JSON alone on standard output, plain lines on standard error.
#[test]
#[ignore = "needs root: run with --ignored"]
fn standard_output_has_only_the_result() {
    needs_root();
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&["--hold", "1", "--format", "json"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let ended = sandbox.run(&words);
    let record: serde_json::Value = serde_json::from_str(&ended.expect(0).stdout).unwrap();
    assert_eq!(record["cells"].as_array().map(Vec::len), Some(1));
    assert!(ended.stderr.contains("cold_start/boot"), "{}", ended.stderr);
    assert!(ended.stderr.contains("SPECIMEN"), "{}", ended.stderr);
    assert!(
        !ended.stderr.contains('\u{1b}'),
        "plain lines off a terminal"
    );
    sandbox.nothing_left();
}

/// On a terminal, through script(1): a live line that is redrawn, and no colour with NO_COLOR.
#[test]
#[ignore = "needs root and script(1): run with --ignored"]
fn a_terminal_gets_a_live_line() {
    needs_root();
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&["--hold", "1"]).join(" ");
    let on_terminal = |no_color: &str| {
        let line = format!("{} {words}", binary().display());
        let mut command = Command::new("script");
        command
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .env("ASSAY_STATE", sandbox.path("state"))
            .env("NO_COLOR", no_color)
            .env("TERM", "xterm")
            .env_remove("CI");
        sandbox.start(command).end()
    };
    let coloured = on_terminal("");
    coloured.expect(0);
    // indicatif redraws its line in place; the phase is in it.
    assert!(coloured.stdout.contains("\u{1b}[2K") || coloured.stdout.contains('\r'));
    assert!(coloured.stdout.contains("idle/watch"), "{coloured:?}");
    assert!(coloured.stdout.contains("\u{1b}[1;3"), "{coloured:?}");
    let plain = on_terminal("1");
    let colour = plain.expect(0).stdout.contains("\u{1b}[1;3");
    assert!(!colour, "NO_COLOR: {plain:?}");
    sandbox.nothing_left();
}
