//! Provisioning a container: image, network, container, and the finding of its cgroup.

use std::net::IpAddr;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use anyhow::{Result, anyhow};

use super::DockerArgs;
use super::agents::{self, AgentMember, Joining};
use super::cluster::{About, DockerCluster};
use super::container::Plan;
use super::image::{self, ServerFiles};
use super::member::Member;
use super::parts::{make_folders, volumes};
use super::reach::{self, Published, Reach};
use super::routes::Nodes;
use crate::cell::{Cell, Shape};
use crate::cgroup;
use crate::distribution::ServerSpec;
use crate::engine::{self, Engine, Held, Privilege, What};
use crate::scope::{Resource, Scope};
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

/// The server's container and its agents', and all that is known of them.
struct Started {
    about: About,
    server: Member,
    agents: Vec<AgentMember>,
}

impl Started {
    fn into_cluster(self, engine: &Engine, cell: &Cell, holdings: Holdings) -> DockerCluster {
        let Self {
            about,
            server,
            agents,
        } = self;
        let (ended, seen) = server.watch(engine, about.log.clone());
        DockerCluster {
            about,
            docker: engine.docker.clone(),
            container: server.container,
            agents,
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
    if cell.shape == Shape::Node {
        // A kubelet changes settings of the whole host. Entered before the container, so set back after it is gone.
        for setting in crate::scope::before_a_kubelet() {
            holdings.enter(setting)?;
        }
    }

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
    let subnet = engine::make_network(engine, &network, id, cell.agents.saturating_add(1)).await?;
    let token = (cell.agents > 0).then(agents::token);
    let spec = ServerSpec {
        datastore: cell.datastore,
        shape: cell.shape,
        env: &cell.env,
        data_dir: &data_dir,
        address: IpAddr::V4(subnet.cell()),
        private_network: true,
        node_address: None,
        token: token.as_deref(),
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
        // Not the container's id, which would be the node's name and change with every container.
        hostname: agents::SERVER_NAME.to_owned(),
        command: command.clone(),
        data_dir: data_dir.clone(),
        budget: cell.budget.clone(),
        // The server's files shall be ours to read and to remove; a rootless engine's root is this user already.
        user: (!root && !engine.rootless).then(user),
        volumes: volumes(&cell.work, cell.shape)
            .into_iter()
            .chain(image.fresh.clone())
            .collect(),
        shape: cell.shape,
        published,
        ulimits: engine::ulimits(engine),
        private_cgroups: Path::new("/proc/self/ns/cgroup").exists(),
    };
    let log = cell.logs.join("server.log");
    let server = Member::run(engine, hierarchy, &plan, &log, "the server", holdings).await?;
    if !plan.published.is_empty() {
        let published = Published::read(&server.found);
        access = published.access(access)?;
        etcd_metrics = etcd_metrics.map(|url| published.url(&url)).transpose()?;
    }
    let mut agents = Vec::new();
    if let Some(token) = &token {
        let address = agents::address_of(&server.found, &network.name)?;
        ensure_told(address, subnet.cell())?;
        let joining = Joining {
            engine,
            hierarchy,
            cell,
            server: &plan,
            address,
            token,
            binaries,
        };
        agents = agents::join(&joining, holdings).await?;
        if cell.shape == Shape::Node {
            let nodes = Nodes {
                docker: &engine.docker,
                network: &network.name,
                server: server.container.id(),
                address,
                agents: &agents,
            };
            nodes.route().await?;
        }
    }
    let about = About {
        pid: server.pid,
        at: server.at,
        cgroup: server.cgroup.clone(),
        network: network.name,
        address: subnet.cell(),
        access,
        etcd_metrics,
        command,
        data_dir,
        log,
        budget: cell.budget.clone(),
        facts: facts(engine, cell, &image, &server.privilege),
    };
    Ok(Started {
        about,
        server,
        agents,
    })
}

/// The address of the server is in its certificate and in its agents' arguments before the engine gives it.
fn ensure_told(address: std::net::Ipv4Addr, told: std::net::Ipv4Addr) -> Result<()> {
    anyhow::ensure!(
        address == told,
        "failed to give the server the address {told}: the engine gave it {address}"
    );
    Ok(())
}

fn user() -> String {
    format!(
        "{}:{}",
        rustix::process::geteuid().as_raw(),
        rustix::process::getegid().as_raw()
    )
}

fn facts(
    engine: &Engine,
    cell: &Cell,
    image: &ServerFiles,
    privilege: &Privilege,
) -> Vec<(String, String)> {
    let kind = if engine.podman { "Podman" } else { "Docker" };
    let rootless = if engine.rootless { ", rootless" } else { "" };
    let cold = if image.cold {
        "read from disk, and charged to the cell"
    } else {
        "perhaps in the page cache before, and then missing in usage and peak"
    };
    let agents = (cell.agents > 0).then(|| {
        let words = format!(
            "{}, each a container with the budget {} of its own; usage and peak are the server's alone, which pays for the program's pages",
            cell.agents, cell.budget.name
        );
        ("agents", words)
    });
    [
        (
            "container engine",
            format!("{kind} {}{rootless}", engine.version),
        ),
        ("container image", image.origin.clone()),
        ("container rights", privilege.to_string()),
        ("pages of the server's program", cold.to_owned()),
    ]
    .into_iter()
    .chain(agents)
    .map(|(key, value)| (key.to_owned(), value))
    .collect()
}
