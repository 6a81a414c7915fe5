//! Provisioning a container: image, network, container, and the finding of its cgroup.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use testcontainers::ContainerAsync;
use testcontainers::bollard::query_parameters::InspectContainerOptions;

use super::cluster::{About, DockerCluster};
use super::container::{self, Plan, ServerImage};
use super::parts::{furnished, make_folders, volumes};
use super::watch::{LastSeen, Watched, watch};
use crate::cell::{Cell, Shape};
use crate::cgroup::{self, Cgroup};
use crate::distribution::ServerSpec;
use crate::engine::{self, Engine, Held, Privilege, What};
use crate::scope::{Resource, Scope, start_ticks};
use crate::target::native::{Holdings, forget_cached};
use crate::target::{Cluster, ProvisionError};

pub(super) async fn provision(
    cell: &Cell,
    scope: &Scope,
) -> Result<Box<dyn Cluster>, ProvisionError> {
    let engine = Engine::connect()
        .await
        .map_err(ProvisionError::Unavailable)?;
    let hierarchy = cgroup::probe()
        .usable
        .map_err(ProvisionError::Unavailable)?;
    may_hold(&engine, cell.shape).map_err(ProvisionError::Unavailable)?;
    let mut holdings = Holdings::new(scope);
    match launch(&engine, &hierarchy, cell, scope, &mut holdings).await {
        Ok(started) => Ok(Box::new(started.into_cluster(&engine, cell, holdings))),
        Err(error) => {
            let stayed = tokio::task::spawn_blocking(|| holdings.release())
                .await
                .unwrap_or_default();
            Err(match (error, stayed.as_slice()) {
                (error, []) => error,
                (error, _) => {
                    let stayed = stayed.join("; ");
                    ProvisionError::Failed(anyhow!("{error}; leftovers remain: {stayed}"))
                }
            })
        }
    }
}

/// A node's programs run as root; what they write is root's, and only root can remove it.
fn may_hold(engine: &Engine, shape: Shape) -> Result<(), String> {
    let root = rustix::process::geteuid().is_root();
    if shape == Shape::Node && !root && !engine.rootless {
        return Err(
            "a whole node writes files as root, which this user could not remove again; run as root, or use the \
             shape control-plane"
                .to_owned(),
        );
    }
    if shape == Shape::Node && engine.rootless {
        return Err(
            "a whole node in a rootless engine is not supported; run as root with the system's engine, or use the \
             shape control-plane"
                .to_owned(),
        );
    }
    Ok(())
}

/// A container that runs, and all that is known of it.
struct Started {
    about: About,
    container: ContainerAsync<ServerImage>,
}

impl Started {
    fn into_cluster(self, engine: &Engine, cell: &Cell, holdings: Holdings) -> DockerCluster {
        let Self { about, container } = self;
        let seen = LastSeen::default();
        seen.refresh(&about.cgroup);
        let log = tokio::spawn({
            let (docker, id, into) = (
                engine.docker.clone(),
                container.id().to_owned(),
                about.log.clone(),
            );
            async move {
                // A torn log is evidence all the same, and its end says so.
                if let Err(error) = engine::follow(&docker, &id, &into).await {
                    let words = format!("\nassay: the rest of this log is missing: {error:#}\n");
                    let file = std::fs::File::options().append(true).open(&into);
                    let _ = file.and_then(|mut file| {
                        std::io::Write::write_all(&mut file, words.as_bytes())
                    });
                }
            }
        });
        let ended = watch(Watched {
            docker: engine.docker.clone(),
            container: container.id().to_owned(),
            pid: about.pid,
            cgroup: about.cgroup.clone(),
            seen: seen.clone(),
            log,
        });
        DockerCluster {
            about,
            docker: engine.docker.clone(),
            container,
            ended,
            seen,
            holdings,
            stayed: AtomicBool::new(true),
            kept: cell.keep.then(|| cell.work.clone()),
        }
    }
}

async fn launch(
    engine: &Engine,
    hierarchy: &cgroup::Hierarchy,
    cell: &Cell,
    scope: &Scope,
    holdings: &mut Holdings,
) -> Result<Started, ProvisionError> {
    let id = uuid::Uuid::new_v4().as_fields().0;
    let held = |what, name: String| Held {
        what,
        engine: engine.address.clone(),
        name,
        run: scope.run().to_owned(),
    };
    let data_dir = make_folders(cell, scope, holdings)?;

    let image = held(
        What::Image,
        format!("assay/{}:{id:08x}", cell.distribution.name()),
    );
    let (content, binaries) = tokio::task::spawn_blocking({
        let cell = cell.clone();
        move || furnished(&cell)
    })
    .await
    .context("failed to pack an image")??;
    holdings.enter(Resource::Engine(image.clone()))?;
    let image_id = engine::load(engine, &image, content, &cell.work).await?;
    forget_image(engine, &image, &binaries).await;

    let network = held(What::Network, format!("assay-{id:08x}"));
    holdings.enter(Resource::Engine(network.clone()))?;
    let subnet = engine::make_network(engine, &network, id).await?;
    let spec = ServerSpec {
        datastore: cell.datastore,
        shape: cell.shape,
        env: &cell.env,
        data_dir: &data_dir,
        address: IpAddr::V4(subnet.cell()),
        private_network: true,
        binaries: &binaries,
    };
    let command = cell.distribution.server(&spec);

    let root = rustix::process::geteuid().is_root();
    let plan = Plan {
        held: held(What::Container, format!("assay-{id:08x}")),
        image: image.name.clone(),
        network: network.name.clone(),
        command: command.clone(),
        data_dir: data_dir.clone(),
        budget: cell.budget.clone(),
        // The server's files shall be ours to read and to remove; a rootless engine's root is this user already.
        user: (!root && !engine.rootless).then(user),
        volumes: volumes(cell),
        shape: cell.shape,
        private_cgroups: Path::new("/proc/self/ns/cgroup").exists(),
    };
    holdings.enter(Resource::Engine(plan.held.clone()))?;
    let asked = Instant::now();
    let (container, privilege) = start(&plan, cell).await?;
    let (pid, at) = identity(engine, &container, asked).await?;
    holdings.enter(Resource::Process {
        pid,
        start_ticks: start_ticks(pid).unwrap_or(0),
        what: "the server of a cell, in a container".to_owned(),
    })?;
    let belongs = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let cgroup = Cgroup::of_container(hierarchy, &belongs, container.id());
    let about = About {
        pid,
        at,
        cgroup: cgroup.map_err(ProvisionError::Unavailable)?,
        access: cell.distribution.access(&spec),
        etcd_metrics: cell.distribution.etcd_metrics(&spec),
        command,
        data_dir,
        log: cell.logs.join("server.log"),
        budget: cell.budget.clone(),
        facts: facts(engine, &image_id, &privilege),
    };
    Ok(Started { about, container })
}

fn user() -> String {
    format!(
        "{}:{}",
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw()
    )
}

fn facts(engine: &Engine, image: &str, privilege: &Privilege) -> Vec<(String, String)> {
    let kind = if engine.podman { "Podman" } else { "Docker" };
    let rootless = if engine.rootless { ", rootless" } else { "" };
    [
        (
            "container engine",
            format!("{kind} {}{rootless}", engine.version),
        ),
        ("container image", format!("built by assay, {image}")),
        ("container rights", privilege.to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}

/// Drops the binaries' pages, which the engine has just written, from the page cache, so that the cell pays for what
/// it maps as it does on `native`. Only where the engine tells where the layer lies (overlay2), and root may look.
async fn forget_image(engine: &Engine, image: &Held, binaries: &BTreeMap<&'static str, PathBuf>) {
    let Ok(found) = engine.docker.inspect_image(&image.name).await else {
        return;
    };
    let layer = found
        .graph_driver
        .and_then(|driver| driver.data.get("UpperDir").map(PathBuf::from));
    if let Some(layer) = layer {
        for path in binaries.values() {
            forget_cached(&layer.join(path.strip_prefix("/").unwrap_or(path)));
        }
    }
}

/// Starts the container with the first of its shape's rights that the engine grants.
async fn start(
    plan: &Plan,
    cell: &Cell,
) -> Result<(ContainerAsync<ServerImage>, Privilege), ProvisionError> {
    let mut refusals = Vec::new();
    for privilege in Privilege::choices(cell.shape) {
        match container::start(plan, &privilege).await {
            Ok(container) => return Ok((container, privilege)),
            Err(error) => {
                let words = words(&error);
                let rights = privilege.was_refused(&words);
                refusals.push(format!("with {privilege}: {words}"));
                if !rights {
                    break;
                }
                // It was made but not started. The name must be free for the next try, and stays in the ledger.
                let held = plan.held.clone();
                tokio::task::spawn_blocking(move || engine::remove(&held))
                    .await
                    .context("failed to remove a refused container")?
                    .map_err(|reason| anyhow!("failed to remove a refused container: {reason}"))?;
            }
        }
    }
    Err(anyhow!(
        "failed to start the container; the engine says: {}",
        crate::text::tame(&refusals.join("; "))
    )
    .into())
}

/// An error with its sources: testcontainers keeps the engine's own words in them.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        source = inner.source();
    }
    words
}

/// The pid of the container's first process and the moment at which it was started, as the engine tells it.
async fn identity(
    engine: &Engine,
    container: &ContainerAsync<ServerImage>,
    asked: Instant,
) -> Result<(i32, Instant)> {
    let found = engine
        .docker
        .inspect_container(container.id(), None::<InspectContainerOptions>)
        .await
        .context("failed to ask the engine for the container")?;
    let state = found.state.unwrap_or_default();
    let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else {
        bail!(
            "failed to keep the container running: it ended at once with status {}; look at its log",
            state.exit_code.unwrap_or(-1)
        );
    };
    let now = Instant::now();
    let ago = state
        .started_at
        .and_then(|text| text.to_string().parse::<jiff::Timestamp>().ok())
        .map(|at| jiff::Timestamp::now().duration_since(at))
        .and_then(|ago| Duration::try_from(ago).ok())
        .unwrap_or_default();
    // Between asking for it and now, whatever a clock that was set meanwhile says.
    let at = now.checked_sub(ago).unwrap_or(now).max(asked);
    Ok((pid, at))
}
