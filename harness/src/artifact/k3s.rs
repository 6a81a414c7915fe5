//! Resolving the K3s binary: flag, variable, cache, PATH, download.

use std::ffi::OsString;
use std::path::PathBuf;

use fixtures::artifacts::{self, Arch};

use super::binary::{self, BinaryProblem};
use super::cache::Cache;
use super::entry::{Entry, Held};
use super::error::ArtifactError;
use super::fetch::download_k3s;
use super::mirror::Mirror;
use super::patience::Patience;
use super::progress::Progress;
use super::release;
use super::resolved::{Origin, Resolved, inspect, on_search_path};
use super::version::VersionLine;

/// What K3s binary is wanted and where it may come from.
#[derive(Debug, Clone)]
pub struct K3sRequest {
    /// `--k3s-binary`.
    pub flag: Option<PathBuf>,
    /// `K3S_BINARY`.
    pub env: Option<PathBuf>,
    /// `--k3s-version`, if it was given. A binary of another version is then refused.
    pub version: Option<String>,
    /// The machine that it is for.
    pub arch: Arch,
    /// The cache.
    pub cache: Cache,
    /// The folders of `PATH`.
    pub search_path: Option<OsString>,
    /// Where releases come from.
    pub mirror: Mirror,
    /// Never use the network. A local mirror folder may still be read.
    pub offline: bool,
    /// How long things may take.
    pub patience: Patience,
}

impl K3sRequest {
    /// The version to look for in the cache and to download.
    pub fn wanted_version(&self) -> &str {
        self.version
            .as_deref()
            .unwrap_or(&artifacts::k3s().default_version)
    }

    pub(super) fn entry(&self) -> Entry {
        self.cache.entry(
            "k3s",
            self.wanted_version(),
            release::binary_name(self.arch),
        )
    }

    pub(super) fn pin(&self) -> Option<&'static str> {
        artifacts::k3s().sha256(self.wanted_version(), self.arch)
    }

    /// What people call it.
    pub(super) fn what(&self) -> String {
        format!("k3s {} for {}", self.wanted_version(), self.arch)
    }

    /// Whether a download is possible at all without the network being tried.
    pub(super) fn may_download(&self) -> bool {
        !self.offline || !self.mirror.is_remote()
    }
}

/// Resolves the K3s binary, downloading it when it is nowhere on this machine.
///
/// # Errors
/// When a binary that was named explicitly is unfit, or none can be had.
pub async fn resolve_k3s(
    request: &K3sRequest,
    progress: &dyn Progress,
) -> Result<Resolved, ArtifactError> {
    if let Some(found) = find_k3s(request, progress).await? {
        return Ok(found);
    }
    if request.may_download() {
        return download_k3s(request, progress).await;
    }
    let next = match request
        .cache
        .versions("k3s", release::binary_name(request.arch))
        .pop()
    {
        Some(version) if version != request.wanted_version() => {
            format!("the cache holds another one: add --k3s-version {version}, or drop --offline")
        }
        _ => "give --k3s-binary, or run assay fetch k3s with a network first".to_owned(),
    };
    Err(ArtifactError::NotFound {
        what: request.what(),
        why: "--offline forbids a download".into(),
        next,
    })
}

/// Looks for the K3s binary on this machine only. `None` when there is none.
///
/// # Errors
/// When a binary that was named explicitly is unfit.
pub async fn find_k3s(
    request: &K3sRequest,
    progress: &dyn Progress,
) -> Result<Option<Resolved>, ArtifactError> {
    let named = [
        (&request.flag, Origin::Flag, "--k3s-binary"),
        (&request.env, Origin::Env, "K3S_BINARY"),
    ];
    for (path, origin, given_by) in named {
        let Some(path) = path else { continue };
        let fit = fit(request, path.clone(), origin, progress).await;
        let bad = |problem| ArtifactError::BadBinary {
            given_by,
            path: path.clone(),
            problem,
        };
        return fit.map(Some).map_err(bad);
    }
    if let Some(found) = in_cache(request, progress).await {
        return Ok(Some(found));
    }
    // PATH holds this machine's programs; none of them is meant for a guest of another kind.
    let host = Arch::of_host() == Some(request.arch);
    let search_path = request.search_path.as_deref().filter(|_| host);
    for path in on_search_path(search_path, "k3s") {
        match fit(request, path.clone(), Origin::Path, progress).await {
            Ok(found) => return Ok(Some(found)),
            Err(problem) => {
                progress.warn(&format!(
                    "{} in PATH is passed over: {problem}",
                    path.display()
                ));
            }
        }
    }
    Ok(None)
}

/// Inspects a binary that was named or found, and holds it against the version asked for.
async fn fit(
    request: &K3sRequest,
    path: PathBuf,
    origin: Origin,
    progress: &dyn Progress,
) -> Result<Resolved, BinaryProblem> {
    let found = inspect(
        &path,
        origin,
        request.arch,
        VersionLine::K3S,
        &request.patience,
    )
    .await?;
    if let Some(wanted) = &request.version
        && found.version != *wanted
        && found.version != "unknown"
    {
        return Err(BinaryProblem::OtherVersion {
            found: found.version,
            wanted: wanted.clone(),
        });
    }
    let pin = artifacts::k3s().sha256(&found.version, request.arch);
    if pin.is_some_and(|pin| pin != found.sha256) {
        let text = format!(
            "{} says it is {} but is not the released binary of that version",
            path.display(),
            found.version
        );
        progress.warn(&text);
    }
    Ok(found)
}

/// The verified cache entry, if there is one. A broken entry never stops a run: it is reported here and
/// replaced by the download that follows.
pub(super) async fn in_cache(request: &K3sRequest, progress: &dyn Progress) -> Option<Resolved> {
    let entry = request.entry();
    let path = entry.path();
    let skip = |why: String| {
        progress.warn(&format!(
            "{} in the cache is passed over: {why}",
            path.display()
        ));
        None
    };
    match entry.held(request.pin()).await {
        Ok(Held::Nothing) => None,
        Ok(Held::Good { sha256 }) => match binary::examine(&path, request.arch) {
            Ok(_) => {
                let version = request.wanted_version().to_owned();
                Some(Resolved {
                    path: path.clone(),
                    origin: Origin::Cache,
                    sha256,
                    version,
                })
            }
            Err(problem) => skip(problem.to_string()),
        },
        Ok(Held::Wrong { expected, got }) => skip(format!("its SHA-256 is {got}, not {expected}")),
        Ok(Held::Unknown) => skip("it came without a checksum".to_owned()),
        Err(error) => skip(error.to_string()),
    }
}
