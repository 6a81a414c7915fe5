//! A live native cluster: watched, measured, destroyed.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::Child;

use super::holdings::Holdings;
use super::launch::Started;
use super::link::{Ends, Link};
use super::observe;
use super::protocol::{Disk, Go};
use crate::callback::Place;
use crate::cell::Cell;
use crate::cgroup::Counters;
use crate::distribution::{Access, CommandLine, DatastoreAccess};
use crate::sampler::{self, Sampler};
use crate::scope::start_ticks;
use crate::target::common::{self, told};
use crate::target::disk::bytes_beneath;
use crate::target::{Cluster, Exit, Faults, ProcessMemory, Restart, Restarted, Start};

/// How long the server may take to end after SIGTERM. K3s takes 0.04 to 2 s.
const TERM_WITHIN: Duration = Duration::from_secs(15);
/// How long the keeper may take to kill what remains.
const KILL_WITHIN: Duration = Duration::from_secs(15);

/// A server in its cell.
pub(super) struct NativeCluster {
    pub(super) about: About,
    pub(super) ends: Arc<Ends>,
    pub(super) link: tokio::sync::Mutex<Link>,
    pub(super) holdings: Mutex<Holdings>,
    life: Mutex<Life>,
    child: Child,
    /// Latched: once seen outside its cgroup, it did not stay.
    stayed: AtomicBool,
    /// The work folder, if it is to outlive the cluster.
    kept: Option<std::path::PathBuf>,
}

/// What stays true for as long as the cluster lives.
pub(super) struct About {
    pub keeper_pid: i32,
    pub cgroup: Result<crate::cgroup::Cgroup, String>,
    /// The budget's limit, bytes.
    pub memory_limit: Option<u64>,
    access: Access,
    command: CommandLine,
    /// The data folder as it is seen from here.
    pub data_dir: std::path::PathBuf,
    etcd_metrics: Option<String>,
    datastore: Option<DatastoreAccess>,
    host: Ipv4Addr,
    log: std::path::PathBuf,
    pub go: Go,
    pub disk: Option<Disk>,
}

/// The present server, and what is being done to it.
pub(super) struct Life {
    pub pid: i32,
    pub start_ticks: Option<u64>,
    pub at: Instant,
    /// Since when it is frozen.
    pub frozen: Option<Instant>,
    pub filled: bool,
    pub broken: bool,
    /// What the kernel had counted before its memory was taken away.
    pub starved: Option<Counters>,
    /// Where its trace is, if it is traced.
    pub trace: Option<std::path::PathBuf>,
    /// How many servers were traced.
    pub traces: u32,
}

impl NativeCluster {
    pub fn new(
        started: Started,
        cell: &Cell,
        holdings: Holdings,
        kept: Option<std::path::PathBuf>,
    ) -> Self {
        let keeper_pid = started.keeper.pid;
        let (child, link, ends) = started.keeper.listen(started.cgroup.clone().ok());
        Self {
            about: About {
                keeper_pid,
                cgroup: started.cgroup,
                memory_limit: cell.budget.memory_bytes,
                access: started.access,
                command: started.command,
                data_dir: started.data_dir,
                etcd_metrics: started.etcd_metrics,
                datastore: started.datastore,
                host: started.host,
                log: started.log,
                go: started.go,
                disk: started.disk,
            },
            ends,
            link: tokio::sync::Mutex::new(link),
            holdings: Mutex::new(holdings),
            life: Mutex::new(Life {
                pid: started.pid,
                start_ticks: start_ticks(started.pid),
                at: started.at,
                frozen: None,
                filled: false,
                broken: false,
                starved: None,
                trace: None,
                traces: 0,
            }),
            child,
            stayed: AtomicBool::new(true),
            kept,
        }
    }

    pub(super) fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pids(&self) -> Vec<i32> {
        match &self.about.cgroup {
            Ok(cgroup) => cgroup.processes(),
            Err(_) => observe::descendants(self.about.keeper_pid),
        }
    }

    /// Asks the server to end. Its pid is its own until the keeper reaps it, and the start time is checked
    /// after the pidfd was opened.
    fn terminate(&self) {
        let life = self.life();
        if let Some(pid) = Pid::from_raw(life.pid)
            && let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && life.start_ticks.is_some()
            && start_ticks(life.pid) == life.start_ticks
        {
            // If it has ended meanwhile, that is what was wanted.
            let _ = pidfd_send_signal(handle, Signal::TERM);
        }
    }
}

impl Cluster for NativeCluster {
    fn access(&self) -> &Access {
        &self.about.access
    }

    fn command(&self) -> &CommandLine {
        &self.about.command
    }

    fn callback_place(&self) -> Result<Place, String> {
        Ok(Place::same(self.about.host))
    }

    fn etcd_metrics(&self) -> Option<&str> {
        self.about.etcd_metrics.as_deref()
    }

    fn datastore(&self) -> Result<DatastoreAccess, String> {
        let none = || "this distribution shows nobody its datastore".to_owned();
        self.about.datastore.clone().ok_or_else(none)
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

    fn disk_to_probe(&self) -> Result<std::path::PathBuf, String> {
        Ok(self.about.data_dir.clone())
    }

    fn log(&self) -> &Path {
        &self.about.log
    }

    fn started(&self) -> Instant {
        self.life().at
    }

    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
        match &self.about.cgroup {
            Ok(cgroup) => sampler::of_cgroup(cgroup),
            Err(_) => Ok(sampler::of_process_tree(self.about.keeper_pid)),
        }
    }

    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>> {
        async { observe::memory_of(&self.pids()) }.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Exit> {
        told(&self.ends.final_end())
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        let mut evidence = BudgetEvidence::default();
        match &self.about.cgroup {
            Ok(cgroup) => {
                if cgroup.holds(self.life().pid) == Some(false) {
                    self.stayed.store(false, Ordering::Relaxed);
                }
                let (limits, mut counters) = (cgroup.limits(), cgroup.counters());
                // What faults did is no failure of the server's to keep its budget.
                let allowed = self.ends.allowed();
                let faults = allowed.oom_kills.unwrap_or(0);
                counters.oom_kills = counters.oom_kills.map(|kills| kills.saturating_sub(faults));
                counters.limit_hits = counters.limit_hits.saturating_sub(allowed.limit_hits);
                evidence =
                    common::evidence(&limits, &counters, self.stayed.load(Ordering::Relaxed));
            }
            Err(reason) => {
                evidence.not_enforced_because = Some(format!(
                    "{reason}. The peak is that of resident sets, which counts shared pages for each process"
                ));
                evidence.peak_bytes = observe::resident_peak(&self.pids());
            }
        }
        evidence
    }

    fn faults(&self) -> Result<&dyn Faults, String> {
        Ok(self)
    }

    fn is_disturbed(&self) -> bool {
        let life = self.life();
        let wrong = life.frozen.is_some() || life.starved.is_some() || life.trace.is_some();
        wrong || life.filled || life.broken || self.ends.is_excused() || self.ends.down().is_some()
    }

    fn restart(&self, how: Restart) -> BoxFuture<'_, anyhow::Result<Restarted>> {
        async move {
            anyhow::ensure!(
                how == Restart::Kill,
                "failed to restart the server by {how}: its machine is this host; give --target qemu"
            );
            let before = self.life().words();
            self.kill().await?;
            self.start(Start::Plain).await?;
            let life = self.life();
            Ok(Restarted {
                at: life.at,
                before,
                after: life.words(),
            })
        }
        .boxed()
    }

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            if self.life().frozen.is_some() {
                // The keeper thaws, too, before it kills.
                let _ = self.thaw().await;
            }
            self.terminate();
            self.ends.down_within(TERM_WITHIN).await;
            let Self {
                link,
                mut child,
                holdings,
                kept,
                ..
            } = *self;
            // The end of its input tells the keeper to kill what is still there.
            drop(link);
            let _ = tokio::time::timeout(KILL_WITHIN, child.wait()).await;
            let holdings = holdings
                .into_inner()
                .unwrap_or_else(PoisonError::into_inner);
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
