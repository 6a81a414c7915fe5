//! The processes of a cgroup folder and what is beneath it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::scope::{Killed, kill_if};

/// The folder and every cgroup beneath it, the deepest first.
pub(super) fn tree(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        // `file_type` does not follow symbolic links.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(tree(&entry.path()));
        }
    }
    found.push(folder.to_owned());
    found
}

/// The pids in a folder and beneath it. 0 stands for processes of a foreign pid namespace and is left out.
pub fn beneath(folder: &Path) -> Vec<i32> {
    let mut pids: Vec<i32> = tree(folder)
        .iter()
        .filter_map(|folder| std::fs::read_to_string(folder.join("cgroup.procs")).ok())
        .flat_map(|text| {
            text.lines()
                .filter_map(|line| line.parse().ok())
                .collect::<Vec<i32>>()
        })
        .filter(|pid| *pid > 0)
        .collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

/// Whether a process runs or sleeps, rather than being dead and waiting to be reaped (field 3 of
/// `/proc/<pid>/stat`, proc(5)); `None`: there is none.
pub(super) fn is_running(pid: i32) -> Option<bool> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let state = text
        .get(text.rfind(')')? + 1..)?
        .trim_start()
        .chars()
        .next()?;
    Some(!matches!(state, 'Z' | 'X' | 'x'))
}

/// Kills everything in a folder and beneath it: `cgroup.kill` on v2 (Linux 5.14), else one by one, each checked
/// to be still inside after its pidfd was opened. One round; the caller repeats until it is empty.
pub fn kill_all(folder: &Path, each: Duration) {
    if std::fs::write(folder.join("cgroup.kill"), "1").is_ok() {
        return;
    }
    for pid in beneath(folder) {
        let killed = kill_if(pid, each, || beneath(folder).contains(&pid));
        // What remains is seen again in the next round, and named if it never goes.
        debug_assert!(!matches!(killed, Killed::Remains(ref why) if why.is_empty()));
    }
}
