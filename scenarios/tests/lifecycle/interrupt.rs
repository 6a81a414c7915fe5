//! The first Ctrl-C stops, cleans up and reports; the second quits at once.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;

use crate::held::Held;
use crate::send;
use crate::support::{Sandbox, events, needs_root, until};

#[track_caller]
fn awaits(sandbox: &Sandbox, what: &str, matches: impl Fn(&serde_json::Value) -> bool) {
    let run = sandbox.out().join("latest");
    until(what, || events(&run).iter().any(&matches).then_some(()));
}

/// The same command where this test itself runs under nohup, which assay would honour: `env` takes that back.
fn heeding(command: Command) -> Command {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    // One bit a signal; the lowest is SIGHUP's (proc_pid_status(5)).
    let ignored = u64::from_str_radix(ignored.expect("signals").trim(), 16).unwrap();
    if ignored & 1 == 0 {
        return command;
    }
    let mut env = Command::new("env");
    env.arg("--default-signal=HUP")
        .arg(command.get_program())
        .args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => env.env(name, value),
            None => env.env_remove(name),
        };
    }
    env.current_dir(command.get_current_dir().expect("a sandbox's folder"));
    env
}

#[track_caller]
fn stopped_by(signal: Signal) {
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&[]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = sandbox.start(heeding(sandbox.command(&words)));
    awaits(&sandbox, "it idles", |event| {
        event["phase"] == "idle/settle"
    });
    let mut held = Held::default();
    held.read_processes(running.child.id());
    held.read_ledgers(&sandbox);
    send(&running, signal);
    let ended = running.end();
    let summary = &ended.expect(130).stdout;
    assert!(summary.contains("interrupted"), "{summary}");
    assert!(ended.stderr.contains("press again to quit"), "{ended:?}");
    held.gone(&sandbox);
    let run = sandbox.latest();
    let page = std::fs::read_to_string(run.join("report.html")).expect("a report");
    assert!(page.to_lowercase().contains("interrupted"));
    // Judged again it is the same.
    sandbox
        .run(&["report", &run.display().to_string()])
        .expect(130);
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn the_first_signal_stops_and_cleans_up() {
    needs_root();
    stopped_by(Signal::INT);
    stopped_by(Signal::TERM);
    stopped_by(Signal::HUP);
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn the_second_quits_at_once_and_a_sweep_cleans() {
    needs_root();
    let sandbox = Sandbox::new();
    // A server that takes no notice of SIGTERM, so that the clean-up takes its time.
    let k3s = sandbox.path("k3s");
    let script = "#!/bin/sh\n[ \"$1\" = --version ] && { echo 'k3s version v9.9.9+k3s1 (x)'; exit 0; }\n\
                  trap '' TERM\nwhile :; do sleep 1; done\n";
    std::fs::write(&k3s, script).unwrap();
    std::fs::set_permissions(&k3s, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (k3s, out) = (
        k3s.display().to_string(),
        sandbox.out().display().to_string(),
    );
    let args = [
        "suite",
        "footprint",
        "--distribution",
        "k3s",
        "--k3s-binary",
        &k3s,
        "--out",
        &out,
    ];
    let running = sandbox.start(sandbox.command(&args));
    awaits(&sandbox, "it boots", |event| {
        event["phase"] == "cold_start/boot"
    });
    let mut held = Held::default();
    held.read_processes(running.child.id());
    held.read_ledgers(&sandbox);
    send(&running, Signal::INT);
    // Recorded when the first signal was heeded, and before the server is told to end.
    awaits(&sandbox, "it stops", |event| {
        event["event"] == "phase_ended"
    });
    send(&running, Signal::INT);
    let ended = running.end();
    ended.expect(130);
    assert!(ended.stderr.contains("run `assay sweep`"), "{ended:?}");
    sandbox.run(&["sweep"]).expect(0);
    held.gone(&sandbox);
    let run = sandbox.latest().display().to_string();
    // Cut short with nobody to write its end: errored, and rendered all the same.
    sandbox.run(&["report", &run]).expect(6);
}
