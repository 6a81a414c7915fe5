//! Without root: observed, not enforced, and said so.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::ensure;

use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[("observed/without_root", without_root)];

const NOBODY: u32 = 65534;

fn without_root() -> Outcome {
    let folder = tempfile::tempdir()?;
    let program = folder.path().join("assay");
    std::fs::copy(std::env::current_exe()?, &program)?;
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755))?;
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755))?;
    let state = folder.path().join("state");
    std::fs::create_dir(&state)?;
    let mut command = Command::new(&program);
    command.arg("probe-observe").arg(&state).current_dir("/");
    if rustix::process::geteuid().is_root() {
        chown(&state, Some(NOBODY), Some(NOBODY))?;
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let all = format!("{said}{}", String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "{all}");
    for wanted in [
        "source process-tree",
        "address 127.0.0.1",
        "\"enforced\":false",
        "not_enforced_because",
        "\"peak_bytes\":",
        "Exit { code: Some(3), signal: None, oom_killed: false }",
        "gone",
    ] {
        ensure!(said.contains(wanted), "lacks {wanted:?}: {all}");
    }
    Ok(())
}
