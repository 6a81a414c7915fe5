//! What can go wrong with an artifact. Each message completes "failed to ..." and ends with the next step.

use std::io;
use std::path::{Path, PathBuf};

use super::binary::BinaryProblem;

/// Why an artifact cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// What was asked for makes no sense.
    #[error("{0}")]
    BadRequest(String),
    /// A binary that was named explicitly is unfit.
    #[error("use {path} as given by {given_by}: {problem}")]
    BadBinary {
        /// The flag or variable that named it.
        given_by: &'static str,
        /// The binary.
        path: PathBuf,
        /// What is wrong, with the next step.
        problem: BinaryProblem,
    },
    /// It is nowhere on this machine, and downloading it is not possible or not allowed.
    #[error("find {what} on this machine: {why}; {next}")]
    NotFound {
        /// The artifact.
        what: String,
        /// Why it was not downloaded.
        why: String,
        /// What to do.
        next: String,
    },
    /// The mirror works but has no such file.
    #[error(
        "find {place}: the mirror has no such file; check --k3s-version (such as v1.36.3+k3s1) and --release-mirror"
    )]
    NoSuchVersion {
        /// Where it was looked for.
        place: String,
    },
    /// The mirror cannot be reached.
    #[error(
        "reach {place}: {reason}; check the network, or give --release-mirror or a local --k3s-binary"
    )]
    Unreachable {
        /// Where it was looked for.
        place: String,
        /// What the network said.
        reason: String,
    },
    /// The mirror answered with something that is no file.
    #[error("download {place}: {reason}; try again later or give another --release-mirror")]
    BadAnswer {
        /// Where it was looked for.
        place: String,
        /// What it answered.
        reason: String,
    },
    /// The transfer ended early. What arrived stays beside the cache entry for the next attempt.
    #[error(
        "download {place}: {reason} after {got} bytes; run the same command again and it resumes there"
    )]
    CutOff {
        /// Where it comes from.
        place: String,
        /// Bytes that are on disk.
        got: u64,
        /// What happened.
        reason: String,
    },
    /// What arrived is not what was promised. It has been removed.
    #[error(
        "verify {place}: expected SHA-256 {expected}, got {got}; the file was removed, so check that the mirror is genuine and run the same command again"
    )]
    WrongSum {
        /// Where it came from.
        place: String,
        /// The sum that it should have.
        expected: String,
        /// The sum that it has.
        got: String,
    },
    /// A version without a pin, and its release has no usable checksum for it.
    #[error(
        "verify {asset}: it is not pinned and {place} {reason}; give a --release-mirror that carries its checksum file, or a local --k3s-binary"
    )]
    NoChecksum {
        /// The file to be verified.
        asset: String,
        /// The checksum file.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full. The partial download has been removed.
    #[error(
        "store {path}: the disk is full ({detail}); free some space or set ASSAY_CACHE to a folder on another disk"
    )]
    DiskFull {
        /// What was being written.
        path: PathBuf,
        /// How much is there and how much is needed.
        detail: String,
    },
    /// The cache cannot be read or written.
    #[error(
        "use the cache file {path}: {source}; set ASSAY_CACHE to a folder that you may write to"
    )]
    Cache {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the cache entry.
    #[error(
        "lock {path}: another process has been downloading the same file for {seconds} s; wait for it, or end it and run the same command again"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long it was waited for.
        seconds: u64,
    },
}

impl ArtifactError {
    /// assay's exit code for it: 2 where the command line or environment is at fault, else 6.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::BadRequest(_) | Self::BadBinary { .. } => 2,
            _ => 6,
        }
    }

    /// Whether trying again can continue where it stopped.
    pub(super) fn is_interruption(&self) -> bool {
        matches!(self, Self::CutOff { .. })
    }

    /// An I/O error on a file of the cache. A full disk is told apart, because its remedy is another one.
    pub(super) fn cache(path: &Path, source: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
        let path = path.to_owned();
        match source.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull {
                path,
                detail: source.to_string(),
            },
            _ => Self::Cache { path, source },
        }
    }
}
