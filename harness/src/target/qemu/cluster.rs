//! A live server in an emulated machine: watched, measured, destroyed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;
use tokio::sync::{Mutex, watch};
use tokio::task::AbortHandle;

use super::evidence::Evidence;
use super::follow::LogFollower;
use super::provision::{DATA_DIR, SERVER_LOG};
use super::samplers::watched;
use crate::cell::Cell;
use crate::distribution::{Access, CommandLine};
use crate::guest::{Control, Exec, Samples};
use crate::machine::{Ended, Machine, Size};
use crate::sampler::{EmulatorProcess, Sampler};
use crate::target::native::Holdings;
use crate::target::{Cluster, ExecOutput, Exit, ProcessMemory};
use crate::thrash::Thrash;

/// The last lines of the log are fetched within this time, or left in the guest.
const LAST_LOG_WITHIN: Duration = Duration::from_secs(10);

/// A server that was spawned, and all that is known of it.
pub(super) struct Running {
    pub machine: Machine,
    pub control: Control,
    pub facts: Vec<(String, String)>,
    pub samples: Samples,
    pub pid: i32,
    pub at: Instant,
    pub access: Access,
    pub etcd_metrics: Option<String>,
    pub command: CommandLine,
    pub log: PathBuf,
}

/// A server in its machine.
pub(super) struct QemuCluster {
    machine: Machine,
    control: Control,
    pid: i32,
    at: Instant,
    access: Access,
    etcd_metrics: Option<String>,
    command: CommandLine,
    log: PathBuf,
    size: Size,
    facts: Vec<(String, String)>,
    /// Thousandths of a CPU, where the server's cgroup holds it below what the machine has.
    part_of_a_cpu: Option<u64>,
    evidence: Evidence,
    samples: Samples,
    follower: Arc<Mutex<LogFollower>>,
    ended: watch::Receiver<Option<Exit>>,
    watcher: AbortHandle,
    holdings: Holdings,
    /// The work folder, if it is to outlive the cluster.
    kept: Option<PathBuf>,
}

impl QemuCluster {
    pub fn new(running: Running, holdings: Holdings, cell: &Cell) -> Self {
        let Running {
            machine,
            control,
            facts,
            samples,
            pid,
            at,
            access,
            etcd_metrics,
            command,
            log,
        } = running;
        let follower = LogFollower::new(control.clone(), SERVER_LOG, log.clone());
        let follower = Arc::new(Mutex::new(follower));
        tokio::spawn(LogFollower::run(Arc::clone(&follower), control.clone()));
        let (tell, ended) = watch::channel(None);
        let watcher = tokio::spawn(watch_server(
            control.clone(),
            machine.emulator().ended(),
            pid,
            tell,
        ))
        .abort_handle();
        Self {
            size: machine.spec().size,
            facts,
            machine,
            control,
            pid,
            at,
            access,
            etcd_metrics,
            command,
            log,
            part_of_a_cpu: cell
                .budget
                .cpu_milli
                .filter(|milli| !milli.is_multiple_of(1000)),
            evidence: Evidence::default(),
            samples,
            follower,
            ended,
            watcher,
            holdings,
            kept: cell.keep.then(|| cell.work.clone()),
        }
    }
}

/// Tells when the server ends, whether by itself, with its guest, or with its emulator.
async fn watch_server(
    control: Control,
    mut emulator: watch::Receiver<Option<Ended>>,
    pid: i32,
    tell: watch::Sender<Option<Exit>>,
) {
    let told = async {
        match control.ended(pid).await {
            Ok(exit) => exit,
            // The connection broke: then the emulator's end says what happened.
            Err(_) => futures::future::pending().await,
        }
    };
    let exit = tokio::select! {
        exit = told => exit,
        ended = emulator.wait_for(Option::is_some) => {
            let ended = ended.ok().and_then(|ended| *ended);
            Exit {
                code: ended.and_then(|ended| ended.code),
                signal: ended.and_then(|ended| ended.signal),
                oom_killed: false,
            }
        }
    };
    // Nobody waits any more when the cluster was dropped.
    let _ = tell.send(Some(exit));
}

impl Cluster for QemuCluster {
    fn access(&self) -> &Access {
        &self.access
    }

    fn etcd_metrics(&self) -> Option<&str> {
        self.etcd_metrics.as_deref()
    }

    fn command(&self) -> &CommandLine {
        &self.command
    }

    fn facts(&self) -> Vec<(String, String)> {
        self.facts.clone()
    }

    fn disk_usage<'a>(
        &'a self,
        relative: &'a [&'static str],
    ) -> BoxFuture<'a, anyhow::Result<u64>> {
        async move {
            let paths: Vec<String> = relative
                .iter()
                .map(|path| format!("{DATA_DIR}/{path}"))
                .collect();
            let mut argv = vec!["find"];
            argv.extend(paths.iter().map(String::as_str));
            argv.extend(["-type", "f", "-exec", "stat", "-c", "%s", "{}", "+"]);
            // It fails over paths that are not there, which count as nothing.
            let found = self.control.exec(&Exec::new(&argv)).await?;
            let text = String::from_utf8_lossy(&found.stdout).into_owned();
            anyhow::ensure!(
                !found.timed_out && !found.truncated,
                "failed to measure the database in the guest: too many files, or no answer in time"
            );
            text.lines()
                .map(|line| line.trim().parse::<u64>())
                .sum::<Result<u64, _>>()
                .context("failed to read the sizes of the database's files in the guest")
        }
        .boxed()
    }

    fn log(&self) -> &Path {
        &self.log
    }

    fn started(&self) -> Instant {
        self.at
    }

    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
        let mut samplers = watched(&self.samples, &self.evidence);
        samplers.push(Box::new(EmulatorProcess::open(
            self.machine.emulator().pid(),
        )?));
        Ok(samplers)
    }

    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>> {
        // A guest that does not answer has no processes to show; the hold period says that it is silent.
        async { self.control.processes(self.pid).await.unwrap_or_default() }.boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Exit> {
        let mut ended = self.ended.clone();
        async move {
            match ended.wait_for(Option::is_some).await.as_deref() {
                Ok(Some(exit)) => exit.clone(),
                // The task that tells is gone with its runtime.
                _ => Exit {
                    code: None,
                    signal: None,
                    oom_killed: false,
                },
            }
        }
        .boxed()
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        self.evidence.of(self.size, self.part_of_a_cpu)
    }

    fn thrash(&self, silent_since: Instant) -> Option<Thrash> {
        self.evidence.thrash(silent_since)
    }

    fn exec<'a>(&'a self, argv: &'a [&'a str]) -> BoxFuture<'a, anyhow::Result<ExecOutput>> {
        async move {
            let output = self.control.exec(&Exec::new(argv)).await?;
            anyhow::ensure!(
                !output.timed_out,
                "failed to run {} in the guest: it did not end in time",
                argv.first().unwrap_or(&"nothing")
            );
            let signalled = output.exit.signal.map(|signal| 128 + signal);
            Ok(ExecOutput {
                code: output.exit.code.or(signalled).unwrap_or(-1),
                stdout: output.stdout,
                stderr: output.stderr,
            })
        }
        .boxed()
    }

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            let this = *self;
            this.watcher.abort();
            let last = async { while this.follower.lock().await.step().await.unwrap_or(false) {} };
            // A silent guest keeps its last lines.
            let _ = tokio::time::timeout(LAST_LOG_WITHIN, last).await;
            let mut stayed = this.machine.end().await;
            let (holdings, kept) = (this.holdings, this.kept);
            let release = move || match kept {
                Some(work) => holdings.release_but(&work),
                None => holdings.release(),
            };
            stayed.extend(
                tokio::task::spawn_blocking(release)
                    .await
                    .unwrap_or_else(|error| {
                        vec![format!(
                            "the clean-up ended early ({error}); run `assay sweep`"
                        )]
                    }),
            );
            stayed
        }
        .boxed()
    }
}
