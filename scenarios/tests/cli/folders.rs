//! Folders that cannot be written, are no folders, or are full.

use std::process::Command;

use crate::says::Says;
use crate::support::{Sandbox, names, needs_root};

#[test]
fn an_out_folder_that_cannot_be_made_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path("file"), "").unwrap();
    let mut places = vec![sandbox.path("file"), sandbox.path("file/beneath")];
    // Not even root makes folders there.
    places.push("/proc/assay-runs".into());
    for place in places {
        let words = sandbox.specimen(&[]);
        let mut words: Vec<&str> = words.iter().map(String::as_str).collect();
        let place = place.display().to_string();
        words.extend(["--out", &place]);
        words.retain(|word| *word != sandbox.out().to_str().unwrap());
        let at = words.iter().position(|word| *word == "--out").unwrap();
        words.remove(at);
        let ended = sandbox.run(&words);
        ended.expect(2).says(&[&place, "writable place with --out"]);
        sandbox.nothing_left();
    }
}

#[test]
fn an_out_folder_whose_parents_are_missing_is_made() {
    let sandbox = Sandbox::new();
    let out = sandbox.path("a/b/c").display().to_string();
    let args = [
        "suite",
        "footprint",
        "--distribution",
        "k3s",
        "--k3s-binary",
        "/bin/sh",
    ];
    // Refused for another reason: then the folder is not made either.
    sandbox
        .run(&[&args[..], &["--out", &out]].concat())
        .expect(2);
    assert!(!sandbox.path("a").exists());
    let args = [
        "report",
        concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/tests/data"),
    ];
    sandbox.run(&args).expect(2).says(&["events.jsonl"]);
}

/// Mounted for the length of a test.
struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(sandbox: &Sandbox, options: &str) -> Self {
        let at = sandbox.path("mounted");
        std::fs::create_dir(&at).unwrap();
        let mut mount = Command::new("mount");
        let status = mount
            .args(["-t", "tmpfs", "-o", options, "assay-test"])
            .arg(&at)
            .status();
        assert!(status.unwrap().success());
        Self(at)
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let status = Command::new("umount").arg(&self.0).status();
        assert!(status.unwrap().success());
    }
}

#[test]
#[ignore = "needs root: run with --ignored"]
fn a_read_only_out_folder_is_refused() {
    needs_root();
    let sandbox = Sandbox::new();
    let mounted = Mounted::tmpfs(&sandbox, "ro");
    let out = mounted.0.display().to_string();
    let args = [
        "suite",
        "all",
        "--target",
        "native",
        "--distribution",
        "reference",
        "--out",
        &out,
    ];
    sandbox.run(&args).expect(2).says(&["Read-only", "--out"]);
    sandbox.nothing_left();
    // An old run can still be judged; only its report goes nowhere.
    let run = crate::reports::copy(&sandbox, "torn");
    let run = run.display().to_string();
    let ended = sandbox.run(&["report", &run, "--out", &out]);
    ended.expect(2);
    assert!(
        ended.stderr.contains("choose another --out"),
        "{}",
        ended.stderr
    );
}

/// The run stops as soon as its journal cannot be written, cleans up, and says what to do.
#[test]
#[ignore = "needs root: run with --ignored"]
fn a_full_out_folder_ends_the_run_in_order() {
    needs_root();
    let sandbox = Sandbox::new();
    let mounted = Mounted::tmpfs(&sandbox, "size=48k");
    let out = mounted.0.display().to_string();
    let args = [
        "suite",
        "all",
        "--target",
        "native",
        "--distribution",
        "reference",
        "--datastore",
        "sqlite",
    ];
    let ended = sandbox.run(&[&args[..], &["--out", &out]].concat());
    ended.expect(6);
    let last = ended.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("No space left"), "{}", ended.stderr);
    assert!(last.contains("free space"), "{}", ended.stderr);
    // It did not go on for nothing: the last suite never began.
    assert!(
        !ended.stderr.contains("write_ladder/api-half-knee"),
        "{}",
        ended.stderr
    );
    sandbox.nothing_left();
    assert!(
        names(&mounted.0).len() >= 2,
        "the run's folder and its link"
    );
}
