//! A live server in an emulated machine: watched, measured, restarted, destroyed.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;
use tokio::sync::{RwLock, RwLockReadGuard, watch};

use super::agents::AgentMachine;
use super::evidence::Evidence;
use super::lan::Lan;
use super::life::{Constant, Life, fixed_draws, instructions};
use super::provision::DATA_DIR;
use super::saved::Order;
use crate::callback::Place;
use crate::cell::Cell;
use crate::distribution::{Access, CommandLine};
use crate::guest::{Control, Exec};
use crate::machine::{Network, Size};
use crate::sampler::{EmulatorProcess, Sampler};
use crate::target::common::told;
use crate::target::native::Holdings;
use crate::target::{
    Agent, AvailableTwice, Boot, Cluster, Counted, ExecOutput, Exit, Link, ProcessMemory, Restart,
    Restarted,
};
use crate::thrash::Thrash;

/// The last lines of the log are fetched within this time, or left in the guest.
const LAST_LOG_WITHIN: Duration = Duration::from_secs(10);

/// A server that was spawned, and all that is known of it.
pub(super) struct Running {
    pub life: Life,
    pub constant: Constant,
    pub ended: watch::Receiver<Option<Exit>>,
    pub facts: Vec<(String, String)>,
    /// Whether the server was restored instead of started.
    pub restored: bool,
    /// How its machine came up.
    pub boot: Boot,
    /// That its state is to be saved once it is ready.
    pub order: Option<Order>,
    pub agents: Vec<AgentMachine>,
    /// The nodes' network, where there are agents.
    pub lan: Option<Lan>,
    pub access: Access,
    pub etcd_metrics: Option<String>,
    pub command: CommandLine,
    pub log: PathBuf,
}

/// A server in its machine.
pub(super) struct QemuCluster {
    /// `None` after a restart that failed half-way: then there is no machine any more.
    life: RwLock<Option<Life>>,
    started: Mutex<Instant>,
    constant: Constant,
    ended: watch::Receiver<Option<Exit>>,
    facts: Vec<(String, String)>,
    restored: bool,
    boot: Boot,
    order: Option<Order>,
    agents: Vec<AgentMachine>,
    lan: Option<Lan>,
    access: Access,
    etcd_metrics: Option<String>,
    command: CommandLine,
    log: PathBuf,
    /// This host as the guest reaches it; a restart keeps it.
    host: Result<Place, String>,
    size: Size,
    evidence: Evidence,
    holdings: Holdings,
    /// The work folder, if it is to outlive the cluster.
    kept: Option<PathBuf>,
}

impl QemuCluster {
    pub fn new(running: Running, holdings: Holdings, cell: &Cell) -> Self {
        let evidence = Evidence::default();
        evidence.read_back(running.life.limits);
        Self {
            host: running.life.machine.network().host(),
            size: running.life.machine.spec().size,
            started: Mutex::new(running.life.started),
            life: RwLock::new(Some(running.life)),
            constant: running.constant,
            ended: running.ended,
            facts: running.facts,
            restored: running.restored,
            boot: running.boot,
            order: running.order,
            agents: running.agents,
            lan: running.lan,
            access: running.access,
            etcd_metrics: running.etcd_metrics,
            command: running.command,
            log: running.log,
            evidence,
            holdings,
            kept: cell.keep.then(|| cell.work.clone()),
        }
    }

    /// The agent of the present boot; waits while the machine is being restarted.
    async fn control(&self) -> anyhow::Result<(Control, i32)> {
        let life = self.life.read().await;
        let life = life.as_ref().context(GONE)?;
        Ok((life.control.clone(), life.pid))
    }
}

/// By how much looks at a server that starts are fewer where they are paced by the guest's clock, for they are part of
/// what it counts: one of K3s's /readyz is some millions of instructions.
const COUNTED_PAUSE: u32 = 5;

const GONE: &str = "failed to reach the guest: its machine did not start again";

impl Cluster for QemuCluster {
    fn access(&self) -> &Access {
        &self.access
    }

    fn callback_place(&self) -> Result<Place, String> {
        self.host.clone()
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

    fn agents(&self) -> Vec<Agent> {
        self.agents.iter().map(AgentMachine::told).collect()
    }

    fn set_link<'a>(&'a self, agent: &'a str, link: Link) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let mut agents = self.agents.iter();
            let found = agents.find(|one| one.name() == agent);
            let found = found.with_context(|| format!("failed to find an agent {agent}"))?;
            let lan = self.lan.as_ref().context("the cell has no agents")?;
            found.set_link(lan, link).await
        }
        .boxed()
    }

    fn disk_usage<'a>(
        &'a self,
        relative: &'a [&'static str],
    ) -> BoxFuture<'a, anyhow::Result<Option<u64>>> {
        async move { bytes_in(&self.control().await?.0, relative).await.map(Some) }.boxed()
    }

    fn log(&self) -> &Path {
        &self.log
    }

    fn started(&self) -> Instant {
        *self.started.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>> {
        let mut samplers = self.constant.source.samplers(&self.evidence);
        let life: RwLockReadGuard<'_, _> = self
            .life
            .try_read()
            .context("failed to sample the machine: it is being restarted")?;
        let pid = life.as_ref().context(GONE)?.machine.emulator().pid();
        samplers.push(Box::new(EmulatorProcess::open(pid)?));
        Ok(samplers)
    }

    fn available_twice(&self) -> BoxFuture<'_, Option<AvailableTwice>> {
        async {
            let life = self.life.read().await;
            let qmp = life.as_ref()?.machine.emulator().qmp();
            self.constant
                .source
                .beside_balloon(qmp, self.constant.patience)
                .await
        }
        .boxed()
    }

    fn processes(&self) -> BoxFuture<'_, Vec<ProcessMemory>> {
        async {
            let Ok((control, pid)) = self.control().await else {
                return Vec::new();
            };
            // A guest that does not answer has no processes to show; the hold period says that it is silent.
            control.processes(pid).await.unwrap_or_default()
        }
        .boxed()
    }

    fn ended(&self) -> BoxFuture<'static, Exit> {
        told(&self.ended)
    }

    fn budget_evidence(&self) -> BudgetEvidence {
        let mut evidence = self.evidence.of(self.size);
        // The end of a server is told sooner than the next record comes.
        if self
            .ended
            .borrow()
            .as_ref()
            .is_some_and(|exit| exit.oom_killed)
        {
            evidence.oom_kills = evidence.oom_kills.max(Some(1));
        }
        evidence
    }

    fn sample_period(&self) -> Duration {
        self.constant.sample_period()
    }

    fn sampler_share(&self) -> Option<f64> {
        self.constant.source.cost()
    }

    fn thrash(&self, silent_since: Instant) -> Option<Thrash> {
        self.evidence.thrash(silent_since)
    }

    fn pace(&self, pause: Duration) -> BoxFuture<'_, ()> {
        if !self.constant.counted() {
            return tokio::time::sleep(pause).boxed();
        }
        async move {
            let ticked = match self.control().await {
                Ok((control, _)) => control.tick(pause * COUNTED_PAUSE).await.is_ok(),
                Err(_) => false,
            };
            if !ticked {
                // A guest that does not answer is looked at again; whoever waits has a deadline.
                tokio::time::sleep(pause).await;
            }
        }
        .boxed()
    }

    fn counted_since_start(&self) -> BoxFuture<'_, Option<Counted>> {
        async {
            let life = self.life.read().await;
            let life = life.as_ref()?;
            let started = life.started_counted?;
            // Both at once, not from the newest record, which may be a period old.
            let clock = life.control.tick(Duration::ZERO).await.ok()?;
            let instructions = instructions(&life.control).await.ok()?;
            Some(Counted {
                clock: clock.saturating_sub(started),
                instructions,
                fixed_draws: fixed_draws(&life.control).await,
            })
        }
        .boxed()
    }

    fn restored(&self) -> bool {
        self.restored
    }

    fn boot(&self) -> Option<Boot> {
        Some(self.boot)
    }

    fn start_unseen(&self) -> Option<&str> {
        self.restored
            .then_some("the server was restored from a saved state, so it had no cold start")
    }

    fn served(&self) -> BoxFuture<'_, anyhow::Result<()>> {
        async {
            if let Some(order) = &self.order {
                // Nobody may restart the machine meanwhile.
                let life = self.life.write().await;
                order.save(life.as_ref().context(GONE)?).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn exec<'a>(&'a self, argv: &'a [&'a str]) -> BoxFuture<'a, anyhow::Result<ExecOutput>> {
        async move {
            let output = self.control().await?.0.exec(&Exec::new(argv)).await?;
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

    fn restart(&self, how: Restart) -> BoxFuture<'_, anyhow::Result<Restarted>> {
        async move {
            let mut life = self.life.write().await;
            let restarted = match how {
                Restart::PowerCut => {
                    let now = life.as_ref().context(GONE)?;
                    ensure!(
                        matches!(now.machine.network(), Network::Private { .. }),
                        "failed to cut the power: forwarded ports would be other ones afterwards; run as root, for a TAP \
                         device"
                    );
                    let (next, restarted) =
                        self.constant.power_cut(life.take().context(GONE)?).await?;
                    *life = Some(next);
                    restarted
                }
                Restart::Kill => self.constant.kill(life.as_mut().context(GONE)?).await?,
            };
            self.evidence
                .read_back(life.as_ref().context(GONE)?.limits);
            *self.started.lock().unwrap_or_else(PoisonError::into_inner) = restarted.at;
            Ok(restarted)
        }
        .boxed()
    }

    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>> {
        async move {
            let this = *self;
            let mut stayed = Vec::new();
            // The agents first: each would only complain of a server that is gone.
            for agent in this.agents {
                stayed.extend(agent.end().await);
            }
            if let Some(life) = this.life.into_inner() {
                life.watcher.abort();
                // A silent guest keeps its last lines.
                let _ = tokio::time::timeout(LAST_LOG_WITHIN, life.follower.catch_up()).await;
                stayed.extend(life.machine.end().await);
            }
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

/// The bytes of files and folders under the server's data folder.
async fn bytes_in(control: &Control, relative: &[&str]) -> anyhow::Result<u64> {
    let paths: Vec<String> = relative
        .iter()
        .map(|path| format!("{DATA_DIR}/{path}"))
        .collect();
    // Paths that are not there count as nothing; whatever else fails is no figure.
    let script = r#"for path; do [ -e "$path" ] || continue; find "$path" -type f -exec stat -c %s {} + || exit 1; done"#;
    let mut argv = vec!["sh", "-c", script, "sizes"];
    argv.extend(paths.iter().map(String::as_str));
    let found = control.exec(&Exec::new(&argv)).await?;
    let text = String::from_utf8_lossy(&found.stdout).into_owned();
    anyhow::ensure!(
        found.exit.code == Some(0) && !found.timed_out && !found.truncated,
        "failed to measure the database in the guest: {}",
        crate::text::tame(&String::from_utf8_lossy(&found.stderr))
    );
    text.lines()
        .map(|line| line.trim().parse::<u64>())
        .sum::<Result<u64, _>>()
        .context("failed to read the sizes of the database's files in the guest")
}
