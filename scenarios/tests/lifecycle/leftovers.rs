//! What cannot be removed is named, has its exit code, and is removed by a sweep once it can be.

use std::process::{Child, Command};

use crate::support::{Sandbox, events, names, needs_root, until};

/// A mount in the run's own folder that somebody works in.
struct Busy {
    child: Child,
    at: std::path::PathBuf,
}

impl Busy {
    fn new(at: std::path::PathBuf) -> Self {
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "assay-test"]).arg(&at);
        assert!(mount.status().unwrap().success());
        let mut sleep = Command::new("sleep");
        let child = sleep.arg("100000").current_dir(&at).spawn().unwrap();
        Self { child, at }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // The mount is for the sweep to remove; only a test that failed before has one left by the end.
        if std::thread::panicking() {
            let _ = Command::new("umount").arg(&self.at).output();
        }
    }
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn a_folder_that_stays_busy_is_told_and_swept_later() {
    needs_root();
    let sandbox = Sandbox::new();
    let words = sandbox.specimen(&["--hold", "1"]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let running = sandbox.start(sandbox.command(&words));
    let latest = sandbox.out().join("latest");
    until("it idles", || {
        let events = events(&latest);
        let idles = events.iter().any(|event| event["phase"] == "idle/settle");
        idles.then_some(())
    });
    let work = sandbox.path("state/work");
    let run = names(&work).pop().expect("the run's folder");
    let busy = Busy::new(work.join(run).join("0/busy"));
    let ended = running.end();
    // Long lines are wrapped.
    let words = ended.expect(7).stdout.split_whitespace();
    let words: Vec<&str> = words.filter(|word| *word != "!!").collect();
    let summary = words.join(" ");
    assert!(summary.contains("failed to unmount"), "{summary}");
    assert!(summary.contains("assay sweep"), "{summary}");
    let still = sandbox.run(&["sweep"]);
    assert!(still.expect(7).stdout.contains("1 remain"), "{still:?}");
    drop(busy);
    let swept = sandbox.run(&["sweep"]);
    assert!(
        swept.expect(0).stdout.contains("1 removed, 0 remain"),
        "{swept:?}"
    );
    sandbox.nothing_left();
}
