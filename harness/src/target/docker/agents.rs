//! Agents of a cell: further containers of the server's image, on its network and with its rights, that join it.
//!
//! Each has a budget of its own, as large as the server's. They are started right after the server and wait for it
//! by themselves, as agents on devices do.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use testcontainers::ContainerAsync;
use testcontainers::bollard::models::ContainerInspectResponse;
use tokio::sync::watch;

use super::container::{Plan, ServerImage};
use super::member::Member;
use super::watch::LastSeen;
use super::{node, parts};
use crate::cell::{Cell, Shape};
use crate::cgroup::{self, Cgroup};
use crate::distribution::{AgentSpec, CommandLine};
use crate::engine::Engine;
use crate::target::native::Holdings;
use crate::target::{Agent, Exit, ProvisionError};

/// The server's container, and the node in it.
pub(in crate::target) const SERVER_NAME: &str = "assay";

/// An agent in its container.
pub(super) struct AgentMember {
    pub name: String,
    pub address: Ipv4Addr,
    pub container: ContainerAsync<ServerImage>,
    cgroup: Cgroup,
    ended: watch::Receiver<Option<Exit>>,
    seen: LastSeen,
    log: PathBuf,
}

impl AgentMember {
    pub fn told(&self) -> Agent {
        let (limits, counters) = self.seen.refresh(&self.cgroup);
        Agent {
            name: self.name.clone(),
            address: IpAddr::V4(self.address),
            log: self.log.clone(),
            ended: self.ended.borrow().clone(),
            memory_limit_bytes: limits.memory_bytes,
            machine: false,
            peak_bytes: counters.peak_bytes,
            oom_kills: counters.oom_kills,
        }
    }
}

/// What all agents of a cell have in common.
pub(super) struct Joining<'a> {
    pub engine: &'a Engine,
    pub hierarchy: &'a cgroup::Hierarchy,
    pub cell: &'a Cell,
    /// The server's plan.
    pub server: &'a Plan,
    pub address: Ipv4Addr,
    pub token: &'a str,
    pub binaries: &'a std::collections::BTreeMap<&'static str, PathBuf>,
}

/// A secret that nobody else knows, so that nobody else joins.
pub(in crate::target) fn token() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// The agents' subnet of pods. The server's node has the first, whatever its name's place in the alphabet.
pub(in crate::target) fn pods(nth: u8) -> String {
    format!("10.42.{nth}.0/24")
}

/// Starts the cell's agents.
pub(super) async fn join(
    joining: &Joining<'_>,
    holdings: &mut Holdings,
) -> Result<Vec<AgentMember>, ProvisionError> {
    let mut agents = Vec::new();
    for nth in 1..=joining.cell.agents {
        agents.push(one(joining, nth, holdings).await?);
    }
    Ok(agents)
}

async fn one(
    joining: &Joining<'_>,
    nth: u8,
    holdings: &mut Holdings,
) -> Result<AgentMember, ProvisionError> {
    let cell = joining.cell;
    let name = format!("{SERVER_NAME}-agent-{nth}");
    // Beneath the cell's folder, which is in the ledger.
    let place = cell.work.join(format!("agent{nth}"));
    let furnished = tokio::task::spawn_blocking({
        let (place, shape) = (place.clone(), cell.shape);
        move || parts::furnish_place(&place, shape)
    });
    let data_dir = furnished.await.context("failed to furnish an agent")??;
    let spec = AgentSpec {
        name: &name,
        env: &cell.env,
        server: IpAddr::V4(joining.address),
        // The engine's choice, and its only one.
        address: None,
        token: joining.token,
        data_dir: &data_dir,
        binaries: joining.binaries,
    };
    let mut command = cell.distribution.agent(&spec).with_context(|| {
        format!(
            "failed to make agents: {} has none",
            cell.distribution.name()
        )
    })?;
    if cell.shape == Shape::Node {
        command.env.push((node::PODS.to_owned(), pods(nth)));
    }
    let plan = plan(joining, nth, &name, command, data_dir, &place);
    let log = cell.logs.join(format!("agent-{nth}.log"));
    let running = Member::run(
        joining.engine,
        joining.hierarchy,
        &plan,
        &log,
        "an agent",
        holdings,
    );
    let member = running.await?;
    let address = address_of(&member.found, &plan.network)?;
    let (ended, seen) = member.watch(joining.engine, log.clone());
    Ok(AgentMember {
        name,
        address,
        container: member.container,
        cgroup: member.cgroup,
        ended,
        seen,
        log,
    })
}

fn plan(
    joining: &Joining<'_>,
    nth: u8,
    name: &str,
    command: CommandLine,
    data_dir: PathBuf,
    place: &std::path::Path,
) -> Plan {
    let server = joining.server;
    // What lies over the image's own files is the same for all; the server's folders are the server's.
    let own = parts::volumes(&joining.cell.work, joining.cell.shape);
    let shared = server.volumes.iter().filter(|volume| !own.contains(volume));
    let mut plan = server.clone();
    plan.held.name = format!("{}-agent{nth}", server.held.name);
    plan.hostname = name.to_owned();
    plan.volumes = parts::volumes(place, joining.cell.shape)
        .into_iter()
        .chain(shared.cloned())
        .collect();
    plan.command = command;
    plan.data_dir = data_dir;
    plan.published = Vec::new();
    plan
}

/// The address that the engine gave a container on a network.
pub(super) fn address_of(found: &ContainerInspectResponse, network: &str) -> Result<Ipv4Addr> {
    let networks = found
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref());
    let endpoint = networks.and_then(|networks| networks.get(network));
    let address = endpoint.and_then(|endpoint| endpoint.ip_address.clone());
    address
        .unwrap_or_default()
        .to_string()
        .parse()
        .map_err(|_| anyhow!("failed to learn a container's address; look at the engine's log"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_nodes_share_a_subnet_of_pods() {
        assert!(
            node::CNI.contains(&pods(0)),
            "the server's node has {}",
            pods(0)
        );
        assert_ne!(pods(1), pods(2));
    }

    #[test]
    fn two_secrets_differ() {
        assert_ne!(token(), token());
        assert!(token().len() >= 32);
    }

    #[test]
    fn an_address_that_the_engine_does_not_tell_is_an_error() {
        let error = address_of(&ContainerInspectResponse::default(), "n").unwrap_err();
        assert!(error.to_string().contains("address"));
    }
}
