//! Agents of a cell: further machines like the server's, which join it over the nodes' network.
//!
//! Each is as large as the server's. They are booted right after the server was started and wait for it by themselves, as
//! agents on devices do.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::QemuTarget;
use super::evidence::Evidence;
use super::follow::LogFollower;
use super::lan::{Lan, Seat};
use super::life::Constant;
use super::node;
use super::parts::{Parts, kernel_args};
use super::provision::{CONTROL_PORT, DATA_DIR, SAMPLES_PORT, SERVER_LOG, agent};
use super::samplers::Source;
use super::server;
use crate::cell::{Cell, Shape};
use crate::distribution::AgentSpec;
use crate::guest::{Control, Samples};
use crate::machine::{Machine, MachineSpec, NetworkRequest, Surroundings};
use crate::sampler::Sampler;
use crate::scope::Scope;
use crate::target::docker::SERVER_NAME;
use crate::target::{Agent, Exit, Link, Target};

/// How often the newest record of an agent's machine is looked at; they come four times a second.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The last lines of a log are fetched within this time, or left in the guest.
const LAST_LOG_WITHIN: Duration = Duration::from_secs(10);

/// An agent in its machine.
pub(super) struct AgentMachine {
    name: String,
    seat: Seat,
    machine: Machine,
    control: Control,
    follower: LogFollower,
    /// Tells its end; aborted before it is ended on purpose.
    watcher: AbortHandle,
    sampling: AbortHandle,
    ended: watch::Receiver<Option<Exit>>,
    evidence: Evidence,
    log: PathBuf,
}

impl AgentMachine {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn told(&self) -> Agent {
        let seen = self.evidence.of(self.machine.spec().size);
        let ended = self.ended.borrow().clone();
        let killed = ended.as_ref().is_some_and(|exit| exit.oom_killed);
        Agent {
            name: self.name.clone(),
            address: IpAddr::V4(self.seat.address()),
            log: self.log.clone(),
            ended,
            memory_limit_bytes: seen.memory_limit_bytes,
            machine: true,
            peak_bytes: seen.peak_bytes,
            oom_kills: seen.oom_kills.max(killed.then_some(1)),
        }
    }

    pub async fn set_link(&self, lan: &Lan, link: Link) -> Result<()> {
        lan.set(self.seat, &self.control, &self.name, link).await
    }

    /// Ends it. Returns what stayed, one line each.
    pub async fn end(self) -> Vec<String> {
        self.watcher.abort();
        self.sampling.abort();
        let _ = tokio::time::timeout(LAST_LOG_WITHIN, self.follower.catch_up()).await;
        self.machine.end().await
    }
}

/// What all agents of a cell have in common.
pub(super) struct Joining<'a> {
    pub target: &'a QemuTarget,
    pub cell: &'a Cell,
    pub scope: &'a Scope,
    pub parts: &'a Parts,
    pub lan: &'a Lan,
    pub token: &'a str,
}

/// Starts the cell's agents.
pub(super) async fn join(joining: &Joining<'_>) -> Result<Vec<AgentMachine>> {
    let mut agents = Vec::new();
    for nth in 1..=joining.cell.agents {
        let name = format!("{SERVER_NAME}-agent-{nth}");
        let joined = one(joining, nth, name.clone()).await;
        agents.push(joined.with_context(|| format!("failed to start {name}"))?);
    }
    Ok(agents)
}

async fn one(joining: &Joining<'_>, nth: u8, name: String) -> Result<AgentMachine> {
    let (target, cell) = (joining.target, joining.cell);
    let seat = joining.lan.seat(nth);
    let machine = boot(joining, nth, seat).await?;
    let (control, _) = agent(&machine, target.patience()).await?;
    seat.take(&control).await?;
    server::make_folder(&control).await?;
    if cell.shape == Shape::Node {
        node::prepare(&control, &machine.spec().folder, &seat.pods()).await?;
    }
    let spec = AgentSpec {
        name: &name,
        env: &cell.env,
        server: IpAddr::V4(joining.lan.seat(0).address()),
        address: Some(IpAddr::V4(seat.address())),
        token: joining.token,
        data_dir: DATA_DIR.as_ref(),
        binaries: &joining.parts.binaries,
    };
    let distribution = cell.distribution;
    let command = distribution
        .agent(&spec)
        .ok_or_else(|| anyhow!("{} has no agents", distribution.name()))?;
    let samples = Samples::connect(&machine.spec().port(SAMPLES_PORT))
        .context("failed to reach the sampler in the guest; see its console")?;
    let (tell, ended) = watch::channel(None);
    let constant = Constant {
        server: server::to_spawn(cell, &command),
        source: Source::new(samples, false),
        tell,
        patience: target.patience(),
        time: target.time,
        seat: Some(seat),
    };
    let evidence = Evidence::default();
    let sampling = sample(constant.source.clone(), &evidence);
    let start = constant.start(&machine, &control).await?;
    evidence.read_back(start.limits);
    let log = cell.logs.join(format!("agent-{nth}.log"));
    let follower = LogFollower::start(control.clone(), target.time, SERVER_LOG, log.clone());
    Ok(AgentMachine {
        name,
        seat,
        machine,
        control,
        follower,
        watcher: start.watcher,
        sampling,
        ended,
        evidence,
        log,
    })
}

async fn boot(joining: &Joining<'_>, nth: u8, seat: Seat) -> Result<Machine> {
    let (target, cell, parts) = (joining.target, joining.cell, joining.parts);
    // Beneath the cell's folder, which is in the ledger.
    let folder = cell.work.join(format!("agent{nth}"));
    fs_err::create_dir_all(&folder)?;
    let spec = MachineSpec {
        program: parts.program.clone(),
        profile: target.profile.clone(),
        size: parts.size,
        kernel: parts.images.kernel.clone(),
        initramfs: parts.images.initramfs.clone(),
        kernel_args: kernel_args(target, cell)?,
        disks: parts.disks(&folder)?,
        nics: vec![joining.lan.nic(seat)],
        ports: vec![CONTROL_PORT, SAMPLES_PORT],
        folder,
        console: cell.logs.join(format!("agent-{nth}-console.log")),
        time: target.time,
        incoming: None,
    };
    // Nobody reaches it but through its serial ports and the switch.
    let request = NetworkRequest {
        tap: false,
        subnet: None,
        ports: Vec::new(),
    };
    let surroundings = Surroundings {
        helper: target.helper(),
        log: cell.logs.join(format!("agent-{nth}-qemu.log")),
        scope: joining.scope.clone(),
    };
    Machine::boot(spec, &request, surroundings).await
}

/// Keeps the evidence on an agent's machine up to date.
fn sample(source: Source, evidence: &Evidence) -> AbortHandle {
    let mut samplers: Vec<Box<dyn Sampler>> = source.samplers(evidence);
    let sampling = async move {
        let mut readings = Vec::new();
        loop {
            for sampler in &mut samplers {
                readings.clear();
                // The evidence says that the records have ended.
                if sampler.sample(&mut readings).is_err() {
                    return;
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::spawn(sampling).abort_handle()
}
