//! The ways between the nodes of a cell: that there are any, those to each other's pods, and their cutting.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    EndpointIpamConfig, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest,
};

use super::agents::{AgentMember, pods};
use crate::engine;
use crate::target::{ExecOutput, Link, ProvisionError};

/// How long the engine may take to run a small program in a container that has just started.
const WITHIN: Duration = Duration::from_secs(60);

/// The nodes of a cell, on their network.
pub(super) struct Nodes<'a> {
    pub docker: &'a Docker,
    pub network: &'a str,
    /// The server's container.
    pub server: &'a str,
    pub address: Ipv4Addr,
    pub agents: &'a [AgentMember],
}

impl Nodes<'_> {
    /// Tells every node the way to the others' pods, which flannel would do otherwise.
    ///
    /// # Errors
    /// When an agent does not reach its server, or a route is refused.
    pub async fn route(&self) -> Result<(), ProvisionError> {
        for agent in self.agents {
            // An engine that was told to leave the host's packet filter alone opens it for nobody, and another engine
            // on the same host may have closed it. Agents would then wait in vain.
            if !self.reaches(agent).await? {
                return Err(ProvisionError::Unavailable(CLOSED.to_owned()));
            }
        }
        Ok(self.tell_ways().await?)
    }

    async fn tell_ways(&self) -> Result<()> {
        let agents = self.agents.iter();
        let others = agents.map(|agent| (agent.container.id(), agent.address));
        let nodes: Vec<_> = std::iter::once((self.server, self.address))
            .chain(others)
            .collect();
        for (nth, (_, via)) in (0_u8..).zip(&nodes) {
            for (container, own) in &nodes {
                if own != via {
                    add_route(self.docker, container, &pods(nth), &via.to_string()).await?;
                }
            }
        }
        Ok(())
    }

    async fn reaches(&self, agent: &AgentMember) -> Result<bool> {
        let server = self.address.to_string();
        let argv = ["/bin/busybox", "ping", "-c", "3", "-W", "2", &server];
        Ok(run(self.docker, agent.container.id(), &argv).await?.code == 0)
    }

    /// Takes an agent's container off the network, or puts it back at its address.
    ///
    /// # Errors
    /// When there is no such agent, the engine refuses, or the agent reaches its server against what was asked.
    pub async fn set_link(&self, name: &str, link: Link) -> Result<()> {
        let mut agents = self.agents.iter();
        let agent = agents
            .find(|agent| agent.name == name)
            .with_context(|| format!("failed to find an agent {name}"))?;
        let container = agent.container.id().to_owned();
        match link {
            Link::Down => {
                let request = NetworkDisconnectRequest {
                    container,
                    force: None,
                };
                let cut = self.docker.disconnect_network(self.network, request).await;
                cut.with_context(|| format!("failed to cut {name} off"))?;
            }
            Link::Up => {
                let request = NetworkConnectRequest {
                    container,
                    endpoint_config: Some(EndpointSettings {
                        ipam_config: Some(EndpointIpamConfig {
                            ipv4_address: Some(agent.address.to_string()),
                            ..EndpointIpamConfig::default()
                        }),
                        ..EndpointSettings::default()
                    }),
                };
                let mended = self.docker.connect_network(self.network, request).await;
                mended.with_context(|| format!("failed to connect {name} again"))?;
                // They went with its interface.
                self.tell_ways().await?;
            }
        }
        let up = self.reaches(agent).await?;
        ensure!(
            up == (link == Link::Up),
            "failed to set the link of {name} to {link:?}: its server {} from there",
            if up { "answers" } else { "does not answer" }
        );
        Ok(())
    }
}

const CLOSED: &str = "this host's packet filter drops what one container sends to another on the same network; let \
                      the engine open it (no --iptables=false), or accept it in the chain FORWARD \
                      (`iptables -S FORWARD`)";

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
    engine::exec(docker, container, argv, WITHIN).await
}
