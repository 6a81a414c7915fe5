//! `existing`: a cluster that somebody else made. assay tests it and leaves: it enforces no budget, restarts
//! nothing, and removes what it made and nothing else.

mod cluster;
mod guard;
mod removal;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::api::{self, Api};
use crate::artifact::Arch;
use crate::cell::Cell;
use crate::distribution::Distribution;
use crate::distribution::existing::{KUBERNETES_THERE, OF_K3S};
use crate::scope::Scope;
use crate::target::{Admitted, Cluster, ProvisionError, Target, TargetKind, Timing};

pub(crate) use removal::remove_objects;

/// This target, in the table.
pub(super) const KIND: TargetKind = TargetKind {
    name: NAME,
    title: "a cluster that is already there, by its kubeconfig",
    found_by: None,
    open: |args| {
        Ok(Arc::new(ExistingTarget {
            args: args.existing.clone(),
            admitted: OnceLock::new(),
        }))
    },
};

const NAME: &str = "existing";
const ANOTHER: &str = "the kubeconfig was turned to another cluster meanwhile; give --context";

/// Which cluster.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct ExistingArgs {
    /// For --target existing: the cluster's kubeconfig [else the variable KUBECONFIG]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// For --target existing: the kubeconfig's context [else its current one]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// For --target existing: sample memory and CPU on the device itself, through ssh with keys, at 1 Hz
    #[arg(long, value_name = "USER@DEVICE")]
    pub ssh: Option<String>,
    /// For --target existing: test it although it has other people's namespaces or several nodes
    #[arg(long)]
    pub yes_this_cluster: bool,
}

impl ExistingArgs {
    fn file(&self) -> Result<PathBuf, String> {
        let named = self.kubeconfig.clone().or_else(|| {
            std::env::var_os("KUBECONFIG")
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        });
        let file = named.ok_or(
            "the target existing needs a cluster: give --kubeconfig FILE or set KUBECONFIG",
        )?;
        std::path::absolute(&file)
            .ok()
            .filter(|file| file.is_file())
            .ok_or_else(|| format!("there is no kubeconfig {}", file.display()))
    }

    async fn connect(&self, run: &str) -> Result<Api, String> {
        let client = api::client(&self.file()?, self.context.as_deref(), None).await;
        Ok(Api::new(client.map_err(|error| error.to_string())?, run))
    }
}

/// The target `existing`.
#[derive(Debug)]
pub struct ExistingTarget {
    args: ExistingArgs,
    /// Which cluster was admitted: a kubeconfig may be turned to another one meanwhile.
    admitted: OnceLock<String>,
}

impl Target for ExistingTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn timing(&self) -> Timing {
        Timing::Real
    }

    /// Not known: its nodes may be of several kinds.
    fn arch(&self) -> Option<Arch> {
        None
    }

    fn default_budget(&self) -> &'static str {
        "unlimited"
    }

    /// Asks the cluster what it is, and refuses one that looks as if people used it.
    fn admit(&self) -> BoxFuture<'_, Result<Option<Admitted>, String>> {
        async {
            let api = self.args.connect("admission").await?;
            let version = guard::version(&api).await?;
            if !self.args.yes_this_cluster {
                guard::refuse_production(&api).await?;
            }
            let uid = removal::identity(&api).await?;
            let first = self.admitted.get_or_init(|| uid.clone());
            if *first != uid {
                return Err(ANOTHER.to_owned());
            }
            let distribution: &'static dyn Distribution = if version.contains("+k3s") {
                &OF_K3S
            } else {
                &KUBERNETES_THERE
            };
            Ok(Some(Admitted {
                distribution,
                version,
            }))
        }
        .boxed()
    }

    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>> {
        async move {
            let file = self.args.file().map_err(ProvisionError::Unavailable)?;
            let api = self.args.connect(scope.run()).await;
            let api = api.map_err(ProvisionError::Unavailable)?;
            let uid = removal::identity(&api).await;
            let uid = uid.map_err(ProvisionError::Unavailable)?;
            if self.admitted.get() != Some(&uid) {
                return Err(ProvisionError::Unavailable(ANOTHER.to_owned()));
            }
            cluster::take(&self.args, file, uid, api, cell, scope).await
        }
        .boxed()
    }
}
