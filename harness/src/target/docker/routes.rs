//! The ways between the nodes of a cell: that there are any, and those to each other's pods.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use testcontainers::bollard::Docker;

use super::agents::{AgentMember, pods};
use crate::engine;
use crate::target::{ExecOutput, ProvisionError};

/// How long the engine may take to run a small program in a container that has just started.
const WITHIN: Duration = Duration::from_secs(60);

/// Tells every node the way to the others' pods, which flannel would do otherwise.
///
/// # Errors
/// When an agent does not reach its server, or a route is refused.
pub(super) async fn route(
    docker: &Docker,
    server: &str,
    address: Ipv4Addr,
    agents: &[AgentMember],
) -> Result<(), ProvisionError> {
    for agent in agents {
        reaches(docker, agent.container.id(), address).await?;
    }
    let others = agents
        .iter()
        .map(|agent| (agent.container.id(), agent.address));
    let nodes: Vec<_> = std::iter::once((server, address)).chain(others).collect();
    for (nth, (_, via)) in (0_u8..).zip(&nodes) {
        for (container, own) in &nodes {
            if own != via {
                add_route(docker, container, &pods(nth), &via.to_string()).await?;
            }
        }
    }
    Ok(())
}

/// An engine that was told to leave the host's packet filter alone opens it for nobody, and another engine on the same
/// host may have closed it. Agents would then wait in vain.
async fn reaches(docker: &Docker, container: &str, server: Ipv4Addr) -> Result<(), ProvisionError> {
    let server = server.to_string();
    let argv = ["/bin/busybox", "ping", "-c", "3", "-W", "2", &server];
    let pinged = run(docker, container, &argv).await?;
    if pinged.code == 0 {
        return Ok(());
    }
    Err(ProvisionError::Unavailable(
        "this host's packet filter drops what one container sends to another on the same network; let the engine open \
         it (no --iptables=false), or accept it in the chain FORWARD (`iptables -S FORWARD`)"
            .to_owned(),
    ))
}

async fn add_route(docker: &Docker, container: &str, to: &str, via: &str) -> Result<()> {
    let argv = ["/bin/ip", "route", "replace", to, "via", via];
    let added = run(docker, container, &argv).await?;
    if added.code == 0 {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&added.stderr);
    Err(anyhow!(
        "failed to add a route to {to}: {}",
        crate::text::tame(&words)
    ))
}

async fn run(docker: &Docker, container: &str, argv: &[&str]) -> Result<ExecOutput> {
    tokio::time::timeout(WITHIN, engine::exec(docker, container, argv))
        .await
        .with_context(|| format!("failed to run {} within {WITHIN:?}", argv.join(" ")))?
}
