//! Removing a cgroup: kill what sits in it, then remove the folders, the deepest first.

use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use super::PREFIX;
use super::procs::{beneath, kill_all, tree};

const CGROUP_SUPER_MAGIC: i64 = 0x0027_e0eb; // linux/magic.h
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270; // linux/magic.h

/// Kills what sits in a cgroup of assay's and removes it with what is beneath it. `Ok(false)`: it was gone.
///
/// # Errors
/// A sentence: it is no cgroup of assay's, or it stays busy.
pub fn remove_folder(path: &Path, deadline: Duration) -> Result<bool, String> {
    if std::fs::symlink_metadata(path).is_err() {
        return Ok(false);
    }
    check(path)?;
    super::thaw_folder(path);
    let end = Instant::now() + deadline;
    loop {
        kill_all(path, deadline);
        let removed = tree(path)
            .iter()
            .try_for_each(|folder| match std::fs::remove_dir(folder) {
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                other => other,
            });
        match removed {
            Ok(()) => return Ok(true),
            Err(error) if Instant::now() >= end => {
                let pids = beneath(path);
                return Err(format!(
                    "failed to remove it ({error}); it still holds the processes {pids:?}: end them and run \
                     `assay sweep`"
                ));
            }
            // A dying process leaves its cgroup a moment after it was reaped; nothing notifies of that on v1.
            Err(_) => std::thread::sleep(Duration::from_millis(2)),
        }
    }
}

/// Lets the processes of a cgroup of assay's go on; does nothing to any other.
pub fn thaw_ours(path: &Path) {
    if check(path).is_ok() {
        super::thaw_folder(path);
    }
}

/// A ledger that was tampered with must not make assay kill what sits in someone else's cgroup.
fn check(path: &Path) -> Result<(), String> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("");
    let ours = name
        .strip_prefix(PREFIX)
        .is_some_and(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_hexdigit()));
    if !ours {
        return Err(format!(
            "{} is not named like a cgroup of assay's; remove it by hand if it is yours",
            path.display()
        ));
    }
    let kind = rustix::fs::statfs(path)
        .map_err(|error| format!("failed to look at {} ({error})", path.display()))?
        .f_type;
    if kind != CGROUP_SUPER_MAGIC && kind != CGROUP2_SUPER_MAGIC {
        return Err(format!("{} is not a cgroup", path.display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_a_cgroup_of_assays_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let alike = folder.path().join("assay-00c0ffee");
        std::fs::create_dir(&alike).unwrap();
        let deadline = Duration::from_secs(1);
        remove_folder(&alike, deadline).unwrap_err();
        remove_folder(folder.path(), deadline).unwrap_err();
        assert!(alike.exists());
        let missing = folder.path().join("assay-00c0ffed");
        assert_eq!(remove_folder(&missing, deadline), Ok(false));
    }
}
