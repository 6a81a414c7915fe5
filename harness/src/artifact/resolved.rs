//! A binary that was found fit, and the steps that every source of binaries shares.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::binary::{self, BinaryProblem};
use super::checksum;
use super::patience::Patience;
use super::version::{self, VersionLine};
use fixtures::artifacts::{self, Arch};

/// Where a binary came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A command-line flag.
    Flag,
    /// An environment variable.
    Env,
    /// The cache.
    Cache,
    /// A folder of `PATH`.
    Path,
    /// A folder that the ecosystem agrees on.
    Convention,
    /// Downloaded just now; it is in the cache now.
    Downloaded,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Flag => "flag",
            Self::Env => "environment",
            Self::Cache => "cache",
            Self::Path => "PATH",
            Self::Convention => "convention",
            Self::Downloaded => "downloaded",
        })
    }
}

/// A binary that is there and fit for its machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resolved {
    /// Its absolute path.
    pub path: PathBuf,
    /// Where it came from.
    pub origin: Origin,
    /// Its SHA-256 in lower-case hex. For a wrapper script that is the script's own.
    pub sha256: String,
    /// Its version, such as `v1.36.3+k3s1`; `unknown` for a binary of another machine that is not pinned.
    pub version: String,
}

/// Examines a binary, sums it and learns its version.
///
/// # Errors
/// When it is unfit for `arch` or does not say a version.
pub(super) async fn inspect(
    path: &Path,
    origin: Origin,
    arch: Arch,
    line: VersionLine,
    patience: &Patience,
) -> Result<Resolved, BinaryProblem> {
    let path = std::path::absolute(path)?;
    binary::examine(&path, arch)?;
    let sha256 = checksum::of_file(&path).await?;
    let pinned = artifacts::k3s().version_of(&sha256).map(str::to_owned);
    let version = match pinned {
        Some(version) => version,
        None if Arch::of_host() == Some(arch) => {
            version::ask(&path, line, patience.version).await?
        }
        None => "unknown".to_owned(),
    };
    Ok(Resolved {
        path,
        origin,
        sha256,
        version,
    })
}

/// Every file of this name in the folders of a `PATH`. Relative folders are left out, as a run must not
/// depend on where it was started.
pub(super) fn on_search_path(search_path: Option<&OsStr>, name: &str) -> Vec<PathBuf> {
    let folders = search_path.map(std::env::split_paths).into_iter().flatten();
    folders
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .filter(|path| path.exists())
        .collect()
}
