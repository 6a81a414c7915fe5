//! A live cluster in a container.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use reports::budget::Budget;
use reports::event::BudgetEvidence;
use testcontainers::ContainerAsync;
use testcontainers::bollard::Docker;
use tokio::sync::watch;

use super::agents::AgentMember;
use super::container::ServerImage;
use super::routes::Nodes;
use super::watch::LastSeen;
use crate::cgroup::Cgroup;
use crate::distribution::{Access, CommandLine};
use crate::engine;
use crate::sampler::{self, Sampler};
use crate::target::common::{self, told};
use crate::target::disk::bytes_beneath;
use crate::target::native::{Holdings, memory_of};
use crate::target::{Agent, Cluster, ExecOutput, Exit, Link, ProcessMemory};

/// How long the server may take to end after SIGTERM. K3s takes 0.04 to 2 s.
const TERM_SECONDS: i32 = 15;
/// How long the engine may take to stop a container, or to remove one.
const ENGINE_WITHIN: Duration = Duration::from_secs(60);

/// A server in its container.
pub(super) struct DockerCluster {
    pub about: About,
    pub docker: Docker,
    pub container: ContainerAsync<ServerImage>,
    pub agents: Vec<AgentMember>,
    pub ended: watch::Receiver<Option<Exit>>,
    pub seen: LastSeen,
    pub holdings: Holdings,
    /// Latched: once seen outside its cgroup, it did not stay.
    pub stayed: AtomicBool,
    /// The work folder, if it is to outlive the cluster.
    pub kept: Option<PathBuf>,
}

/// What stays true for as long as the cluster lives.
pub(super) struct About {
    pub pid: i32,
    pub at: Instant,
    pub cgroup: Cgroup,
    pub network: String,
    /// On that network.
    pub address: Ipv4Addr,
    pub access: Access,
    pub command: CommandLine,
    pub data_dir: PathBuf,
    pub etcd_metrics: Option<String>,
    pub log: PathBuf,
    pub budget: Budget,
    pub facts: Vec<(String, String)>,
}

impl Cluster for DockerCluster {
    fn access(&self) -> &Access {
        &self.about.access
    }

    fn etcd_metrics(&self) -> Option<&str> {
        self.about.etcd_metrics.as_deref()
    }

    fn command(&self) -> &CommandLine {
        &self.about.command
    }

    fn facts(&self) -> Vec<(String, String)> {
        self.about.facts.clone()
    }

    fn agents(&self) -> Vec<Agent> {
        self.agents.iter().map(AgentMember::told).collect()
    }

    fn set_link<'a>(&'a self, agent: &'a str, link: Link) -> BoxFuture<'a, anyhow::Result<()>> {
        let nodes = Nodes {
            docker: &self.docker,
            network: &self.about.network,
            server: self.container.id(),
            address: self.about.address,
            agents: &self.agents,
        };
        async move { nodes.set_link(agent, link).await }.boxed()
    }

    fn disk_usage<'a>(
        &'a self,
        relative: &'a [&'static str],
    ) -> BoxFuture<'a, anyhow::Result<Option<u64>>> {
        let data = &self.about.data_dir;
        let bytes = relative.iter().map(|path| bytes_beneath(&data.join(path)));
        let bytes = bytes.sum();
        async move { Ok(Some(bytes)) }.boxed()
    }

    fn log(&self) -> &Path {
        &self.about.log
    }

    fn started(&self) -> Instant {
        self.about.at
    }

    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
        sampler::of_cgroup(&self.about.cgroup)
    }

    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>> {
        async { memory_of(&self.about.cgroup.processes()) }.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Exit> {
        told(&self.ended)
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        let about = &self.about;
        if about.cgroup.holds(about.pid) == Some(false) {
            self.stayed.store(false, Ordering::Relaxed);
        }
        let (limits, counters) = self.seen.refresh(&about.cgroup);
        // An engine may drop what its kernel cannot do, and only warn of it.
        let dropped = (about.budget.memory_bytes.is_some() && limits.memory_bytes.is_none())
            || (about.budget.cpu_milli.is_some() && limits.cpu_milli.is_none());
        BudgetEvidence {
            enforced: !dropped,
            not_enforced_because: dropped.then(|| {
                "the engine set no such limit on the container's cgroup: a rootless engine needs the controllers \
                 memory and cpu delegated to it"
                    .to_owned()
            }),
            ..common::evidence(&limits, &counters, self.stayed.load(Ordering::Relaxed))
        }
    }

    fn exec<'a>(&'a self, argv: &'a [&'a str]) -> BoxFuture<'a, anyhow::Result<ExecOutput>> {
        engine::exec(&self.docker, self.container.id(), argv, engine::EXEC_WITHIN).boxed()
    }

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            let Self {
                container,
                agents,
                holdings,
                kept,
                ..
            } = *self;
            // The agents first: each would only complain of a server that is gone.
            let agents = agents.into_iter().map(|agent| end(agent.container));
            futures::future::join_all(agents).await;
            end(container).await;
            let release = move || match kept {
                Some(work) => holdings.release_but(&work),
                None => holdings.release(),
            };
            tokio::task::spawn_blocking(release)
                .await
                .unwrap_or_else(|error| {
                    vec![format!(
                        "the clean-up ended early ({error}); run `assay sweep`"
                    )]
                })
        }
        .boxed()
    }
}

/// Stops and removes a container. Whatever the engine refuses is asked of it again, and told, when the ledger is
/// worked off.
async fn end(container: ContainerAsync<ServerImage>) {
    let stopping = container.stop_with_timeout(Some(TERM_SECONDS));
    let _ = tokio::time::timeout(ENGINE_WITHIN, stopping).await;
    let _ = tokio::time::timeout(ENGINE_WITHIN, container.rm()).await;
}
