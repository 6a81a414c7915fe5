//! Resolving a bare etcd: flag, envtest asset folder, cache, PATH. It is never downloaded: distributions
//! package it, and `doctor` says how to install it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fixtures::artifacts::Arch;

use super::cache::Cache;
use super::error::ArtifactError;
use super::patience::Patience;
use super::progress::Progress;
use super::resolved::{Origin, Resolved, inspect, on_search_path};
use super::version::VersionLine;

/// Where an etcd binary may come from.
#[derive(Debug, Clone)]
pub struct EtcdRequest {
    /// `--etcd-binary`.
    pub flag: Option<PathBuf>,
    /// `KUBEBUILDER_ASSETS`, envtest's folder of control-plane binaries.
    pub assets: Option<PathBuf>,
    /// The machine that it is for.
    pub arch: Arch,
    /// The cache; an `etcd/<version>/etcd` put there by hand is used.
    pub cache: Cache,
    /// The folders of `PATH`.
    pub search_path: Option<OsString>,
    /// How long things may take.
    pub patience: Patience,
}

/// Finds the etcd binary.
///
/// # Errors
/// When a binary that was named explicitly is unfit, or there is none.
pub async fn resolve_etcd(
    request: &EtcdRequest,
    progress: &dyn Progress,
) -> Result<Resolved, ArtifactError> {
    let look = async |path: &Path, origin| {
        inspect(
            path,
            origin,
            request.arch,
            VersionLine::ETCD,
            &request.patience,
        )
        .await
    };
    if let Some(path) = &request.flag {
        let bad = |problem| ArtifactError::BadBinary {
            given_by: "--etcd-binary",
            path: path.clone(),
            problem,
        };
        return look(path, Origin::Flag).await.map_err(bad);
    }
    if let Some(folder) = &request.assets {
        let path = folder.join("etcd");
        // The variable is often set for other tools and its folder may hold no etcd; one that is there counts.
        if path.exists() {
            let bad = |problem| ArtifactError::BadBinary {
                given_by: "KUBEBUILDER_ASSETS",
                path: path.clone(),
                problem,
            };
            return look(&path, Origin::Env).await.map_err(bad);
        }
        progress.warn(&format!(
            "KUBEBUILDER_ASSETS is set, but there is no {}",
            path.display()
        ));
    }
    let mut versions = request.cache.versions("etcd", "etcd");
    versions.reverse();
    let cached = versions.iter().map(|version| {
        (
            request.cache.entry("etcd", version, "etcd").path(),
            Origin::Cache,
        )
    });
    let installed = on_search_path(request.search_path.as_deref(), "etcd")
        .into_iter()
        .map(|path| (path, Origin::Path));
    for (path, origin) in cached.chain(installed) {
        match look(&path, origin).await {
            Ok(found) => return Ok(found),
            Err(problem) => progress.warn(&format!(
                "{} ({origin}) is passed over: {problem}",
                path.display()
            )),
        }
    }
    Err(ArtifactError::NotFound {
        what: "etcd".to_owned(),
        why: "it is neither in the cache nor in PATH".to_owned(),
        next: "install it (assay doctor names the command) or give --etcd-binary".to_owned(),
    })
}
