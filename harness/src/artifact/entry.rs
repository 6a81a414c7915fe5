//! One file of the cache.
//!
//! A file carries its final name only when it is whole, verified and on disk. Until then it is called
//! `<file>.partial`, with what is needed to resume it in `<file>.resume`. `<file>.lock` keeps two processes
//! from writing the same entry, and stays: removing a lock file would let two of them hold "the" lock.

use std::fs::{File, TryLockError};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::checksum;
use super::error::ArtifactError;
use super::progress::Progress;

/// One file of the cache, there or not.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    folder: PathBuf,
    file: String,
}

/// What an entry holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Held {
    /// Nothing.
    Nothing,
    /// The right file.
    Good {
        /// Its sum.
        sha256: String,
    },
    /// A file with another sum than the one expected.
    Wrong {
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A file that nothing vouches for: no pin, and it did not come with a sum.
    Unknown,
}

/// What is needed to resume a partial download.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ResumeNote {
    /// Where it comes from.
    pub from: String,
    /// The server's validator (a strong ETag, else Last-Modified), for If-Range.
    pub validator: Option<String>,
}

impl Entry {
    /// The entry of `file` in `folder`, which need not exist yet.
    pub(super) fn at(folder: PathBuf, file: &str) -> Self {
        Self {
            folder,
            file: file.to_owned(),
        }
    }

    /// The finished file.
    pub(super) fn path(&self) -> PathBuf {
        self.folder.join(&self.file)
    }

    /// The unfinished file.
    pub(super) fn partial(&self) -> PathBuf {
        self.beside("partial")
    }

    fn beside(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.file))
    }

    /// Looks at what is there. `pin` is the sum that it must have; without one, the sum that was recorded
    /// when it was downloaded counts.
    ///
    /// # Errors
    /// When it is there and cannot be read.
    pub(super) async fn held(&self, pin: Option<&str>) -> Result<Held, ArtifactError> {
        let path = self.path();
        let got = match checksum::of_file(&path).await {
            Ok(sum) => sum,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Held::Nothing);
            }
            Err(error) => return Err(ArtifactError::cache(&path, error)),
        };
        let recorded = || checksum::parse(&fs_err::read_to_string(self.beside("sha256")).ok()?);
        Ok(match pin.map(str::to_owned).or_else(recorded) {
            Some(expected) if expected == got => Held::Good { sha256: got },
            Some(expected) => Held::Wrong { expected, got },
            None => Held::Unknown,
        })
    }

    /// Makes the folder and takes the entry's lock, waiting for another holder.
    ///
    /// # Errors
    /// When the folder cannot be written, or the other holder outlasts `patience`.
    pub(super) async fn lock(
        &self,
        patience: Duration,
        progress: &dyn Progress,
    ) -> Result<Lock, ArtifactError> {
        fs_err::create_dir_all(&self.folder)
            .map_err(|error| ArtifactError::cache(&self.folder, error))?;
        let path = self.beside("lock");
        let open = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path);
        let file = open.map_err(|error| ArtifactError::cache(&path, error))?;
        let began = Instant::now();
        let mut told = false;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Lock { _file: file }),
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(ArtifactError::cache(&path, error)),
            }
            if began.elapsed() >= patience {
                return Err(ArtifactError::Locked {
                    path,
                    seconds: patience.as_secs(),
                });
            }
            if !told {
                progress.note(&format!(
                    "waiting for another process that downloads {}",
                    self.path().display()
                ));
                told = true;
            }
            // The kernel offers no wait with a deadline on this lock, so it is polled.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// How much of a partial download is there, and from where.
    pub(super) fn partial_state(&self) -> (u64, ResumeNote) {
        let length = fs_err::metadata(self.partial()).map_or(0, |metadata| metadata.len());
        let note = fs_err::read(self.beside("resume"))
            .ok()
            .and_then(|bytes| serde_json::from_slice(&bytes).ok());
        (length, note.unwrap_or_default())
    }

    /// Records where the partial download comes from.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn note_resume(&self, note: &ResumeNote) -> Result<(), ArtifactError> {
        let path = self.beside("resume");
        let bytes =
            serde_json::to_vec(note).map_err(|error| ArtifactError::cache(&path, error.into()))?;
        fs_err::write(&path, bytes).map_err(|error| {
            // Without its note the partial file could not be resumed, and the disk may be full.
            self.discard_partial();
            ArtifactError::cache(&path, error)
        })
    }

    /// Removes the partial download.
    pub(super) fn discard_partial(&self) {
        for path in [self.partial(), self.beside("resume")] {
            let _ = fs_err::remove_file(path);
        }
    }

    /// Removes a finished file that turned out to be wrong.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub(super) fn remove(&self) -> Result<(), ArtifactError> {
        let path = self.path();
        match fs_err::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(ArtifactError::cache(&path, error))
            }
            _ => Ok(()),
        }
    }

    /// Gives the verified partial download its final name.
    ///
    /// # Errors
    /// When a step fails; the final name is then unchanged.
    pub(super) fn commit(&self, sha256: &str) -> Result<PathBuf, ArtifactError> {
        let (partial, path, sum) = (self.partial(), self.path(), self.beside("sha256"));
        let steps = || {
            use std::os::unix::fs::PermissionsExt;
            let file = fs_err::File::open(&partial)?;
            fs_err::set_permissions(&partial, PermissionsExt::from_mode(0o755))?;
            file.sync_all()?;
            // The sum first: a sum without its file is harmless, a file without its sum is distrusted.
            fs_err::write(&sum, format!("{sha256}\n"))?;
            fs_err::rename(&partial, &path)?;
            // The rename itself must reach the disk, or a power cut could undo it half-way.
            fs_err::File::open(&self.folder)?.sync_all()
        };
        steps().map_err(|error| ArtifactError::cache(&path, error))?;
        let _ = fs_err::remove_file(self.beside("resume"));
        Ok(path)
    }
}

/// Held while an entry is written; the kernel lets go of it however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

#[cfg(test)]
mod tests {
    use super::super::cache::Cache;
    use super::*;

    #[tokio::test]
    async fn a_file_without_a_known_sum_is_not_trusted() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let entry = Cache::at(folder.path()).entry("k3s", "v1.0.0+k3s1", "k3s");
        assert_eq!(entry.held(None).await.expect("readable"), Held::Nothing);
        fs_err::create_dir_all(&entry.folder).expect("writable");
        fs_err::write(entry.path(), "abc").expect("writable");
        assert_eq!(entry.held(None).await.expect("readable"), Held::Unknown);
        let sum = checksum::of_file(&entry.path()).await.expect("readable");
        fs_err::write(entry.beside("sha256"), &sum).expect("writable");
        assert_eq!(
            entry.held(None).await.expect("readable"),
            Held::Good {
                sha256: sum.clone()
            }
        );
        let pin = "0".repeat(64);
        assert_eq!(
            entry.held(Some(&pin)).await.expect("readable"),
            Held::Wrong {
                expected: pin.clone(),
                got: sum
            }
        );
    }

    #[tokio::test]
    async fn a_held_lock_is_waited_for_and_then_given_up_on() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let entry = Cache::at(folder.path()).entry("k3s", "v1.0.0+k3s1", "k3s");
        let silent = super::super::progress::Silent;
        let lock = entry.lock(Duration::ZERO, &silent).await.expect("free");
        let error = entry.lock(Duration::ZERO, &silent).await.expect_err("held");
        assert!(matches!(error, ArtifactError::Locked { .. }), "{error}");
        drop(lock);
        entry
            .lock(Duration::ZERO, &silent)
            .await
            .expect("free again");
    }
}
