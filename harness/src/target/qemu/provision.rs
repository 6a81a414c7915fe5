//! From images to a server that runs in the guest: booted and spawned, or restored from a saved state.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::sync::watch;

use super::QemuTarget;
use super::agents::{self, Joining};
use super::booted::{Up, came_up, check_zram, come_up};
use super::cluster::{QemuCluster, Running};
use super::facts::{calibrate, facts};
use super::follow::{self, LogFollower};
use super::lan::{Lan, Seat};
use super::life::{Constant, Life};
use super::node;
use super::parts::{Parts, kernel_args};
use super::samplers::Source;
use super::saved::{Order, Saved};
use super::server::{self, Joined, Server};
use crate::cell::{Cell, Shape};
use crate::distribution::Access;
use crate::guest::{Control, Hello, Samples};
use crate::machine::{
    Machine, MachineSpec, Network, NetworkRequest, Surroundings, TimeMode, may_use_tap,
};
use crate::scope::Scope;
use crate::target::common::make_work_folder;
use crate::target::docker::{pods, token};
use crate::target::native::Holdings;
use crate::target::{Boot, Cluster, ProvisionError, Target};
use crate::text;

/// From the emulator's start to the agent's first answer: 1.5 s on a quiet host.
pub(super) const AGENT_WITHIN: Duration = Duration::from_secs(30);
/// Ports of the guest that are reached from here: API server, etcd's clients, its metrics.
pub(super) const PORTS: [u16; 3] = [6443, 2379, 2381];
/// Names of the virtio-serial ports.
pub(super) const CONTROL_PORT: &str = "assay.ctl";
pub(super) const SAMPLES_PORT: &str = "assay.samples";
/// The server's data folder and log in the guest, on its data disk.
pub(super) const DATA_DIR: &str = "/data/server";
pub(super) const SERVER_LOG: &str = "/data/server.log";

pub(super) async fn provision(
    target: &QemuTarget,
    cell: &Cell,
    scope: &Scope,
) -> Result<Box<dyn Cluster>, ProvisionError> {
    let parts = Parts::collect(target, cell).await?;
    let mut holdings = Holdings::new(scope);
    match launch(target, cell, scope, &mut holdings, &parts).await {
        Ok(running) => Ok(Box::new(QemuCluster::new(running, holdings, cell))),
        Err(error) => {
            let stayed = tokio::task::spawn_blocking(|| holdings.release())
                .await
                .unwrap_or_default();
            let error = match stayed.as_slice() {
                [] => error,
                _ => error.context(format!("leftovers remain: {}", stayed.join("; "))),
            };
            Err(error.into())
        }
    }
}

async fn launch(
    target: &QemuTarget,
    cell: &Cell,
    scope: &Scope,
    holdings: &mut Holdings,
    parts: &Parts,
) -> Result<Running> {
    make_work_folder(cell, scope, holdings)?;
    let lan = match cell.agents {
        0 => None,
        agents => Some(Lan::open(&cell.work, agents)?),
    };
    let nic = lan.as_ref().map(|lan| lan.nic(lan.seat(0)));
    let spec = MachineSpec {
        program: parts.program.clone(),
        profile: target.profile.clone(),
        size: parts.size,
        kernel: parts.images.kernel.clone(),
        initramfs: parts.images.initramfs.clone(),
        kernel_args: kernel_args(target, cell)?,
        disks: parts.disks(&cell.work)?,
        nics: nic.into_iter().collect(),
        ports: vec![CONTROL_PORT, SAMPLES_PORT],
        folder: cell.work.clone(),
        console: cell.logs.join("console.log"),
        time: target.time,
        incoming: None,
    };
    let surroundings = Surroundings {
        helper: target.helper(),
        log: cell.logs.join("qemu.log"),
        scope: scope.clone(),
    };
    // Agents are machines of their own, which no saved state of the server has.
    let order = if target.restore && lan.is_none() {
        Some(Order::new(target, cell, &spec, parts).await?)
    } else {
        None
    };
    let mut not_restored = None;
    if let Some(order) = &order
        && let Some(saved) = order.find()
    {
        match restored(target, cell, &spec, parts, &surroundings, &saved).await {
            Ok(running) => return Ok(running),
            // Its network is taken, or its emulator does not want it any more: then it is booted.
            Err(error) => not_restored = Some(format!("{error:#}")),
        }
    }
    let joined = lan.as_ref().map(|lan| Joined {
        address: lan.seat(0).address(),
        token: token(),
    });
    let seat = lan.as_ref().map(|lan| lan.seat(0));
    let joined = joined.as_ref().zip(seat);
    let mut running = booted(
        target,
        cell,
        spec,
        parts,
        surroundings,
        order.as_ref(),
        joined,
    )
    .await?;
    if let (Some(lan), Some((Joined { token, .. }, _))) = (lan, joined) {
        let joining = Joining {
            target,
            cell,
            scope,
            parts,
            lan: &lan,
            token,
        };
        running.agents = agents::join(&joining).await?;
        running.facts.push(agents_fact(cell));
        running.lan = Some(lan);
    }
    if let Some(why) = not_restored {
        let fact = (
            "saved state".to_owned(),
            format!("not used: {}", text::tame(&why)),
        );
        running.facts.push(fact);
    }
    running.order = order;
    Ok(running)
}

async fn booted(
    target: &QemuTarget,
    cell: &Cell,
    spec: MachineSpec,
    parts: &Parts,
    surroundings: Surroundings,
    order: Option<&Order>,
    joined: Option<(&Joined, Seat)>,
) -> Result<Running> {
    let Up {
        machine,
        control,
        hello,
        boot,
        fact,
    } = come_up(target, cell, spec, surroundings, order).await?;
    if let Some((_, seat)) = joined {
        seat.take(&control).await?;
    }
    server::make_folder(&control).await?;
    if cell.shape == Shape::Node {
        node::prepare(&control, &cell.work, &pods(0)).await?;
    }
    let mut facts = facts(target, &machine, &hello, &parts.images);
    facts.extend(fact);
    if let Some(bytes) = target.zram {
        facts.push(check_zram(&control, bytes).await?);
    }
    facts.push(("calibration".to_owned(), calibrate(&control).await?));
    let connected = Connected {
        machine,
        control,
        facts,
        boot,
    };
    connected.run(target, cell, parts, joined, None).await
}

async fn restored(
    target: &QemuTarget,
    cell: &Cell,
    spec: &MachineSpec,
    parts: &Parts,
    surroundings: &Surroundings,
    saved: &Saved,
) -> Result<Running> {
    let mut spec = spec.clone();
    spec.disks = saved.overlay(&spec.disks, &cell.work)?;
    spec.incoming = Some(saved.memory());
    let (tap, subnet) = match &saved.network {
        Network::Private { subnet, .. } => (true, Some(*subnet)),
        Network::Forwarded { .. } => (false, None),
    };
    ensure!(
        tap == may_use_tap(),
        "it was saved with another kind of network"
    );
    let request = NetworkRequest {
        tap,
        subnet,
        ports: PORTS.to_vec(),
    };
    let machine = Machine::boot(spec, &request, surroundings.clone()).await?;
    machine
        .emulator()
        .qmp()
        .resume_incoming(AGENT_WITHIN * target.patience())
        .await?;
    let (control, hello) = agent(&machine, target.patience()).await?;
    let boot = came_up(&machine, true);
    saved.check(&control, &hello).await?;
    let mut facts = facts(target, &machine, &hello, &parts.images);
    let fact = format!("restored, {}, saved at {}", saved.key, saved.saved_at);
    facts.push(("saved state".to_owned(), fact));
    let connected = Connected {
        machine,
        control,
        facts,
        boot,
    };
    connected
        .run(target, cell, parts, None, Some(saved.about.pid))
        .await
}

/// A machine whose agent answers.
struct Connected {
    machine: Machine,
    control: Control,
    facts: Vec<(String, String)>,
    boot: Boot,
}

impl Connected {
    /// Starts the server, or goes on with the one that runs already.
    async fn run(
        self,
        target: &QemuTarget,
        cell: &Cell,
        parts: &Parts,
        joined: Option<(&Joined, Seat)>,
        runs: Option<i32>,
    ) -> Result<Running> {
        let Self {
            machine,
            control,
            facts,
            boot,
        } = self;
        let network = machine.network();
        let server = server::plan(
            cell,
            network.guest(),
            joined.map(|(joined, _)| joined),
            &parts.binaries,
        );
        let access = access(&server, &control, target.time, cell, network)?;
        let etcd_metrics = server.etcd_metrics.as_deref();
        let etcd_metrics = etcd_metrics
            .map(|url| network.url_from_here(url))
            .transpose()?;
        // Before the server starts, so that its first moments are seen.
        let samples = Samples::connect(&machine.spec().port(SAMPLES_PORT))
            .context("failed to reach the sampler in the guest; see its console")?;
        let (tell, ended) = watch::channel(None);
        let constant = Constant {
            server: server::to_spawn(cell, &server.command),
            source: Source::new(samples, target.time == TimeMode::Counted),
            tell,
            patience: target.patience(),
            time: target.time,
            seat: joined.map(|(_, seat)| seat),
        };
        let start = match runs {
            None => constant.start(&machine, &control).await?,
            Some(pid) => {
                let at = machine.emulator().started();
                constant.go_on(&machine, &control, pid, at).await
            }
        };
        let log = cell.logs.join("server.log");
        let follower = LogFollower::start(control.clone(), target.time, SERVER_LOG, log.clone());
        Ok(Running {
            life: Life {
                machine,
                control,
                pid: start.pid,
                started: start.at,
                started_counted: start.counted,
                follower,
                watcher: start.watcher,
                limits: start.limits,
            },
            constant,
            ended,
            facts,
            restored: runs.is_some(),
            boot,
            order: None,
            agents: Vec::new(),
            lan: None,
            access,
            etcd_metrics,
            command: server.command,
            log,
        })
    }
}

fn agents_fact(cell: &Cell) -> (String, String) {
    let words = format!(
        "{}, each a machine like the server's, on a network of the nodes' own; figures are the server's alone",
        cell.agents
    );
    ("agents".to_owned(), words)
}

/// How the server is reached from here.
fn access(
    server: &Server,
    control: &Control,
    time: TimeMode,
    cell: &Cell,
    network: &Network,
) -> Result<Access> {
    Ok(match &server.access {
        Access::Kubeconfig { path, context, url } => {
            let here = cell.work.join("kubeconfig");
            follow::kubeconfig(control.clone(), time, path, &here);
            let own = format!("https://{}:6443", network.guest());
            let url = url.as_ref().unwrap_or(&own);
            Access::Kubeconfig {
                context: context.clone(),
                path: here,
                url: Some(network.url_from_here(url)?),
            }
        }
        Access::Etcd { url } => Access::Etcd {
            url: network.url_from_here(url)?,
        },
    })
}

/// Waits for the guest's agent, and says what the console shows where it does not come.
pub(super) async fn agent(machine: &Machine, patience: u32) -> Result<(Control, Hello)> {
    let socket = machine.spec().port(CONTROL_PORT);
    let mut ended = machine.emulator().ended();
    let failed = tokio::select! {
        reached = Control::connect(&socket, AGENT_WITHIN * patience, patience) => match reached {
            Ok(reached) => return Ok(reached),
            Err(error) => error,
        },
        _ = ended.wait_for(Option::is_some) => anyhow::anyhow!("the emulator ended while the guest booted"),
    };
    let console = text::last_words(&machine.spec().console);
    Err(failed.context(format!(
        "failed to boot the guest; the last lines of its console: {console}"
    )))
}
