//! What changes when a server is cut off and started again: its machine, the connections into it, its pid.

use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::follow::LogFollower;
use super::lan::Seat;
use super::limits;
use super::provision::{SAMPLES_PORT, agent};
use super::samplers::Source;
use crate::cgroup::Limits;
use crate::guest::{Control, Exec, SERVER_CGROUP, Samples, Spawn};
use crate::machine::{Ended, Machine, TimeMode};
use crate::target::{Exit, Restarted};

const SIGKILL: i32 = 9;

/// A server in its machine, from one start to the next.
pub(super) struct Life {
    pub machine: Machine,
    pub control: Control,
    pub pid: i32,
    pub started: Instant,
    /// The guest's clock then, where it counts instructions.
    pub started_counted: Option<Duration>,
    pub follower: LogFollower,
    /// Tells the server's unasked end; aborted before the server is ended on purpose.
    pub watcher: AbortHandle,
    /// What the guest's kernel says of its machine.
    pub limits: Limits,
}

/// What every life of a cluster shares.
pub(super) struct Constant {
    /// What is started, each time anew.
    pub server: Spawn,
    pub source: Source,
    pub tell: watch::Sender<Option<Exit>>,
    /// By how much deadlines are stretched.
    pub patience: u32,
    pub time: TimeMode,
    /// Its place on the nodes' network, if there is one.
    pub seat: Option<Seat>,
}

/// A server that was just started.
pub(super) struct Start {
    pub pid: i32,
    pub at: Instant,
    pub counted: Option<Duration>,
    pub watcher: AbortHandle,
    pub limits: Limits,
}

/// What the server's cgroup has used, in instructions of a machine that executes one a nanosecond.
pub(super) async fn instructions(control: &Control) -> Result<u64> {
    let path = format!("/sys/fs/cgroup/{SERVER_CGROUP}/cpu.stat");
    let text = control.get(&path, 4096).await?;
    let text = String::from_utf8_lossy(&text).into_owned();
    let used = text
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec ")?.trim().parse::<u64>().ok());
    Ok(used.context("failed to read the CPU time of the server's cgroup")? * 1000)
}

/// Where the guest counts the draws that it fixed; there is no such file before the first.
const DRAWS: &str = "/run/assay/draws";

/// How many draws of prime candidates were answered in place of the guest's kernel.
pub(super) async fn fixed_draws(control: &Control) -> u64 {
    let count = control.get(DRAWS, 32).await.unwrap_or_default();
    let count = std::str::from_utf8(&count).ok();
    count
        .and_then(|count| count.trim().parse().ok())
        .unwrap_or(0)
}

impl Constant {
    /// Whether the guest's clock is its instructions.
    pub fn counted(&self) -> bool {
        self.time == TimeMode::Counted
    }

    /// How often there are new samples of it.
    pub fn sample_period(&self) -> Duration {
        super::parts::sample_period(self.time)
    }

    /// Starts the server, and tells its end when nobody asked for it.
    pub async fn start(&self, machine: &Machine, control: &Control) -> Result<Start> {
        let counted = if self.counted() {
            Some(control.tick(Duration::ZERO).await?)
        } else {
            None
        };
        // Before the server starts, for a look is work of a guest that counts its instructions.
        let mut told = limits::of_machine(control).await;
        let at = Instant::now();
        let pid = control
            .spawn(&self.server)
            .await
            .context("failed to start the server in the guest")?;
        if self.has_quota() {
            told.cpu_milli = limits::of_quota(control).await;
        }
        Ok(Start {
            pid,
            at,
            counted,
            watcher: self.watch(machine, control, pid),
            limits: told,
        })
    }

    /// A server that runs already, since `at`.
    pub async fn go_on(
        &self,
        machine: &Machine,
        control: &Control,
        pid: i32,
        at: Instant,
    ) -> Start {
        let mut told = limits::of_machine(control).await;
        if self.has_quota() {
            told.cpu_milli = limits::of_quota(control).await;
        }
        Start {
            pid,
            at,
            counted: None,
            watcher: self.watch(machine, control, pid),
            limits: told,
        }
    }

    /// Whether the server's cgroup holds it below what the machine has: its only limit is one of CPU.
    fn has_quota(&self) -> bool {
        !self.server.limits.is_empty()
    }

    /// Watches a server that runs.
    fn watch(&self, machine: &Machine, control: &Control, pid: i32) -> AbortHandle {
        let watching = watch_server(
            control.clone(),
            machine.emulator().ended(),
            pid,
            self.tell.clone(),
        );
        tokio::spawn(watching).abort_handle()
    }

    /// Cuts the machine's power and starts it and its server again on the same disks. The boot id is the witness.
    pub async fn power_cut(&self, life: Life) -> Result<(Life, Restarted)> {
        life.watcher.abort();
        let before = life.control.boot_id().await?;
        self.source.pause();
        let mut follower = life.follower;
        let machine = life.machine.power_cut().await?;
        let (control, hello) = agent(&machine, self.patience).await?;
        let after = hello.boot_id;
        anyhow::ensure!(
            before != after,
            "failed to cut the power: the guest has still the boot id {before}"
        );
        // The kernel's command line still has the time of the first boot.
        control.set_clock(SystemTime::now()).await?;
        if let Some(seat) = self.seat {
            seat.take(&control).await?;
        }
        let samples = Samples::connect(&machine.spec().port(SAMPLES_PORT))
            .context("failed to reach the sampler in the guest; see its console")?;
        self.source.replace(samples);
        // The log of the boot that was cut off has been copied as far as it could be; the next one is its own.
        let emptied = control
            .exec(&Exec::new(&["rm", "-f", &self.server.log]))
            .await?;
        anyhow::ensure!(
            emptied.exit.code == Some(0),
            "failed to remove the log of the last boot"
        );
        follower.follow(control.clone()).await;
        let start = self.start(&machine, &control).await?;
        let started = start.at;
        let life = Life {
            machine,
            control,
            pid: start.pid,
            started,
            started_counted: start.counted,
            follower,
            watcher: start.watcher,
            limits: start.limits,
        };
        Ok((
            life,
            Restarted {
                at: started,
                before: format!("boot {before}"),
                after: format!("boot {after}"),
            },
        ))
    }

    /// Kills the server, its guest unharmed, and starts it again. Its pid is the witness.
    pub async fn kill(&self, life: &mut Life) -> Result<Restarted> {
        life.watcher.abort();
        let before = life.pid;
        life.control.kill_group(before, SIGKILL).await?;
        let exit = life.control.ended(before).await?;
        if exit.signal != Some(SIGKILL) {
            return Err(anyhow!(
                "failed to kill the server: it ended before, as {exit:?}"
            ));
        }
        let start = self.start(&life.machine, &life.control).await?;
        (life.pid, life.started, life.watcher) = (start.pid, start.at, start.watcher);
        (life.started_counted, life.limits) = (start.counted, start.limits);
        Ok(Restarted {
            at: start.at,
            before: format!("pid {before}"),
            after: format!("pid {}", start.pid),
        })
    }
}

/// Pause after a request for the server's end that failed.
const ASK_AGAIN: Duration = Duration::from_secs(2);

/// Tells when the server ends, whether by itself, with its guest, or with its emulator.
async fn watch_server(
    control: Control,
    mut emulator: watch::Receiver<Option<Ended>>,
    pid: i32,
    tell: watch::Sender<Option<Exit>>,
) {
    let told = async {
        // A guest that thrashes may not answer for minutes. Where the connection broke, the emulator's end says what
        // happened.
        loop {
            if let Ok(exit) = control.ended(pid).await {
                return exit;
            }
            tokio::time::sleep(ASK_AGAIN).await;
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
