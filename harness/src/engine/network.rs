//! A network for one cell: a bridge with a subnet of its own. An engine gives out the lowest free address, so that the
//! first container's, the server's, is known before it is made; whoever relies on it looks what it became.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{Ipam, IpamConfig, NetworkCreateRequest};

use super::{Engine, Held, LABEL};
use crate::net::{Subnet, free_subnet};

/// How many subnets are tried: another run, or another engine, may take one between choosing and making.
const TRIES: u32 = 8;

/// Makes the network, with room for so many containers. It must stand in the ledger already.
///
/// # Errors
/// When the engine refuses, or no subnet is free.
pub async fn make_network(engine: &Engine, held: &Held, start: u32, members: u8) -> Result<Subnet> {
    let prefix = Subnet::prefix_for(members);
    let mut refusal = None;
    for nth in 0..TRIES {
        let start = start.wrapping_add(nth * 257);
        let subnet = tokio::task::spawn_blocking(move || free_subnet(prefix, start))
            .await
            .context("failed to choose a subnet")??;
        let request = NetworkCreateRequest {
            name: held.name.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(HashMap::from([(LABEL.to_owned(), held.run.clone())])),
            ipam: Some(Ipam {
                config: Some(vec![IpamConfig {
                    subnet: Some(subnet.to_string()),
                    gateway: Some(subnet.host().to_string()),
                    ..IpamConfig::default()
                }]),
                ..Ipam::default()
            }),
            ..NetworkCreateRequest::default()
        };
        match engine.docker.create_network(request).await {
            Ok(_) => return Ok(subnet),
            // Its own list of subnets has what the routes do not show: networks without a container.
            Err(Error::DockerResponseServerError {
                status_code,
                message,
            }) if message.contains("overlap") || message.contains("already used") => {
                refusal = Some(format!("{message} ({status_code})"));
            }
            Err(error) => {
                return Err(error)
                    .context("failed to make a container network; look at the engine's log");
            }
        }
    }
    bail!(
        "failed to find a free /{prefix} in 198.18.0.0/15 for a container network ({}); run `assay sweep`",
        refusal.unwrap_or_default()
    )
}
