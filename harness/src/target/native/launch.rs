//! Provisioning: everything from the work folder to the server's first instruction.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::cluster::NativeCluster;
use super::holdings::Holdings;
use super::link::Keeper;
use super::protocol::{Disk, Go, Order, Setup, Told, monotonic_ns};
use super::{disk, own_pages, preflight};
use crate::cell::Cell;
use crate::cgroup::{self, Cgroup};
use crate::distribution::ServerSpec;
use crate::net::{LinkName, Subnet};
use crate::scope::{Resource, Scope, start_ticks};
use crate::target::common::make_work_folder;
use crate::target::{Cluster, ProvisionError};

pub(super) async fn provision(
    helper: &Path,
    cell: &Cell,
    scope: &Scope,
) -> Result<Box<dyn Cluster>, ProvisionError> {
    let mut holdings = Holdings::new(scope);
    match launch(helper, cell, &mut holdings, scope).await {
        Ok(started) => {
            let kept = cell.keep.then(|| cell.work.clone());
            Ok(Box::new(NativeCluster::new(started, cell, holdings, kept)))
        }
        Err(error) => {
            // The keeper has gone with its pipes, which `launch` dropped; what it leaves is removed here.
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

/// A server that was executed, and all that is known of it.
pub(super) struct Started {
    pub keeper: Keeper,
    pub pid: i32,
    pub at: Instant,
    pub cgroup: Result<Cgroup, String>,
    pub access: crate::distribution::Access,
    pub command: crate::distribution::CommandLine,
    pub data_dir: std::path::PathBuf,
    pub etcd_metrics: Option<String>,
    pub datastore: Option<crate::distribution::DatastoreAccess>,
    /// This host's address as the server reaches it.
    pub host: Ipv4Addr,
    pub log: std::path::PathBuf,
    /// How it was started, to start it again.
    pub go: Go,
    pub disk: Option<Disk>,
}

async fn launch(
    helper: &Path,
    cell: &Cell,
    holdings: &mut Holdings,
    scope: &Scope,
) -> Result<Started> {
    let id = uuid::Uuid::new_v4().as_fields().0;
    let data_dir = make_folders(cell, holdings, scope)?;
    let cgroup = make_cgroup(cell, id, holdings);
    let root = rustix::process::geteuid().is_root();
    let disk = make_disk(cell, &data_dir, holdings).await?;
    let mut setup = Setup {
        private: root,
        work: cell.work.clone(),
        disk: disk.clone(),
    };
    let mut keeper = Keeper::start(helper, &setup).await?;
    if root && let Some(reason) = keeper.refusal.take() {
        ensure!(
            disk.is_none(),
            "failed to give the cell a disk of its own: {reason}; run as root on a host that allows namespaces"
        );
        // Without namespaces the cell shares the host's network; the evidence does not depend on that.
        setup.private = false;
        keeper = Keeper::start(helper, &setup).await?;
        keeper.refusal = Some(reason);
    }
    let private = root && keeper.refusal.is_none();
    holdings.enter(process(keeper.pid, "assay's keeper of a cell"))?;
    let subnet = if private {
        Some(connect(id, keeper.pid, holdings).await?)
    } else {
        None
    };
    let address = IpAddr::V4(subnet.map_or(Ipv4Addr::LOCALHOST, Subnet::cell));
    // Also of those that its server starts in turn.
    let binaries = own_pages::claim_all(&cell.binaries, &cell.work)?;
    let spec = ServerSpec {
        datastore: cell.datastore,
        shape: cell.shape,
        env: &cell.env,
        data_dir: &data_dir,
        address,
        private_network: private,
        node_address: None,
        token: None,
        binaries: &binaries,
    };
    let command = cell.distribution.server(&spec);
    // A disk is mounted where only the keeper and what it starts see it; the way there is through the keeper.
    let seen = match &disk {
        Some(_) => through(keeper.pid, &data_dir),
        None => data_dir.clone(),
    };
    let outside = ServerSpec {
        data_dir: &seen,
        ..spec.clone()
    };
    let access = cell.distribution.access(&outside);
    let etcd_metrics = cell.distribution.etcd_metrics(&spec);
    let datastore = cell.distribution.datastore(&outside);
    let program = own_pages::claim(&preflight::check(&command.program)?, &cell.work)?;
    let log = cell.logs.join("server.log");
    let go = Go {
        subnet,
        private,
        entrances: cgroup.as_ref().map(Cgroup::entrances).unwrap_or_default(),
        ..Go::new(&command, program, cell.work.clone(), log.clone())
    };
    keeper.order(&Order::Go(Box::new(go.clone()))).await?;
    let (pid, at) = match keeper.hear().await? {
        Told::Executed { pid, monotonic_ns } => (pid, instant_of(monotonic_ns)),
        Told::Failed { reason } => bail!("failed to {reason}"),
        other => {
            bail!("failed to start the server: the keeper said {other:?}; report this as a bug")
        }
    };
    holdings.enter(process(pid, "the server of a cell"))?;
    Ok(Started {
        keeper,
        pid,
        at,
        cgroup,
        access,
        command,
        data_dir: seen,
        etcd_metrics,
        datastore,
        host: subnet.map_or(Ipv4Addr::LOCALHOST, Subnet::host),
        log,
        go,
        disk,
    })
}

fn make_folders(cell: &Cell, holdings: &mut Holdings, scope: &Scope) -> Result<std::path::PathBuf> {
    make_work_folder(cell, scope, holdings)?;
    let data_dir = cell.work.join("data");
    for folder in [&data_dir, &cell.work.join("home"), &cell.work.join("tmp")] {
        fs_err::create_dir_all(folder).context("failed to make the work folder; free some disk")?;
    }
    Ok(data_dir)
}

/// Makes the disk's image, if the cell is to have one. Its device is in the ledger before the keeper is, so that it is
/// looked for after the keeper has gone.
async fn make_disk(cell: &Cell, data_dir: &Path, holdings: &mut Holdings) -> Result<Option<Disk>> {
    let Some(bytes) = cell.disk else {
        return Ok(None);
    };
    ensure!(
        rustix::process::geteuid().is_root(),
        "failed to give the cell a disk of its own: that needs root; run as root"
    );
    let image = cell.work.join("disk.img");
    holdings.enter(Resource::Loop {
        image: image.clone(),
    })?;
    let making = image.clone();
    tokio::task::spawn_blocking(move || disk::make(&making, bytes))
        .await
        .map_err(|error| anyhow!("failed to make a disk ({error})"))??;
    let at = data_dir.to_owned();
    Ok(Some(Disk { image, at }))
}

/// A path as a process sees it that has another mount namespace.
fn through(pid: i32, path: &Path) -> std::path::PathBuf {
    let root = Path::new("/proc").join(pid.to_string()).join("root");
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The cell's cgroup, or why there is none.
fn make_cgroup(cell: &Cell, id: u32, holdings: &mut Holdings) -> Result<Cgroup, String> {
    let hierarchy = cgroup::probe().usable?;
    let cgroup = Cgroup::plan(&hierarchy, &format!("{id:08x}"));
    let made = cgroup
        .folders()
        .into_iter()
        .try_for_each(|path| holdings.enter(Resource::Cgroup { path }))
        .map_err(|error| format!("{error:#}"))
        .and_then(|()| cgroup.create(&cell.budget).map_err(|refused| refused.0));
    match made {
        Ok(()) => Ok(cgroup),
        Err(reason) => {
            holdings.release_cgroups();
            Err(reason)
        }
    }
}

async fn connect(id: u32, peer: i32, holdings: &mut Holdings) -> Result<Subnet> {
    let link = LinkName::new(id);
    holdings.enter(Resource::Interface { name: link.name() })?;
    tokio::task::spawn_blocking(move || crate::net::connect(link, peer.cast_unsigned()))
        .await
        .map_err(|error| anyhow!("failed to make the private network ({error})"))?
}

/// A process that just started as our child's child or child, so that its pid is its own until it is reaped.
pub(super) fn process(pid: i32, what: &str) -> Resource {
    Resource::Process {
        pid,
        // 0 is nobody's start time on a running system: if it has gone already, nothing will be signalled.
        start_ticks: start_ticks(pid).unwrap_or(0),
        what: what.to_owned(),
    }
}

pub(super) fn instant_of(monotonic: i64) -> Instant {
    let ago = u64::try_from(monotonic_ns() - monotonic).unwrap_or(0);
    let now = Instant::now();
    now.checked_sub(Duration::from_nanos(ago)).unwrap_or(now)
}
