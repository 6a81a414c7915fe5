//! The command-line arguments about artifacts, and the requests that they make.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::cache::Cache;
use super::error::ArtifactError;
use super::etcd::EtcdRequest;
use super::k3s::K3sRequest;
use super::kubernetes::{DEFAULT_FOLDER, KubernetesRequest};
use super::mirror::Mirror;
use super::patience::Patience;
use super::release::check_version;
use fixtures::artifacts::Arch;

/// Which K3s to test and where to get it.
///
/// The first of these that there is: --k3s-binary, the variable K3S_BINARY, the cache, PATH, a download.
#[derive(Debug, Clone, Default, Args)]
pub struct K3sArgs {
    /// The K3s binary to test [also: K3S_BINARY; else the cache, PATH, a download]
    #[arg(long, value_name = "FILE")]
    pub k3s_binary: Option<PathBuf>,
    /// The K3s release to test, such as v1.36.3+k3s1 [default: the pinned one]
    #[arg(long, value_name = "TAG")]
    pub k3s_version: Option<String>,
    #[command(flatten)]
    /// Where downloads come from.
    pub source: SourceArgs,
}

/// Where downloads come from.
#[derive(Debug, Clone, Default, Args)]
pub struct SourceArgs {
    /// Another place with the layout of the K3s releases: a base URL or a folder
    #[arg(long, value_name = "URL|FOLDER")]
    pub release_mirror: Option<String>,
    /// Never use the network
    #[arg(long)]
    pub offline: bool,
}

/// Which etcd to use.
#[derive(Debug, Clone, Default, Args)]
pub struct EtcdArgs {
    /// The etcd binary to use [else KUBEBUILDER_ASSETS, the cache, PATH]
    #[arg(long, value_name = "FILE")]
    pub etcd_binary: Option<PathBuf>,
}

/// What `fetch` can fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Fetchable {
    /// The K3s binary.
    K3s,
}

/// Download a binary into the cache and print its path.
#[derive(Debug, Clone, Args)]
pub struct FetchArgs {
    /// What to fetch
    #[arg(value_enum, default_value = "k3s")]
    pub what: Fetchable,
    /// The K3s release, such as v1.36.3+k3s1 [default: the pinned one]
    #[arg(long, value_name = "TAG")]
    pub k3s_version: Option<String>,
    /// The machine: amd64, arm64 or arm [default: this one]
    #[arg(long)]
    pub arch: Option<Arch>,
    #[command(flatten)]
    /// Where downloads come from.
    pub source: SourceArgs,
}

impl K3sArgs {
    /// The request for a binary of `arch`, with what the environment adds.
    ///
    /// # Errors
    /// When the version or the mirror is malformed.
    pub fn request(&self, arch: Arch) -> Result<K3sRequest, ArtifactError> {
        let version = self.k3s_version.as_deref().map(check_version).transpose()?;
        Ok(K3sRequest {
            flag: self.k3s_binary.clone(),
            env: std::env::var_os(variable(arch))
                .filter(|value| !value.is_empty())
                .map(PathBuf::from),
            version,
            arch,
            cache: Cache::of_user(),
            search_path: std::env::var_os("PATH"),
            mirror: self.source.mirror()?,
            offline: self.source.offline,
            patience: Patience::default(),
        })
    }
}

impl SourceArgs {
    fn mirror(&self) -> Result<Mirror, ArtifactError> {
        self.release_mirror
            .as_deref()
            .map_or_else(|| Ok(Mirror::official()), Mirror::parse)
    }
}

impl EtcdArgs {
    /// The request for an etcd of `arch`, with what the environment adds.
    pub fn request(&self, arch: Arch) -> EtcdRequest {
        EtcdRequest {
            flag: self.etcd_binary.clone(),
            assets: assets(),
            arch,
            cache: Cache::of_user(),
            search_path: std::env::var_os("PATH"),
            patience: Patience::default(),
        }
    }
}

/// The folder that `KUBEBUILDER_ASSETS` names.
fn assets() -> Option<PathBuf> {
    let value = std::env::var_os("KUBEBUILDER_ASSETS");
    value.filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// The request for the servers of Kubernetes, which no argument names: their folder is a convention.
#[must_use]
pub fn kubernetes_request(arch: Arch) -> KubernetesRequest {
    KubernetesRequest {
        assets: assets(),
        default: PathBuf::from(DEFAULT_FOLDER),
        arch,
        patience: Patience::default(),
    }
}

impl FetchArgs {
    /// The request for the release.
    ///
    /// # Errors
    /// When the version or the mirror is malformed, or the machine is one that K3s is not released for.
    pub fn request(&self) -> Result<K3sRequest, ArtifactError> {
        let args = K3sArgs {
            k3s_binary: None,
            k3s_version: self.k3s_version.clone(),
            source: self.source.clone(),
        };
        args.request(self.arch.map_or_else(host_arch, Ok)?)
    }
}

/// The variable that names a K3s binary for `arch`: a guest of another machine needs another one than this host.
fn variable(arch: Arch) -> &'static str {
    match arch {
        arch if Arch::of_host() == Some(arch) => "K3S_BINARY",
        Arch::Amd64 => "K3S_BINARY_AMD64",
        Arch::Arm64 => "K3S_BINARY_ARM64",
        Arch::Arm => "K3S_BINARY_ARM",
    }
}

/// The architecture of this machine.
///
/// # Errors
/// When K3s is not released for it.
pub fn host_arch() -> Result<Arch, ArtifactError> {
    Arch::of_host().ok_or_else(|| {
        let text = format!("choose a K3s binary for {}: there is no release for it; give --arch or use --distribution reference", std::env::consts::ARCH);
        ArtifactError::BadRequest(text)
    })
}
