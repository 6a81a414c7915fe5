//! Removing a work folder: only beneath the state folder's `work/`, never through a symbolic link, never
//! across a mount.

use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

use rustix::mount::{UnmountFlags, unmount};

/// Removes a folder and everything in it. Mounts found beneath it are unmounted first; if one stays, nothing
/// is removed. A folder that does not exist is fine.
///
/// # Errors
/// A sentence that says why it stays: it is not beneath `work`, a mount is busy, or the kernel refused.
pub fn remove_work_folder(work: &Path, path: &Path) -> Result<(), String> {
    let Some(real) = locate(work, path)? else {
        return Ok(());
    };
    for mount in mounts_beneath(&real) {
        unmount(&mount, UnmountFlags::NOFOLLOW).map_err(|error| {
            format!(
                "failed to unmount {} ({error}); end what uses it and run `assay sweep` again",
                mount.display()
            )
        })?;
    }
    // Twice: a dying process may still write while its folder goes.
    let mut last = Ok(());
    for _ in 0..3 {
        last = match std::fs::symlink_metadata(&real) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&real),
            Ok(_) => std::fs::remove_file(&real),
            Err(error) => Err(error),
        };
        match &last {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) => {}
        }
    }
    last.map_err(|error| {
        format!(
            "failed to remove {} ({error}); remove it by hand",
            real.display()
        )
    })
}

/// Resolves the parent only, so that the last component is never followed. `None`: it does not exist.
fn locate(work: &Path, path: &Path) -> Result<Option<PathBuf>, String> {
    let refuse = || {
        format!(
            "failed to remove {}: it is not beneath {}, so it is not assay's; remove it by hand if it is yours",
            path.display(),
            work.display()
        )
    };
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(refuse());
    };
    if !path.is_absolute() || path.components().any(|c| c == Component::ParentDir) {
        return Err(refuse());
    }
    let Ok(parent) = parent.canonicalize() else {
        return Ok(None);
    };
    let work = work.canonicalize().map_err(|_| refuse())?;
    if !parent.starts_with(&work) {
        return Err(refuse());
    }
    let real = parent.join(name);
    Ok(std::fs::symlink_metadata(&real).is_ok().then_some(real))
}

/// Mount points at or beneath a folder, the last mounted first.
fn mounts_beneath(folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut found: Vec<PathBuf> = text
        .lines()
        .filter_map(|line| line.split(' ').nth(4))
        .map(unescape)
        .filter(|point| point.starts_with(folder))
        .collect();
    found.reverse();
    found
}

/// proc(5): space, tab, newline and backslash are written as `\ooo`.
pub(crate) fn unescape(text: &str) -> PathBuf {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let octal = (bytes[at] == b'\\')
            .then(|| text.get(at + 1..at + 4))
            .flatten()
            .and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match octal {
            Some(byte) => {
                out.push(byte);
                at += 4;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_beneath_work_and_never_through_a_link() {
        let state = tempfile::tempdir().unwrap();
        let (work, other) = (state.path().join("work"), state.path().join("other"));
        std::fs::create_dir_all(work.join("cell/deep")).unwrap();
        std::fs::create_dir_all(&other).unwrap();
        std::fs::write(other.join("precious"), "x").unwrap();
        std::os::unix::fs::symlink(&other, work.join("cell/deep/link")).unwrap();
        std::os::unix::fs::symlink(&other, work.join("link")).unwrap();

        for outside in [
            &other,
            &work,
            &work.join("../other"),
            &work.join("link/precious"),
        ] {
            remove_work_folder(&work, outside).unwrap_err();
        }
        remove_work_folder(&work, &work.join("cell")).unwrap();
        remove_work_folder(&work, &work.join("link")).unwrap();
        remove_work_folder(&work, &work.join("never-made/at/all")).unwrap();
        assert!(other.join("precious").exists());
        assert_eq!(std::fs::read_dir(&work).unwrap().count(), 0);
    }

    #[test]
    fn escapes_of_mountinfo_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c\09"), Path::new(r"/a b\c\09"));
    }
}
