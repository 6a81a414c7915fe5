//! A program whose pages the cell pays for.
//!
//! A page of a file is charged to the cgroup that touches it first. About 120 MiB of K3s would otherwise be charged to
//! whoever copied, hashed or ran it before, and a budget would look kept that is not.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Gives the program to execute: the one that was named, its cached pages dropped; or a copy in the cell's folder
/// where another process runs the same file, for its pages cannot be dropped.
pub(super) fn claim(program: &Path, work: &Path) -> Result<PathBuf> {
    let own = std::env::current_exe().is_ok_and(|own| same_file(&own, program));
    if own || !is_run_by_another(program) {
        forget_cached(program);
        return Ok(program.to_owned());
    }
    let folder = work.join("bin");
    let copy = folder.join(
        program
            .file_name()
            .context("failed to copy the program: it has no name")?,
    );
    fs_err::create_dir_all(&folder)
        .and_then(|()| fs_err::copy(program, &copy))
        .context("failed to copy the program, which another process runs too; free some disk")?;
    forget_cached(&copy);
    Ok(copy)
}

/// [`claim`] for each of a cell's binaries, in one folder each, for their names may be the same.
pub(super) fn claim_all(
    binaries: &BTreeMap<&'static str, PathBuf>,
    work: &Path,
) -> Result<BTreeMap<&'static str, PathBuf>> {
    let claimed = binaries
        .iter()
        // What is not there is told by whoever starts it.
        .map(|(&name, path)| match path.is_file() {
            true => Ok((name, claim(path, &work.join(name))?)),
            false => Ok((name, path.clone())),
        });
    claimed.collect()
}

/// Drops its clean pages from the page cache.
pub(in crate::target) fn forget_cached(program: &Path) {
    if let Ok(file) = std::fs::File::open(program) {
        // Only clean pages go; a binary that was just written is not on disk yet.
        let _ = file.sync_data();
        let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed);
    }
}

fn is_run_by_another(program: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return false;
    };
    entries
        .flatten()
        .filter(|entry| {
            let name = entry.file_name();
            name.to_str()
                .is_some_and(|name| name.bytes().all(|b| b.is_ascii_digit()))
        })
        .any(|entry| same_file(&entry.path().join("exe"), program))
}

fn same_file(a: &Path, b: &Path) -> bool {
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|m| (m.dev(), m.ino()));
    identity(a).is_some() && identity(a) == identity(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_another_process_runs_is_copied() {
        let folder = tempfile::tempdir().unwrap();
        let sleep = crate::host::on_path("sleep").unwrap();
        let program = folder.path().join("sleep");
        fs_err::copy(sleep, &program).unwrap();
        let work = folder.path().join("work");
        assert_eq!(claim(&program, &work).unwrap(), program);
        let mut running = std::process::Command::new(&program)
            .arg("1000")
            .spawn()
            .unwrap();
        // The child is this test's program until it has executed the other.
        while !same_file(Path::new(&format!("/proc/{}/exe", running.id())), &program) {
            std::thread::yield_now();
        }
        let claimed = claim(&program, &work);
        running.kill().unwrap();
        running.wait().unwrap();
        assert_eq!(claimed.unwrap(), work.join("bin/sleep"));
        assert_eq!(
            fs_err::read(work.join("bin/sleep")).unwrap(),
            fs_err::read(&program).unwrap()
        );
    }
}
