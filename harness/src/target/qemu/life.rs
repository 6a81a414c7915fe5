//! What changes when a server is cut off and started again: its machine, the connections into it, its pid.

use std::time::{Instant, SystemTime};

use anyhow::{Context, Result, anyhow};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::follow::LogFollower;
use super::provision::{SAMPLES_PORT, agent};
use super::samplers::Source;
use crate::guest::{Control, Exec, Samples, Spawn};
use crate::machine::{Ended, Machine};
use crate::target::{Exit, Restarted};

const SIGKILL: i32 = 9;

/// A server in its machine, from one start to the next.
pub(super) struct Life {
    pub machine: Machine,
    pub control: Control,
    pub pid: i32,
    pub started: Instant,
    pub follower: LogFollower,
    /// Tells the server's unasked end; aborted before the server is ended on purpose.
    pub watcher: AbortHandle,
}

/// What every life of a cluster shares.
pub(super) struct Constant {
    /// What is started, each time anew.
    pub server: Spawn,
    pub source: Source,
    pub tell: watch::Sender<Option<Exit>>,
    /// By how much deadlines are stretched.
    pub patience: u32,
}

impl Constant {
    /// Starts the server, and tells its end when nobody asked for it.
    pub async fn start(
        &self,
        machine: &Machine,
        control: &Control,
    ) -> Result<(i32, Instant, AbortHandle)> {
        let at = Instant::now();
        let pid = control
            .spawn(&self.server)
            .await
            .context("failed to start the server in the guest")?;
        Ok((pid, at, self.watch(machine, control, pid)))
    }

    /// Watches a server that runs.
    pub fn watch(&self, machine: &Machine, control: &Control, pid: i32) -> AbortHandle {
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
        let (pid, started, watcher) = self.start(&machine, &control).await?;
        let life = Life {
            machine,
            control,
            pid,
            started,
            follower,
            watcher,
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
        let (pid, started, watcher) = self.start(&life.machine, &life.control).await?;
        (life.pid, life.started, life.watcher) = (pid, started, watcher);
        Ok(Restarted {
            at: started,
            before: format!("pid {before}"),
            after: format!("pid {pid}"),
        })
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
