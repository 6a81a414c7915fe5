//! What can be done to a native server, each with its witness.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use futures::FutureExt;
use futures::future::BoxFuture;
use rustix::process::{Pid, Signal, kill_process};

use super::cluster::{Life, NativeCluster};
use super::launch::{instant_of, process};
use super::protocol::{Order, Told};
use super::{memory, trace};
use crate::cgroup::Cgroup;
use crate::scope::start_ticks;
use crate::target::{Exit, Faults, Start, Syncs, Witness};

/// How long killed processes may take to go, or frozen ones to stop.
const SEEN_WITHIN: Duration = Duration::from_secs(15);
const LOOK_EVERY: Duration = Duration::from_millis(2);

impl NativeCluster {
    pub(super) fn witness(from: Instant, facts: Vec<(&'static str, String)>) -> Witness {
        Witness {
            from,
            seen: Instant::now(),
            facts,
        }
    }

    async fn ask(&self, order: &Order) -> Result<Told> {
        self.link.lock().await.ask(order).await
    }

    pub(super) async fn obeyed(&self, order: &Order) -> Result<()> {
        match self.ask(order).await? {
            Told::Done => Ok(()),
            Told::Undone { reason } | Told::Failed { reason } => bail!("failed to {reason}"),
            other => bail!("failed to have an order obeyed: the keeper said {other:?}"),
        }
    }

    /// Waits until the cell's cgroup is empty; the pids that stay otherwise.
    async fn emptied(&self) -> Result<()> {
        let end = Instant::now() + SEEN_WITHIN;
        loop {
            let left = self.pids();
            if left.is_empty() {
                return Ok(());
            }
            ensure!(
                Instant::now() < end,
                "failed to witness the kill: the processes {left:?} are still there"
            );
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn killed(&self) -> Result<Witness> {
        let from = Instant::now();
        let was = self.life().words();
        ensure!(
            self.ends.down().is_none(),
            "failed to kill the server: it has ended already"
        );
        self.ends.ask(true);
        self.link.lock().await.tell(&Order::Kill).await?;
        let Some(exit) = self.ends.down_within(SEEN_WITHIN).await else {
            self.ends.ask(false);
            bail!("failed to kill the server: it did not end within {SEEN_WITHIN:?}");
        };
        ensure!(
            exit.signal == Some(9),
            "failed to kill the server: it ended by itself at that moment ({exit:?})"
        );
        self.emptied().await?;
        self.life().frozen = None;
        let facts = vec![
            ("server", was),
            ("ended by", "signal 9".to_owned()),
            ("processes left in the cell", "0".to_owned()),
        ];
        Ok(Self::witness(from, facts))
    }

    async fn started_again(&self, how: Start) -> Result<Witness> {
        let from = Instant::now();
        ensure!(
            self.ends.down().is_some(),
            "failed to start the server: it runs"
        );
        let before = self.life().words();
        let (go, log) = match how {
            Start::Plain => (self.about.go.clone(), None),
            Start::SlowSync { delay } => {
                let nth = self.life().traces;
                let log = self.about.go.work.join(format!("trace-{nth}"));
                (trace::wrap(&self.about.go, delay, &log)?, Some(log))
            }
        };
        let exit = self.ends.down();
        self.ends.up();
        let told = self.ask(&Order::Go(Box::new(go))).await;
        let (pid, at) = match told {
            Ok(Told::Executed { pid, monotonic_ns }) => (pid, instant_of(monotonic_ns)),
            other => {
                if let Some(exit) = exit {
                    self.ends.give_up(exit);
                }
                bail!("failed to start the server again: {other:?}");
            }
        };
        let resource = process(pid, "the server of a cell");
        self.holdings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .enter(resource)?;
        let mut life = self.life();
        life.pid = pid;
        life.start_ticks = start_ticks(pid);
        life.at = at;
        life.traces += u32::from(log.is_some());
        life.trace = log;
        let after = life.words();
        drop(life);
        ensure!(
            before != after,
            "failed to witness the start: {after} is no other server"
        );
        let mut facts = vec![("before", before), ("after", after)];
        if let Start::SlowSync { delay } = how {
            facts.push(("delay of each fsync", format!("{delay:?}")));
        }
        Ok(Self::witness(from, facts))
    }

    async fn set_frozen(&self, frozen: bool) -> Result<Witness> {
        let from = Instant::now();
        let (wanted, signal) = match frozen {
            true => ("FROZEN", Signal::STOP),
            false => ("THAWED", Signal::CONT),
        };
        let freezer = self
            .about
            .cgroup
            .as_ref()
            .ok()
            .and_then(|cgroup| cgroup.freezer());
        if let Some(freezer) = &freezer {
            freezer.set(frozen).map_err(|refused| anyhow!(refused.0))?;
        }
        let end = from + SEEN_WITHIN;
        let state = loop {
            let (state, done) = match &freezer {
                Some(freezer) => {
                    let state = freezer
                        .state()
                        .context("failed to read the freezer's state")?;
                    let done = state == wanted;
                    (format!("the cgroup's freezer says {state}"), done)
                }
                None => signalled(&self.pids(), signal, frozen),
            };
            if done {
                break state;
            }
            ensure!(
                Instant::now() < end,
                "failed to witness that the server is {}: {state}",
                wanted.to_lowercase()
            );
            tokio::time::sleep(LOOK_EVERY).await;
        };
        let mut facts = vec![
            ("state", state),
            ("processes", self.pids().len().to_string()),
        ];
        let mut life = self.life();
        if let (false, Some(since)) = (frozen, life.frozen) {
            facts.push((
                "frozen for",
                format!("{:.3} s", since.elapsed().as_secs_f64()),
            ));
        }
        life.frozen = frozen.then(Instant::now);
        drop(life);
        Ok(Self::witness(from, facts))
    }

    async fn starved(&self) -> Result<Witness> {
        let from = Instant::now();
        let cgroup = self.about.cgroup.as_ref().map_err(|why| {
            anyhow!("failed to exhaust the memory: there is no limit to lower ({why})")
        })?;
        let was = self.life().words();
        self.life().starved = Some(cgroup.counters());
        self.ends.ask(true);
        let exhausted = memory::exhaust(cgroup, &self.ends).await;
        if self.ends.down().is_none() {
            // Nothing was killed, or another process than the server: the rest goes with it.
            self.ends.ask(false);
            self.killed().await?;
        }
        self.fed(cgroup)?;
        let exhausted = exhausted?;
        ensure!(
            exhausted.kills > 0,
            "failed to witness the kill: the kernel counts none"
        );
        self.emptied().await?;
        let facts = vec![
            ("server", was),
            ("usage before, bytes", exhausted.usage.to_string()),
            ("lowest limit, bytes", exhausted.lowest.to_string()),
            ("kills that the kernel counts", exhausted.kills.to_string()),
            ("ended by", format!("{:?}", self.ends.down())),
            (
                "limit restored, bytes",
                format!("{:?}", cgroup.limits().memory_bytes),
            ),
        ];
        Ok(Self::witness(from, facts))
    }

    /// Restores the memory limit; what the kernel counted meanwhile is no failure of the server's.
    fn fed(&self, cgroup: &Cgroup) -> Result<()> {
        let limit = self.about.memory_limit;
        cgroup
            .set_memory_limit(limit)
            .map_err(|refused| anyhow!(refused.0))?;
        if let Some(before) = self.life().starved.take() {
            let now = cgroup.counters();
            let kills = now.oom_kills.unwrap_or(0) - before.oom_kills.unwrap_or(0);
            let hits = now.limit_hits.saturating_sub(before.limit_hits);
            self.ends.allow(kills, hits);
        }
        Ok(())
    }

    async fn undone(&self) -> Result<()> {
        if self.life().frozen.is_some() {
            self.set_frozen(false).await?;
        }
        let starved = self.life().starved.is_some();
        if let (true, Ok(cgroup)) = (starved, &self.about.cgroup) {
            self.fed(cgroup)?;
        }
        // A door that was left half-way may still expect an end.
        self.ends.ask(false);
        // One guard at a time: the lock is not re-entrant.
        let broken = self.life().broken;
        let traced = self.life().trace.is_some();
        if (broken || traced) && self.ends.down().is_none() {
            self.killed().await?;
        }
        if broken {
            self.mended().await?;
        }
        // Nothing can be removed from a disk that is read-only.
        if self.life().filled {
            self.filled(false).await?;
        }
        if self.ends.down().is_some() {
            self.started_again(Start::Plain).await?;
        }
        self.ends.excuse(false);
        Ok(())
    }
}

impl Faults for NativeCluster {
    fn kill(&self) -> BoxFuture<'_, Result<Witness>> {
        self.killed().boxed()
    }

    fn start(&self, how: Start) -> BoxFuture<'_, Result<Witness>> {
        self.started_again(how).boxed()
    }

    fn freeze(&self) -> BoxFuture<'_, Result<Witness>> {
        self.set_frozen(true).boxed()
    }

    fn thaw(&self) -> BoxFuture<'_, Result<Witness>> {
        self.set_frozen(false).boxed()
    }

    fn exhaust_memory(&self) -> BoxFuture<'_, Result<Witness>> {
        self.starved().boxed()
    }

    fn fill_disk(&self) -> BoxFuture<'_, Result<Witness>> {
        self.filled(true).boxed()
    }

    fn free_disk(&self) -> BoxFuture<'_, Result<Witness>> {
        self.filled(false).boxed()
    }

    fn break_disk(&self) -> BoxFuture<'_, Result<Witness>> {
        self.broken().boxed()
    }

    fn mend_disk(&self) -> BoxFuture<'_, Result<Witness>> {
        self.mended().boxed()
    }

    fn syncs(&self) -> Result<Syncs> {
        let log = self.life().trace.clone();
        trace::syncs(&log.context("failed to count fsyncs: the server is not traced")?)
    }

    fn excuse(&self, excused: bool) {
        self.ends.excuse(excused);
    }

    fn down(&self) -> Option<Exit> {
        self.ends.down()
    }

    fn undo(&self) -> BoxFuture<'_, Result<()>> {
        self.undone().boxed()
    }
}

impl Life {
    /// Names the server as nobody else is named on this boot.
    pub(super) fn words(&self) -> String {
        match self.start_ticks {
            Some(ticks) => format!("pid {}, started at tick {ticks}", self.pid),
            None => format!("pid {}", self.pid),
        }
    }
}

/// Signals every process and tells whether all are stopped, or none is. New ones are found by the next look.
fn signalled(pids: &[i32], signal: Signal, stopped: bool) -> (String, bool) {
    for pid in pids.iter().filter_map(|pid| Pid::from_raw(*pid)) {
        // One that ended meanwhile is neither stopped nor running.
        let _ = kill_process(pid, signal);
    }
    let states: Vec<char> = pids.iter().filter_map(|pid| state_of(*pid)).collect();
    let right = |state: &char| matches!(state, 'T' | 't' | 'Z' | 'X') == stopped || *state == 'Z';
    let done = !states.is_empty() && states.iter().all(right);
    (format!("the states of its processes are {states:?}"), done)
}

/// Field 3 of `/proc/<pid>/stat` (proc(5)).
fn state_of(pid: i32) -> Option<char> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    text.get(text.rfind(')')? + 1..)?
        .trim_start()
        .chars()
        .next()
}
