//! A live native cluster: watched, measured, destroyed.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use tokio::process::{Child, ChildStdin};
use tokio::sync::watch;

use super::holdings::Holdings;
use super::launch::{Keeper, Started};
use super::observe;
use super::protocol::{Told, read};
use crate::callback::Place;
use crate::distribution::{Access, CommandLine, DatastoreAccess};
use crate::sampler::{self, Sampler};
use crate::scope::start_ticks;
use crate::target::common::{self, told};
use crate::target::disk::bytes_beneath;
use crate::target::{Cluster, Exit, ProcessMemory};

/// How long the server may take to end after SIGTERM. K3s takes 0.04 to 2 s.
const TERM_WITHIN: Duration = Duration::from_secs(15);
/// How long the keeper may take to kill what remains.
const KILL_WITHIN: Duration = Duration::from_secs(15);

/// A server in its cell.
pub(super) struct NativeCluster {
    about: About,
    stdin: ChildStdin,
    child: Child,
    ended: watch::Receiver<Option<Exit>>,
    holdings: Holdings,
    /// Latched: once seen outside its cgroup, it did not stay.
    stayed: AtomicBool,
    /// The work folder, if it is to outlive the cluster.
    kept: Option<std::path::PathBuf>,
}

/// What stays true for as long as the cluster lives.
struct About {
    pid: i32,
    start_ticks: Option<u64>,
    keeper_pid: i32,
    at: Instant,
    cgroup: Result<crate::cgroup::Cgroup, String>,
    access: Access,
    command: CommandLine,
    data_dir: std::path::PathBuf,
    etcd_metrics: Option<String>,
    datastore: Option<DatastoreAccess>,
    host: Ipv4Addr,
    log: std::path::PathBuf,
}

impl NativeCluster {
    pub fn new(started: Started, holdings: Holdings, kept: Option<std::path::PathBuf>) -> Self {
        let Keeper {
            child,
            pid: keeper_pid,
            stdin,
            mut lines,
            ..
        } = started.keeper;
        let (tell, ended) = watch::channel(None);
        let cgroup = started.cgroup.clone().ok();
        tokio::spawn(async move {
            let mut told = (None, None);
            // Should the keeper be killed, the server dies with it and nobody knows its exit status.
            while let Ok(Some(line)) = lines.next_line().await {
                if let Ok(Told::Exited { code, signal }) = read(&line) {
                    told = (code, signal);
                    break;
                }
            }
            let counted = cgroup.is_some_and(|cgroup| cgroup.counters().oom_kills > Some(0));
            // Nobody waits any more when the cluster was dropped.
            let _ = tell.send(Some(Exit::new(told.0, told.1, counted)));
        });
        Self {
            about: About {
                pid: started.pid,
                start_ticks: start_ticks(started.pid),
                keeper_pid,
                at: started.at,
                cgroup: started.cgroup,
                access: started.access,
                command: started.command,
                data_dir: started.data_dir,
                etcd_metrics: started.etcd_metrics,
                datastore: started.datastore,
                host: started.host,
                log: started.log,
            },
            stdin,
            child,
            ended,
            holdings,
            stayed: AtomicBool::new(true),
            kept,
        }
    }

    fn pids(&self) -> Vec<i32> {
        match &self.about.cgroup {
            Ok(cgroup) => cgroup.processes(),
            Err(_) => observe::descendants(self.about.keeper_pid),
        }
    }

    /// Asks the server to end. Its pid is its own until the keeper reaps it, and the start time is checked
    /// after the pidfd was opened.
    fn terminate(&self) {
        let about = &self.about;
        if let Some(pid) = Pid::from_raw(about.pid)
            && let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && about.start_ticks.is_some()
            && start_ticks(about.pid) == about.start_ticks
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
        self.about.at
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
        told(&self.ended)
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        let mut evidence = BudgetEvidence::default();
        match &self.about.cgroup {
            Ok(cgroup) => {
                if cgroup.holds(self.about.pid) == Some(false) {
                    self.stayed.store(false, Ordering::Relaxed);
                }
                let (limits, counters) = (cgroup.limits(), cgroup.counters());
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

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            self.terminate();
            let _ = tokio::time::timeout(TERM_WITHIN, self.ended()).await;
            let Self {
                stdin,
                mut child,
                holdings,
                kept,
                ..
            } = *self;
            // The end of its input tells the keeper to kill what is still there.
            drop(stdin);
            let _ = tokio::time::timeout(KILL_WITHIN, child.wait()).await;
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
