//! Provisioning a container: image, network, container, and the finding of its cgroup.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use testcontainers::ContainerAsync;
use testcontainers::bollard::query_parameters::InspectContainerOptions;

use super::DockerArgs;
use super::cluster::{About, DockerCluster};
use super::container::{Plan, ServerImage};
use super::image::{self, ServerFiles};
use super::parts::{make_folders, volumes};
use super::reach::{self, Published, Reach};
use super::start::{identity, start};
use super::watch::{LastSeen, Watched, watch};
use crate::cell::{Cell, Shape};
use crate::cgroup::{self, Cgroup};
use crate::distribution::ServerSpec;
use crate::engine::{self, Engine, Held, Privilege, What};
use crate::scope::{Resource, Scope, start_ticks};
use crate::target::native::Holdings;
use crate::target::{Cluster, ProvisionError};

pub(super) async fn provision(
    args: &DockerArgs,
    cell: &Cell,
    scope: &Scope,
) -> Result<Box<dyn Cluster>, ProvisionError> {
    let engine = Engine::connect()
        .await
        .map_err(ProvisionError::Unavailable)?;
    let hierarchy = cgroup::probe()
        .usable
        .map_err(ProvisionError::Unavailable)?;
    may_hold(&engine, args, cell.shape).map_err(ProvisionError::Unavailable)?;
    let mut holdings = Holdings::new(scope);
    match launch(&engine, args, &hierarchy, cell, scope, &mut holdings).await {
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
fn may_hold(engine: &Engine, args: &DockerArgs, shape: Shape) -> Result<(), String> {
    let root = rustix::process::geteuid().is_root();
    if shape == Shape::Node && !root && !engine.rootless {
        return Err(
            "a whole node writes files as root, which this user could not remove again; run as root, or use the \
             shape control-plane"
                .to_owned(),
        );
    }
    if shape == Shape::Node && args.docker_image.is_some() {
        return Err(
            "a whole node needs an image that assay builds, with its network plugins; leave --docker-image out"
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
    args: &DockerArgs,
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
    let image = match &args.docker_image {
        Some(given) => image::given(engine, given, cell).await?,
        None => image::build(engine, cell, &image, holdings).await?,
    };
    let binaries = &image.binaries;

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
        binaries,
    };
    let command = cell.distribution.server(&spec);
    let mut access = cell.distribution.access(&spec);
    let mut etcd_metrics = cell.distribution.etcd_metrics(&spec);
    let published = match Reach::of(engine, args.docker_reach) {
        Reach::Bridge => Vec::new(),
        Reach::Published => reach::ports(&access, etcd_metrics.as_deref()),
    };

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
        volumes: volumes(cell)
            .into_iter()
            .chain(image.fresh.clone())
            .collect(),
        shape: cell.shape,
        published,
        private_cgroups: Path::new("/proc/self/ns/cgroup").exists(),
    };
    holdings.enter(Resource::Engine(plan.held.clone()))?;
    let asked = Instant::now();
    let (container, privilege) = start(&plan).await?;
    let found = engine
        .docker
        .inspect_container(container.id(), None::<InspectContainerOptions>)
        .await
        .context("failed to ask the engine for the container")?;
    if !plan.published.is_empty() {
        let published = Published::read(&found);
        access = published.access(access)?;
        etcd_metrics = etcd_metrics.map(|url| published.url(&url)).transpose()?;
    }
    let (pid, at) = identity(found, asked)?;
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
        access,
        etcd_metrics,
        command,
        data_dir,
        log: cell.logs.join("server.log"),
        budget: cell.budget.clone(),
        facts: facts(engine, &image, &privilege),
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

fn facts(engine: &Engine, image: &ServerFiles, privilege: &Privilege) -> Vec<(String, String)> {
    let kind = if engine.podman { "Podman" } else { "Docker" };
    let rootless = if engine.rootless { ", rootless" } else { "" };
    let cold = if image.cold {
        "read from disk, and charged to the cell"
    } else {
        "perhaps in the page cache before, and then missing in usage and peak"
    };
    [
        (
            "container engine",
            format!("{kind} {}{rootless}", engine.version),
        ),
        ("container image", image.origin.clone()),
        ("container rights", privilege.to_string()),
        ("pages of the server's program", cold.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}
