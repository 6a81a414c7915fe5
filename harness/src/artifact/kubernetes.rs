//! Resolving the servers of Kubernetes: all from one folder, the one that envtest's convention names. They are never
//! downloaded.

use std::path::{Path, PathBuf};

use fixtures::artifacts::Arch;

use super::error::ArtifactError;
use super::patience::Patience;
use super::progress::Progress;
use super::resolved::{Origin, Resolved, inspect};
use super::version::VersionLine;
use crate::distribution::kubernetes::CONTROLLER_MANAGER;

/// Where envtest looks when `KUBEBUILDER_ASSETS` is not set (the book of kubebuilder, "Configuring envtest").
pub(super) const DEFAULT_FOLDER: &str = "/usr/local/kubebuilder/bin";

/// Where the servers may come from.
#[derive(Debug, Clone)]
pub struct KubernetesRequest {
    /// `KUBEBUILDER_ASSETS`, envtest's folder of control-plane binaries.
    pub assets: Option<PathBuf>,
    /// The folder where that is not set.
    pub default: PathBuf,
    /// The machine that they are for.
    pub arch: Arch,
    /// How long things may take.
    pub patience: Patience,
}

/// The servers but etcd, which has its own request.
#[derive(Debug, Clone)]
pub struct KubernetesBinaries {
    /// Where they are.
    pub folder: PathBuf,
    /// `kube-apiserver`.
    pub apiserver: Resolved,
    /// `kube-controller-manager`, or why there is none.
    pub controller_manager: Result<Resolved, String>,
}

/// Finds the servers.
///
/// # Errors
/// When there is no kube-apiserver, or a binary of the folder is unfit.
pub async fn resolve_kubernetes(
    request: &KubernetesRequest,
    progress: &dyn Progress,
) -> Result<KubernetesBinaries, ArtifactError> {
    let (folder, origin) = match &request.assets {
        Some(folder) => (folder, Origin::Env),
        None => (&request.default, Origin::Convention),
    };
    let look = async |path: &Path| {
        let line = VersionLine::KUBERNETES;
        let found = inspect(path, origin, request.arch, line, &request.patience).await;
        found.map_err(|problem| ArtifactError::BadBinary {
            given_by: "KUBEBUILDER_ASSETS",
            path: path.to_owned(),
            problem,
        })
    };
    let path = folder.join("kube-apiserver");
    if !path.exists() {
        let unset = match origin {
            Origin::Env => "",
            _ => "KUBEBUILDER_ASSETS is not set, and ",
        };
        return Err(ArtifactError::NotFound {
            what: "kube-apiserver".to_owned(),
            why: format!("{unset}there is no {}", path.display()),
            next: format!(
                "set KUBEBUILDER_ASSETS to a folder with kube-apiserver, etcd and {CONTROLLER_MANAGER}"
            ),
        });
    }
    let apiserver = look(&path).await?;
    let path = folder.join(CONTROLLER_MANAGER);
    let controller_manager = if path.exists() {
        let found = look(&path).await?;
        if found.version != apiserver.version {
            progress.warn(&format!(
                "{CONTROLLER_MANAGER} is {}, and the kube-apiserver beside it is {}",
                found.version, apiserver.version
            ));
        }
        Ok(found)
    } else {
        Err(format!(
            "there is no {}; put one there, or give --shape api-server to run without, where every check of a \
             controller fails",
            path.display()
        ))
    };
    Ok(KubernetesBinaries {
        folder: folder.clone(),
        apiserver,
        controller_manager,
    })
}
