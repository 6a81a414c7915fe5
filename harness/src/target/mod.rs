//! Targets: places where a cluster is made.

mod agent;
mod common;
mod disk;
pub mod docker;
pub mod existing;
mod fault;
pub mod native;
pub mod qemu;
mod told;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;

pub use agent::{Agent, Link};
pub use fault::{Faults, NOT_HERE, Start, Syncs, Witness};
pub use told::{AvailableTwice, Boot, Counted, ExecOutput, ProcessMemory};

use crate::artifact::Arch;
use crate::callback::Place;
use crate::cell::{Cell, Shape};
use crate::distribution::{Access, CommandLine, DatastoreAccess, Distribution};
use crate::sampler::Sampler;
use crate::scope::Scope;
use crate::thrash::Thrash;

/// Whether wall time on a target is a real machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Wall time is real.
    Real,
    /// Wall time is an emulator's; gates on time abstain.
    Emulated,
}

/// Why a cluster could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The host lacks something; the cell is skipped with this reason.
    #[error("{0}")]
    Unavailable(String),
    /// Making it failed. Whatever was made has been removed or stands in the ledger.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// How a server ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether it was killed for its memory: by SIGKILL, and the kernel counts an OOM kill in its cgroup.
    pub oom_killed: bool,
}

impl Exit {
    /// An end by a code or a signal. `counted`: the kernel counts an OOM kill in its cgroup, which may have been another
    /// process of it; only SIGKILL can have been this.
    #[must_use]
    pub fn new(code: Option<i32>, signal: Option<i32>, counted: bool) -> Self {
        let sigkill = rustix::process::Signal::KILL.as_raw();
        Self {
            code,
            signal,
            oom_killed: counted && signal == Some(sigkill),
        }
    }
}

/// What a target brings that has clusters already.
pub struct Admitted {
    /// What runs there.
    pub distribution: &'static dyn Distribution,
    /// Its version, as told by the server.
    pub version: String,
}

/// A place where clusters are made; one per kind of place.
pub trait Target: Sync {
    /// Its name, as in `--target`, with what sets its cells apart from those of the kind's default.
    fn name(&self) -> &'static str;
    /// Whether wall time there is real.
    fn timing(&self) -> Timing;
    /// The machine that servers run on there; `None` for one that K3s is not released for.
    fn arch(&self) -> Option<Arch> {
        Arch::of_host()
    }
    /// How much of Kubernetes can run there.
    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane]
    }
    /// Whether its clusters have [`Cluster::faults`].
    fn has_faults(&self) -> bool {
        false
    }
    /// Whether it can make agents: further nodes that join a cell's server.
    fn has_agents(&self) -> bool {
        false
    }
    /// By how much deadlines on this host's clock are stretched, for servers that run slower there.
    fn patience(&self) -> u32 {
        1
    }
    /// Whether it brings this artifact itself, so that none is looked for on this host.
    fn supplies(&self, _artifact: &str) -> bool {
        false
    }
    /// The budget of a cell for which none is asked.
    fn default_budget(&self) -> &'static str {
        "edge"
    }
    /// Looks, before anything is made, whether runs are possible and allowed there. `Some`: the target brings its
    /// own distribution.
    ///
    /// # Errors
    /// A sentence for the user, who can mend it.
    fn admit(&self) -> BoxFuture<'_, Result<Option<Admitted>, String>> {
        async { Ok(None) }.boxed()
    }
    /// Provisions a cell: starts its server inside its budget. Returns as soon as the server runs;
    /// readiness is the runner's business.
    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>>;
}

/// A live cluster.
pub trait Cluster: Send + Sync {
    /// How to get at it; paths are valid here.
    fn access(&self) -> &Access;
    /// At which address of this host the server reaches a port that assay opens; or why at none.
    ///
    /// # Errors
    /// A sentence for the report: the checks that need it are skipped with it.
    fn callback_place(&self) -> Result<Place, String> {
        Err("this target gives its server no way to this host".to_owned())
    }
    /// Where etcd's Prometheus metrics are served as seen from here, if they are.
    fn etcd_metrics(&self) -> Option<&str>;
    /// How its datastore is reached directly; paths are valid here.
    ///
    /// # Errors
    /// A sentence for the report: why it is not.
    fn datastore(&self) -> Result<DatastoreAccess, String> {
        match self.access() {
            Access::Etcd { url } => Ok(DatastoreAccess::plain(url.clone())),
            Access::Kubeconfig { .. } => {
                Err("this target does not show the server's datastore itself".to_owned())
            }
        }
    }
    /// The command line that was started.
    fn command(&self) -> &CommandLine;
    /// What the record shows of the place besides the binaries' origins: a key and a few words.
    fn facts(&self) -> Vec<(String, String)> {
        Vec::new()
    }
    /// The agents that were started to join its server, as seen now; the server's own figures hold none of theirs.
    fn agents(&self) -> Vec<Agent> {
        Vec::new()
    }
    /// Cuts an agent's link to the rest of its cluster, or mends it. Returns when that is witnessed.
    ///
    /// # Errors
    /// When the target offers no way to, or what was asked for is not seen to be so.
    fn set_link<'a>(&'a self, agent: &'a str, _link: Link) -> BoxFuture<'a, anyhow::Result<()>> {
        async move { anyhow::bail!("failed to change the link of {agent}: it is not possible here") }
            .boxed()
    }
    /// Bytes of these files and folders under the server's data folder. What is not there counts as nothing.
    /// `None`: its files are not seen from here.
    ///
    /// # Errors
    /// When the place where they lie cannot be asked.
    fn disk_usage<'a>(
        &'a self,
        relative: &'a [&'static str],
    ) -> BoxFuture<'a, anyhow::Result<Option<u64>>>;
    /// The folder of this host that holds the server's data, so that its disk can be probed.
    ///
    /// # Errors
    /// A sentence for the report: why it cannot be.
    fn disk_to_probe(&self) -> Result<std::path::PathBuf, String> {
        Err(
            "the server's data are on a disk of this target's own, which is not probed from here"
                .to_owned(),
        )
    }
    /// The server's log file.
    fn log(&self) -> &std::path::Path;
    /// The moment at which the server was executed.
    fn started(&self) -> Instant;
    /// Why nothing of it is sampled, where nothing is.
    fn unsampled(&self) -> Option<&str> {
        None
    }
    /// How often its samplers have something new, once it is ready.
    fn sample_period(&self) -> Duration {
        Duration::from_millis(100)
    }
    /// The share of a CPU that sampling used inside the place itself, between 0 and 1, where something of assay's runs
    /// there.
    fn sampler_share(&self) -> Option<f64> {
        None
    }
    /// What its machine has available, as the sampler in it and as its emulator tell it at the same time, where there
    /// are both: two instruments that must agree.
    fn available_twice(&self) -> BoxFuture<'_, Option<AvailableTwice>> {
        async { None }.boxed()
    }
    /// Fresh samplers of it.
    ///
    /// # Errors
    /// When a source that must exist cannot be opened.
    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>>;
    /// Resident and proportional set size, per process: too dear for the loop, taken at phase ends.
    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>>;
    /// Resolves when the server ends, asked or not. May be called more than once.
    fn ended(&self) -> BoxFuture<'static, Exit>;
    /// What the kernel says of the budget now. `hold_ms`, `serving_after_hold` and `restarts` are the runner's.
    fn budget_evidence(&self) -> BudgetEvidence;
    /// Whether the server has been thrashing since it was last heard, as far as this place can tell.
    fn thrash(&self, _silent_since: Instant) -> Option<Thrash> {
        None
    }
    /// Why there is no cold start to measure, where the server was there already, or was restored.
    fn start_unseen(&self) -> Option<&str> {
        None
    }
    /// Whether it was restored from a saved state, at the moment that [`Cluster::started`] tells.
    fn restored(&self) -> bool {
        false
    }
    /// Waits between two looks at a server that starts. A place with a clock of its own paces looks by that, so that
    /// how often it is asked does not depend on how fast this host is.
    fn pace(&self, pause: Duration) -> BoxFuture<'_, ()> {
        tokio::time::sleep(pause).boxed()
    }
    /// What the server's start has cost so far on a machine that counts its instructions; `None` on any other.
    fn counted_since_start(&self) -> BoxFuture<'_, Option<Counted>> {
        async { None }.boxed()
    }
    /// How its machine came up, where it has one of its own.
    fn boot(&self) -> Option<Boot> {
        None
    }
    /// Called once when the server is ready and its cold start is in the record, before anything is driven.
    ///
    /// # Errors
    /// What could not be done now; the cell goes on.
    fn served(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        async { Ok(()) }.boxed()
    }
    /// Runs a program in the place where the server runs.
    ///
    /// # Errors
    /// When the target offers no way to, or the program cannot be started.
    fn exec<'a>(&'a self, _argv: &'a [&'a str]) -> BoxFuture<'a, anyhow::Result<ExecOutput>> {
        async { anyhow::bail!("failed to run a program there: this target offers no way to") }
            .boxed()
    }
    /// Ends the server the hard way and starts it again on the same data. Returns when it was executed;
    /// readiness is the caller's business. [`Cluster::ended`] tells nothing of this end.
    ///
    /// # Errors
    /// When the target offers no way to, or the end or the new start is not witnessed.
    fn restart(&self, how: Restart) -> BoxFuture<'_, anyhow::Result<Restarted>> {
        async move { anyhow::bail!("failed to restart the server by {how}: it is not possible here") }
            .boxed()
    }
    /// The doors through which the server is done harm.
    ///
    /// # Errors
    /// A sentence: why there are none here.
    fn faults(&self) -> Result<&dyn Faults, String> {
        Err(NOT_HERE.to_owned())
    }
    /// Whether it is down or disturbed because it was asked for, so that its silence says nothing.
    fn is_disturbed(&self) -> bool {
        false
    }
    /// Ends the server and removes everything. Returns what stayed, one line each.
    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>>;
}

/// How a server is ended before it is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// The machine loses its power: what was not flushed to its disks is lost.
    PowerCut,
    /// SIGKILL to the server: its kernel still has what it wrote.
    Kill,
}

impl std::fmt::Display for Restart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::PowerCut => "a power cut",
            Self::Kill => "SIGKILL",
        })
    }
}

/// A restart, with what shows that it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restarted {
    /// The moment at which the server was executed again.
    pub at: Instant,
    /// What it was before, such as `boot` and the kernel's boot id.
    pub before: String,
    /// The same of what it is now; another.
    pub after: String,
}

/// A kind of place, as `--target` names it.
pub struct TargetKind {
    /// Its name.
    pub name: &'static str,
    /// One sentence for people.
    pub title: &'static str,
    /// The check of `doctor` that tells whether this host has what it needs. `None`: it needs nothing that could be
    /// missing, or somebody has to name it.
    pub found_by: Option<&'static str>,
    /// Makes the target with what the command line says of it.
    ///
    /// # Errors
    /// A sentence for the user: what is wrong with the options.
    pub open: fn(&TargetArgs) -> Result<Arc<dyn Target>, String>,
}

/// The options of all targets; each target's file owns its own.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct TargetArgs {
    /// The container engine.
    #[command(flatten)]
    pub docker: docker::DockerArgs,
    /// The emulated machine.
    #[command(flatten)]
    pub qemu: qemu::QemuArgs,
    /// The cluster that is there already.
    #[command(flatten)]
    pub existing: existing::ExistingArgs,
}

/// The targets that exist.
pub static TARGETS: &[TargetKind] = &[native::KIND, docker::KIND, qemu::KIND, existing::KIND];
