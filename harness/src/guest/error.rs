//! Why there is no guest.

use std::path::Path;

/// Why a guest could not be built.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// The host lacks something; what needs a guest is skipped with this reason.
    #[error("{0}")]
    Unavailable(String),
    /// Building it failed. Nothing half-built was left in the cache.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

impl GuestError {
    /// A program that is not installed, and the Debian package that has it.
    pub(super) fn missing(program: &str, package: &str) -> Self {
        Self::Unavailable(format!(
            "no guest without {program}: run `apt-get install {package}`, or give a built guest with --guest-bundle"
        ))
    }

    /// An error of a file, where a full disk is worth its own words.
    pub(super) fn file(what: &str, path: &Path, error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::StorageFull {
            return full(path);
        }
        Self::Failed(
            anyhow::Error::new(error).context(format!("failed to {what} {}", path.display())),
        )
    }
}

/// The disk of this path is full.
pub(super) fn full(path: &Path) -> GuestError {
    GuestError::Failed(anyhow::anyhow!(
        "failed to build the guest: no space is left on the disk of {}; it takes about 600 MB while it is built. \
         Free some, or put the cache elsewhere with ASSAY_CACHE",
        path.display()
    ))
}
