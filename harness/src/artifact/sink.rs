//! The writing end of a transfer: a partial file, its progress, and what a full disk looks like.

use std::path::PathBuf;

use indicatif::HumanBytes;
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::entry::Entry;
use super::error::ArtifactError;
use super::progress::Progress;

/// No release asset comes near this; a mirror that sends on for ever is stopped here.
pub(super) const LONGEST: u64 = 2 << 30;

/// Writes one partial file.
pub(super) struct Sink<'a> {
    file: File,
    path: PathBuf,
    entry: &'a Entry,
    progress: &'a dyn Progress,
    written: u64,
}

impl<'a> Sink<'a> {
    /// Opens the partial file, to go on at `keep` bytes, once it is known that the rest fits.
    ///
    /// # Errors
    /// When the rest does not fit on the disk or the file cannot be opened.
    pub(super) async fn open(
        entry: &'a Entry,
        what: &str,
        keep: u64,
        total: Option<u64>,
        progress: &'a dyn Progress,
    ) -> Result<Self, ArtifactError> {
        let path = entry.partial();
        let cache = |error| ArtifactError::cache(&path, error);
        let mut options = File::options();
        options
            .create(true)
            .write(true)
            .append(keep > 0)
            .truncate(keep == 0);
        let file = options.open(&path).await.map_err(cache)?;
        progress.start(what, keep, total);
        let sink = Self {
            file,
            path,
            entry,
            progress,
            written: keep,
        };
        if let Some(rest) = total.map(|total| total.saturating_sub(keep)) {
            sink.check_room(rest)?;
        }
        Ok(sink)
    }

    /// Better told before than after 80 MB over a slow line.
    fn check_room(&self, rest: u64) -> Result<(), ArtifactError> {
        let Ok(disk) = rustix::fs::statvfs(&self.path) else {
            return Ok(());
        };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= rest {
            return Ok(());
        }
        self.entry.discard_partial();
        let detail = format!("{} needed, {} free", HumanBytes(rest), HumanBytes(free));
        Err(ArtifactError::DiskFull {
            path: self.path.clone(),
            detail,
        })
    }

    /// Appends.
    ///
    /// # Errors
    /// When it cannot be written. On a full disk the partial file is removed: it is of no use there.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> Result<(), ArtifactError> {
        self.file
            .write_all(bytes)
            .await
            .map_err(|error| self.refuse(error))?;
        self.written += bytes.len() as u64;
        self.progress.at(self.written);
        Ok(())
    }

    /// Waits until everything has been handed to the system. tokio writes behind, so an error of the last
    /// write shows only here.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub(super) async fn flush(&mut self) -> Result<(), ArtifactError> {
        self.file.flush().await.map_err(|error| self.refuse(error))
    }

    fn refuse(&self, error: std::io::Error) -> ArtifactError {
        let error = ArtifactError::cache(&self.path, error);
        if matches!(error, ArtifactError::DiskFull { .. }) {
            self.entry.discard_partial();
        }
        error
    }

    /// Bytes of the file so far.
    pub(super) fn written(&self) -> u64 {
        self.written
    }
}

impl Drop for Sink<'_> {
    fn drop(&mut self) {
        self.progress.end();
    }
}
