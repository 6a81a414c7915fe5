//! The handle on a cluster that was there already.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;

use super::{ExistingArgs, removal};
use crate::api::Api;
use crate::callback::{self, Place};
use crate::cell::Cell;
use crate::distribution::{Access, CommandLine};
use crate::sampler::Sampler;
use crate::sampler::remote::{self, Remote};
use crate::scope::{Resource, Scope};
use crate::target::{Cluster, Exit, ProcessMemory, ProvisionError};

struct ExistingCluster {
    access: Access,
    command: CommandLine,
    log: PathBuf,
    since: Instant,
    api: Api,
    remote: Result<Remote, String>,
    place: Result<Place, String>,
    objects: Resource,
    scope: Scope,
}

/// Takes hold of the cluster: enters into the ledger what will be made in it, and finds a source of samples.
pub(super) async fn take(
    args: &ExistingArgs,
    file: PathBuf,
    uid: String,
    api: Api,
    cell: &Cell,
    scope: &Scope,
) -> Result<Box<dyn Cluster>, ProvisionError> {
    let objects = Resource::Objects {
        kubeconfig: file.clone(),
        context: args.context.clone(),
        uid,
        run: api.run().to_owned(),
    };
    let remote = remote::open(args.ssh.as_deref(), &api).await;
    let remote = match (remote, &args.ssh) {
        // It was asked for: a run without it would not be what was wanted.
        (Err(why), Some(device)) => {
            let why = anyhow::anyhow!("failed to sample {device} over ssh: {why}");
            return Err(why.into());
        }
        (remote, _) => remote,
    };
    let place = callback::toward_server(&file, args.context.as_deref(), None).await;
    let place = place.map_err(|error| format!("{error:#}"));
    scope
        .enter(objects.clone())
        .context("failed to begin on the cluster")?;
    Ok(Box::new(ExistingCluster {
        access: Access::Kubeconfig {
            path: file,
            context: args.context.clone(),
            url: None,
        },
        command: CommandLine {
            program: PathBuf::new(),
            args: Vec::new(),
            env: Vec::new(),
        },
        log: cell.logs.join("server.log"),
        since: Instant::now(),
        api,
        remote,
        place,
        objects,
        scope: scope.clone(),
    }))
}

impl Cluster for ExistingCluster {
    fn access(&self) -> &Access {
        &self.access
    }

    /// The address from which this host speaks to the cluster. Whether it is reached the other way round is tried.
    fn callback_place(&self) -> Result<Place, String> {
        self.place.clone()
    }

    fn etcd_metrics(&self) -> Option<&str> {
        None
    }

    /// Nobody but its maker knows it.
    fn command(&self) -> &CommandLine {
        &self.command
    }

    fn start_unseen(&self) -> Option<&str> {
        Some("the cluster was there already, so that its start was not seen")
    }

    fn facts(&self) -> Vec<(String, String)> {
        let sampled = self.remote.as_ref().map(Remote::what);
        sampled
            .map(|what| ("sampled".to_owned(), what.to_owned()))
            .into_iter()
            .collect()
    }

    fn unsampled(&self) -> Option<&str> {
        self.remote.as_ref().err().map(String::as_str)
    }

    fn sample_period(&self) -> Duration {
        self.remote.as_ref().map_or(Duration::ZERO, Remote::period)
    }

    fn disk_usage<'a>(
        &'a self,
        _: &'a [&'static str],
    ) -> BoxFuture<'a, anyhow::Result<Option<u64>>> {
        async { Ok(None) }.boxed()
    }

    fn log(&self) -> &Path {
        &self.log
    }

    fn started(&self) -> Instant {
        self.since
    }

    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
        Ok(self.remote.iter().map(Remote::sampler).collect())
    }

    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>> {
        async { Vec::new() }.boxed()
    }

    /// Its end is not seen from here; its silence is.
    fn ended(&self) -> BoxFuture<'static, Exit> {
        std::future::pending().boxed()
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        BudgetEvidence {
            not_enforced_because: Some("assay did not make this cluster".to_owned()),
            ..BudgetEvidence::default()
        }
    }

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            let left = match removal::remove_all(&self.api).await {
                Ok((_, left)) => left,
                Err(error) => vec![format!(
                    "the cluster could not be asked for what this run made ({error}); run `assay sweep`"
                )],
            };
            if left.is_empty() {
                self.scope.left(&self.objects);
            }
            left
        }
        .boxed()
    }
}
