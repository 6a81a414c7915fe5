//! From images to a server that was spawned in the guest.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use tokio::sync::watch;

use super::QemuTarget;
use super::cluster::{QemuCluster, Running};
use super::follow::{self, LogFollower};
use super::life::{Constant, Life};
use super::samplers::Source;
use crate::cell::{Cell, Shape};
use crate::distribution::{Access, CommandLine, ServerSpec};
use crate::guest::{
    Bundle, Control, Exec, GuestError, Hello, Images, SERVER_CGROUP, Samples, Spawn,
    make_data_disk, prepare, programs_image,
};
use crate::machine::{
    Disk, DiskFormat, Machine, MachineSpec, Network, NetworkRequest, Size, Surroundings, TimeMode,
    find_emulator, may_use_tap, qcow2::make_overlay,
};
use crate::scope::{Resource, Scope};
use crate::target::native::Holdings;
use crate::target::{Cluster, ProvisionError, Target};
use crate::text;

/// From the emulator's start to the agent's first answer: 1.5 s on a quiet host.
const AGENT_WITHIN: Duration = Duration::from_secs(30);
/// Sparse on the host.
const DATA_DISK_BYTES: u64 = 8 << 30;
/// Ports of the guest that are reached from here: API server, etcd's clients, its metrics.
const PORTS: [u16; 3] = [6443, 2379, 2381];
/// Four samples a second: scenarios want 20 of a quiet server, and each costs the guest some 0.1 % of its CPU.
const SAMPLE_EVERY_MS: u32 = 250;
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
    let program = find_emulator().map_err(|error| unavailable(&error))?;
    let binaries = binaries_in_guest(cell)?;
    let size = target.profile.size(&cell.budget)?;
    let images = prepare(&target.guest, bundle(cell), &target.cache)
        .await
        .map_err(refused)?;
    let programs = programs(target, cell).await.map_err(refused)?;
    let mut holdings = Holdings::new(scope);
    let parts = Parts {
        program,
        size,
        images,
        programs,
        binaries,
    };
    match launch(target, cell, scope, &mut holdings, parts).await {
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

fn unavailable(error: &anyhow::Error) -> ProvisionError {
    ProvisionError::Unavailable(format!("{error:#}"))
}

fn refused(error: GuestError) -> ProvisionError {
    match error {
        GuestError::Unavailable(reason) => ProvisionError::Unavailable(reason),
        GuestError::Failed(error) => ProvisionError::Failed(error),
    }
}

/// What a machine is made from.
struct Parts {
    program: PathBuf,
    size: Size,
    images: Images,
    programs: Option<PathBuf>,
    binaries: BTreeMap<&'static str, PathBuf>,
}

fn bundle(cell: &Cell) -> Bundle {
    match (cell.distribution.name(), cell.shape) {
        (_, Shape::Node) => Bundle::Node,
        ("etcd", Shape::ControlPlane) => Bundle::Etcd,
        (_, Shape::ControlPlane) => Bundle::Base,
    }
}

/// Where the distribution's binaries are in the guest.
fn binaries_in_guest(cell: &Cell) -> Result<BTreeMap<&'static str, PathBuf>, ProvisionError> {
    let mut binaries = BTreeMap::new();
    for need in cell.distribution.artifacts() {
        if need.only_for.is_some_and(|only| only != cell.datastore) {
            continue;
        }
        let path = match need.name {
            "etcd" => PathBuf::from("/usr/bin/etcd"),
            "assay" if cfg!(not(target_arch = "aarch64")) => {
                return Err(ProvisionError::Unavailable(
                    "the specimen needs an assay that was built for arm64, and this one was not; \
                     choose --distribution etcd, or k3s with an arm64 binary"
                        .into(),
                ));
            }
            name => Path::new("/opt/assay").join(name),
        };
        binaries.insert(need.name, path);
    }
    Ok(binaries)
}

/// The disk with the distribution's programs, if it has any that the guest has not.
async fn programs(target: &QemuTarget, cell: &Cell) -> Result<Option<PathBuf>, GuestError> {
    let mut programs = Vec::new();
    for need in cell.distribution.artifacts() {
        if !target.supplies(need.name) {
            let path = cell.binaries.get(need.name).with_context(|| {
                format!(
                    "failed to put {} into the guest: it was not found",
                    need.name
                )
            })?;
            programs.push((need.name, path.as_path()));
        }
    }
    if programs.is_empty() {
        return Ok(None);
    }
    programs_image(&target.cache, &programs).await.map(Some)
}

async fn launch(
    target: &QemuTarget,
    cell: &Cell,
    scope: &Scope,
    holdings: &mut Holdings,
    parts: Parts,
) -> Result<Running> {
    ensure!(
        cell.work.starts_with(scope.work()) && cell.work != scope.work(),
        "failed to use the work folder {}: it must lie beneath {}",
        cell.work.display(),
        scope.work().display()
    );
    holdings.enter(Resource::Folder {
        path: cell.work.clone(),
    })?;
    fs_err::create_dir_all(&cell.work)?;
    let disks = make_disks(&cell.work, &parts).await?;
    let spec = MachineSpec {
        program: parts.program,
        profile: target.profile.clone(),
        size: parts.size,
        kernel: parts.images.kernel.clone(),
        initramfs: parts.images.initramfs.clone(),
        kernel_args: kernel_args(cell)?,
        disks,
        nics: Vec::new(),
        ports: vec![CONTROL_PORT, SAMPLES_PORT],
        folder: cell.work.clone(),
        console: cell.logs.join("console.log"),
        time: target.time,
        incoming: None,
    };
    let surroundings = Surroundings {
        helper: target
            .helper
            .clone()
            .unwrap_or_else(|| "/proc/self/exe".into()),
        log: cell.logs.join("qemu.log"),
        scope: scope.clone(),
    };
    let request = NetworkRequest {
        tap: may_use_tap(),
        subnet: None,
        ports: PORTS.to_vec(),
    };
    let machine = Machine::boot(spec, &request, surroundings).await?;
    let (control, hello) = agent(&machine, target.patience()).await?;
    let server = plan_server(cell, &machine, &parts.binaries)?;
    // Before the server starts, so that its first moments are seen.
    let samples = Samples::connect(&machine.spec().port(SAMPLES_PORT))
        .context("failed to reach the sampler in the guest; see its console")?;
    let (tell, ended) = watch::channel(None);
    let constant = Constant {
        server: server_to_spawn(&control, cell, &server.command).await?,
        source: Source::new(samples),
        tell,
        patience: target.patience(),
    };
    let (pid, started, watcher) = constant.start(&machine, &control).await?;
    let log = cell.logs.join("server.log");
    let follower = LogFollower::start(control.clone(), SERVER_LOG, log.clone());
    let kubeconfig = cell.work.join("kubeconfig");
    let access = match &server.access {
        Access::Kubeconfig { path, url } => {
            let url = match url {
                Some(url) => url.clone(),
                None => format!("https://{}:6443", machine.network().guest()),
            };
            follow::kubeconfig(control.clone(), path, &kubeconfig);
            Access::Kubeconfig {
                path: kubeconfig,
                url: Some(machine.network().url_from_here(&url)?),
            }
        }
        Access::Etcd { url } => Access::Etcd {
            url: machine.network().url_from_here(url)?,
        },
    };
    let etcd_metrics = match &server.etcd_metrics {
        Some(url) => Some(machine.network().url_from_here(url)?),
        None => None,
    };
    Ok(Running {
        facts: facts(target, &machine, &hello, &parts.images),
        life: Life {
            machine,
            control,
            pid,
            started,
            follower,
            watcher,
        },
        constant,
        ended,
        access,
        etcd_metrics,
        command: server.command,
        log,
    })
}

/// What the record shows of the place.
fn facts(
    target: &QemuTarget,
    machine: &Machine,
    hello: &Hello,
    images: &Images,
) -> Vec<(String, String)> {
    let Size { memory_mib, cpus } = machine.spec().size;
    let profile = &target.profile;
    let guest = match &images.manifest {
        Some(manifest) => format!(
            "built from {} packages, {}",
            manifest.packages.len(),
            manifest.key
        ),
        None => "given by the user".to_owned(),
    };
    let network = match machine.network() {
        Network::Private { .. } => "TAP device",
        Network::Forwarded { .. } => {
            "user-mode network with forwarded ports, for there is no root; it stalls beyond some 50 connections at once"
        }
    };
    let time = match target.time {
        TimeMode::Free => "free running: wall times are the emulator's",
        TimeMode::Counted => "counted: one nanosecond of the guest's clock per instruction",
    };
    [
        (
            "machine",
            format!(
                "{}: {}; {memory_mib} MiB, {cpus} CPU ({})",
                profile.name, profile.title, profile.cpu
            ),
        ),
        (
            "emulator",
            format!("QEMU {}, TCG", machine.emulator().qmp().version()),
        ),
        ("guest kernel", hello.kernel.clone()),
        ("guest", guest),
        ("guest network", network.to_owned()),
        ("guest clock", time.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

/// The root disk's overlay, the data disk and, where there is one, the programs' disk.
async fn make_disks(work: &Path, parts: &Parts) -> Result<Vec<Disk>> {
    let root = work.join("root.qcow2");
    make_overlay(&root, &parts.images.root, DiskFormat::Raw)?;
    let data = work.join("data.ext4");
    make_data_disk(&data, DATA_DISK_BYTES).await?;
    let mut disks = vec![
        Disk {
            file: root,
            format: DiskFormat::Qcow2,
            read_only: false,
            serial: "assay-root",
        },
        Disk {
            file: data,
            format: DiskFormat::Raw,
            read_only: false,
            serial: "assay-data",
        },
    ];
    disks.extend(parts.programs.clone().map(|file| Disk {
        file,
        format: DiskFormat::Raw,
        read_only: true,
        serial: "assay-programs",
    }));
    Ok(disks)
}

fn kernel_args(cell: &Cell) -> Result<Vec<String>> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("failed to read the clock: it stands before 1970")?;
    let mut args = vec![
        format!("assay.time={}", now.as_secs()),
        format!("assay.period={SAMPLE_EVERY_MS}"),
    ];
    if cell.shape == Shape::Node {
        args.push("assay.modules=node".to_owned());
    }
    Ok(args)
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

/// What is to be started, with paths of the guest.
struct Server {
    command: CommandLine,
    access: Access,
    etcd_metrics: Option<String>,
}

fn plan_server(
    cell: &Cell,
    machine: &Machine,
    binaries: &BTreeMap<&'static str, PathBuf>,
) -> Result<Server> {
    let spec = ServerSpec {
        datastore: cell.datastore,
        shape: cell.shape,
        env: &cell.env,
        data_dir: Path::new(DATA_DIR),
        address: IpAddr::V4(machine.network().guest()),
        private_network: true,
        binaries,
    };
    let mut command = cell.distribution.server(&spec);
    if cell.distribution.name() == "etcd" {
        // etcd 3.4 refuses to start on ARM64 without it.
        command
            .env
            .push(("ETCD_UNSUPPORTED_ARCH".to_owned(), "arm64".to_owned()));
    }
    Ok(Server {
        access: cell.distribution.access(&spec),
        etcd_metrics: cell.distribution.etcd_metrics(&spec),
        command,
    })
}

async fn server_to_spawn(control: &Control, cell: &Cell, command: &CommandLine) -> Result<Spawn> {
    let made = control.exec(&Exec::new(&["mkdir", "-p", DATA_DIR])).await?;
    if made.exit.code != Some(0) {
        bail!(
            "failed to make the server's folder in the guest: {}; see its console",
            text::tame(&String::from_utf8_lossy(&made.stderr))
        );
    }
    let program = command.program.display().to_string();
    Ok(Spawn {
        argv: std::iter::once(program)
            .chain(command.args.iter().cloned())
            .collect(),
        env: command.env.clone(),
        folder: DATA_DIR.to_owned(),
        cgroup: Some(SERVER_CGROUP.to_owned()),
        limits: part_of_a_cpu(cell),
        log: SERVER_LOG.to_owned(),
    })
}

/// A machine has whole CPUs; where the budget does not, the server's cgroup holds the rest back.
fn part_of_a_cpu(cell: &Cell) -> Vec<(String, String)> {
    cell.budget
        .cpu_milli
        .filter(|milli| !milli.is_multiple_of(1000))
        .map(|milli| ("cpu.max".to_owned(), format!("{} 100000", milli * 100)))
        .into_iter()
        .collect()
}
