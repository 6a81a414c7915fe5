//! Folders to make things in for a cache, on its own disk. Each is removed by its owner; after a crash by the next one.

use std::fs::File;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Attempts at a folder: one fails only where somebody clears at that very moment.
const ATTEMPTS: usize = 16;

/// A folder to build in, for this user alone. Removed when dropped; after a crash, by the next builder.
#[derive(Debug)]
pub(crate) struct Workshop {
    path: PathBuf,
    /// Locked while its owner lives, however that ends.
    _lock: File,
}

impl Workshop {
    /// A new folder beneath `folder`, after those of dead builders are removed.
    ///
    /// # Errors
    /// When it cannot be made: a full disk, a cache of somebody else's.
    pub(crate) fn open(folder: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        clear(folder);
        let mut last = io::Error::from(io::ErrorKind::WouldBlock);
        for _ in 0..ATTEMPTS {
            match Self::make(folder.join(uuid::Uuid::new_v4().simple().to_string())) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => last = error,
                other => return other,
            }
        }
        Err(last)
    }

    /// The lock is held before the folder has anything in it, and lies beside it.
    fn make(path: PathBuf) -> io::Result<Self> {
        let lock = lock_file(&path);
        let file = fs_err::File::create_new(&lock)?.into_file();
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        // Between these two somebody may have taken it for a dead builder's.
        let still = std::fs::metadata(&lock).is_ok_and(|now| {
            file.metadata()
                .is_ok_and(|own| own.ino() == now.ino() && own.dev() == now.dev())
        });
        if !still {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // What is made may hold keys.
        std::fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self { path, _lock: file })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Workshop {
    fn drop(&mut self) {
        let _ = fs_err::remove_dir_all(&self.path);
        let _ = fs_err::remove_file(lock_file(&self.path));
    }
}

/// Removes the folders of dead builders.
pub(crate) fn clear(folder: &Path) {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return;
    };
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.extension().is_none_or(|extension| extension != "lock") {
            continue;
        }
        let Ok(file) = File::open(&path) else {
            continue;
        };
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs_err::remove_dir_all(path.with_extension(""));
            let _ = fs_err::remove_file(&path);
        }
    }
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_builders_folder_is_removed_and_a_live_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("work");
        let live = Workshop::open(&root).unwrap();
        let dead = root.join("dead");
        fs_err::create_dir(&dead).unwrap();
        fs_err::write(dead.join("memory"), "keys").unwrap();
        fs_err::write(lock_file(&dead), "").unwrap();
        let other = Workshop::open(&root).unwrap();
        assert!(live.path().is_dir() && other.path().is_dir() && !dead.exists());
        assert_eq!(fs_err::metadata(live.path()).unwrap().mode() & 0o777, 0o700);
        let path = live.path().to_owned();
        drop(live);
        assert!(!path.exists() && !lock_file(&path).exists());
        clear(&root);
        assert!(other.path().is_dir());
    }
}
