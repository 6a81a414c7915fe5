//! Which distribution, and where its binaries are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::CommandError;
use crate::artifact::args::{EtcdArgs, K3sArgs, host_arch, kubernetes_request};
use crate::artifact::{
    Arch, ArtifactError, AutoK3s, Progress, Resolved, find_k3s, progress, resolve_etcd,
    resolve_k3s, resolve_k3s_auto, resolve_kubernetes,
};
use crate::distribution::kubernetes::CONTROLLER_MANAGER;
use crate::distribution::{DISTRIBUTIONS, Distribution};
use crate::target::{Admitted, Target};
use crate::version::UNKNOWN;

/// A distribution with what it needs.
pub(super) struct Chosen {
    pub(super) distribution: &'static dyn Distribution,
    pub(super) version: String,
    pub(super) binaries: BTreeMap<&'static str, PathBuf>,
    /// Why a binary is missing, by name.
    pub(super) missing: BTreeMap<&'static str, String>,
    /// Origin and sum by name, for the record.
    pub(super) artifacts: BTreeMap<String, String>,
    pub(super) warnings: Vec<String>,
}

/// Finds a distribution by name, or chooses one for `auto`, and resolves its binaries.
pub(super) async fn distribution(
    name: &str,
    k3s: &K3sArgs,
    etcd: &EtcdArgs,
    dry_run: bool,
    target: &dyn Target,
) -> Result<Chosen, CommandError> {
    if let Some(there) = target.admit().await.map_err(CommandError::Usage)? {
        return Chosen::there(there, name, target.name());
    }
    if name == "auto" {
        return auto(k3s, etcd, dry_run, target).await;
    }
    let Some(distribution) = DISTRIBUTIONS
        .iter()
        .copied()
        .find(|known| known.name() == name)
    else {
        let known: Vec<_> = DISTRIBUTIONS.iter().map(|known| known.name()).collect();
        return Err(CommandError::Usage(format!(
            "there is no distribution {name:?}; choose one of auto, {}",
            known.join(", ")
        )));
    };
    let progress = progress::on_stderr();
    let mut chosen = Chosen::new(distribution);
    if needs(distribution, "k3s") && !target.supplies("k3s") {
        let request = k3s.request(arch(target)?).map_err(refused)?;
        if dry_run {
            // A plan downloads nothing.
            match find_k3s(&request, progress.as_ref())
                .await
                .map_err(refused)?
            {
                Some(found) => chosen.take_k3s(&found),
                None => {
                    let wanted = request.wanted_version();
                    let why = format!(
                        "K3s {wanted} is not on this machine; a run downloads it, or `assay fetch k3s`"
                    );
                    chosen.missing.insert("k3s", why);
                }
            }
        } else {
            let found = resolve_k3s(&request, progress.as_ref());
            chosen.take_k3s(&found.await.map_err(refused)?);
        }
    }
    chosen.complete(etcd, target, progress.as_ref()).await?;
    if distribution.is_specimen() {
        chosen.warnings.push(specimen_warning(
            "it was asked for with --distribution reference",
        ));
    }
    Ok(chosen)
}

async fn auto(
    k3s: &K3sArgs,
    etcd: &EtcdArgs,
    dry_run: bool,
    target: &dyn Target,
) -> Result<Chosen, CommandError> {
    let progress = progress::on_stderr();
    let request = k3s.request(arch(target)?).map_err(refused)?;
    // A plan downloads nothing.
    let found = if dry_run {
        match find_k3s(&request, progress.as_ref())
            .await
            .map_err(refused)?
        {
            Some(resolved) => AutoK3s::K3s(resolved),
            None => AutoK3s::Unavailable(
                "it is not on this machine, and a dry run downloads nothing".into(),
            ),
        }
    } else {
        resolve_k3s_auto(&request, progress.as_ref())
            .await
            .map_err(refused)?
    };
    let mut chosen = match &found {
        AutoK3s::K3s(_) => Chosen::new(&crate::distribution::k3s::K3s),
        AutoK3s::Unavailable(_) => Chosen::new(stand_in(target)),
    };
    match found {
        AutoK3s::K3s(resolved) => chosen.take_k3s(&resolved),
        AutoK3s::Unavailable(why) if chosen.distribution.is_specimen() => chosen
            .warnings
            .push(specimen_warning(&format!("K3s could not be had: {why}"))),
        AutoK3s::Unavailable(why) => chosen.warnings.push(format!(
            "{}: a bare {} stands in for K3s, which could not be had: {why}",
            target.name(),
            chosen.distribution.name()
        )),
    }
    chosen.complete(etcd, target, progress.as_ref()).await?;
    Ok(chosen)
}

/// What is tested where K3s cannot be had: the specimen, or a bare etcd where the specimen cannot run.
fn stand_in(target: &dyn Target) -> &'static dyn Distribution {
    if target.arch() != Arch::of_host() && target.supplies("etcd") {
        &crate::distribution::etcd::Etcd
    } else {
        &crate::distribution::reference::Reference
    }
}

fn specimen_warning(why: &str) -> String {
    format!(
        "SPECIMEN, NOT K3S: this run is on assay's built-in specimen ({why}). Its figures say nothing about K3s. \
         To test K3s, give --k3s-binary or K3S_BINARY, put k3s on PATH, or run `assay fetch k3s` with a network."
    )
}

/// A wrong request is the user's (2), anything else the surroundings' (6).
pub(super) fn refused(error: ArtifactError) -> CommandError {
    let message = format!("failed to {error}");
    if error.exit_code() == 2 {
        CommandError::Usage(message)
    } else {
        CommandError::Errored(message)
    }
}

/// The machine that a target's servers run on.
fn arch(target: &dyn Target) -> Result<Arch, CommandError> {
    match target.arch() {
        Some(arch) => Ok(arch),
        None => host_arch().map_err(refused),
    }
}

fn needs(distribution: &dyn Distribution, name: &str) -> bool {
    distribution
        .artifacts()
        .iter()
        .any(|need| need.name == name)
}

impl Chosen {
    fn new(distribution: &'static dyn Distribution) -> Self {
        Self {
            distribution,
            version: UNKNOWN.into(),
            binaries: BTreeMap::new(),
            missing: BTreeMap::new(),
            artifacts: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }

    /// What a target brings with it.
    fn there(there: Admitted, name: &str, target: &str) -> Result<Self, CommandError> {
        if name != "auto" {
            return Err(CommandError::Usage(format!(
                "the target {target} tells by itself what runs there; leave out --distribution"
            )));
        }
        Ok(Self {
            version: there.version,
            ..Self::new(there.distribution)
        })
    }

    fn take(&mut self, name: &'static str, resolved: &Resolved) {
        let line = format!(
            "{} ({}), sha256 {}",
            resolved.version, resolved.origin, resolved.sha256
        );
        self.artifacts.insert(name.to_owned(), line);
        self.binaries.insert(name, resolved.path.clone());
    }

    fn take_k3s(&mut self, resolved: &Resolved) {
        self.version.clone_from(&resolved.version);
        self.take("k3s", resolved);
    }

    /// Everything but K3s itself.
    async fn complete(
        &mut self,
        etcd: &EtcdArgs,
        target: &dyn Target,
        progress: &dyn Progress,
    ) -> Result<(), CommandError> {
        if needs(self.distribution, "assay") {
            if self.distribution.is_specimen() {
                self.version = env!("CARGO_PKG_VERSION").into();
            }
            match arch(target) {
                Ok(arch) if Arch::of_host() != Some(arch) && !target.supplies("assay") => {
                    let why = format!(
                        "it is run by assay itself, and this assay was not built for {arch}"
                    );
                    self.missing.insert("assay", why);
                }
                _ => {
                    let own = std::env::current_exe().map_err(anyhow::Error::from)?;
                    self.binaries.insert("assay", own);
                }
            }
        }
        let mut request = etcd.request(arch(target)?);
        if needs(self.distribution, "kube-apiserver") {
            let folder = self.take_kubernetes(target, progress).await?;
            request.assets = folder.filter(|folder| folder.join("etcd").exists());
        }
        if needs(self.distribution, "etcd") && target.supplies("etcd") {
            // The target knows its path and tells its version.
            self.binaries.insert("etcd", PathBuf::new());
        } else if needs(self.distribution, "etcd") {
            match resolve_etcd(&request, progress).await {
                Ok(resolved) => {
                    if !needs(self.distribution, "assay") {
                        self.version.clone_from(&resolved.version);
                    }
                    self.take("etcd", &resolved);
                }
                Err(error) if error.exit_code() == 2 => return Err(refused(error)),
                Err(error) => {
                    self.missing.insert("etcd", format!("failed to {error}"));
                }
            }
        }
        Ok(())
    }

    /// The servers of Kubernetes; gives their folder.
    async fn take_kubernetes(
        &mut self,
        target: &dyn Target,
        progress: &dyn Progress,
    ) -> Result<Option<PathBuf>, CommandError> {
        let request = kubernetes_request(arch(target)?);
        let found = match resolve_kubernetes(&request, progress).await {
            Ok(found) => found,
            Err(error) if error.exit_code() == 2 => return Err(refused(error)),
            Err(error) => {
                self.missing
                    .insert("kube-apiserver", format!("failed to {error}"));
                return Ok(request.assets);
            }
        };
        self.version.clone_from(&found.apiserver.version);
        self.take("kube-apiserver", &found.apiserver);
        match found.controller_manager {
            Ok(resolved) => self.take(CONTROLLER_MANAGER, &resolved),
            Err(why) => drop(self.missing.insert(CONTROLLER_MANAGER, why)),
        }
        Ok(Some(found.folder))
    }
}
