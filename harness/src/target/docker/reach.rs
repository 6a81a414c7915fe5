//! How a container is reached from here: at its own address on the engine's bridge, or through ports published on
//! loopback, where the bridge is in another network namespace (rootless engines) or on another kernel (Docker Desktop).

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;

use anyhow::{Context, Result};
use testcontainers::bollard::models::{ContainerInspectResponse, HostConfig, PortBinding};

use crate::distribution::Access;
use crate::distribution::k3s::API_PORT;
use crate::engine::Engine;
use crate::net::Subnet;

/// How containers are reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Reach {
    /// At their own address.
    Bridge,
    /// Through ports of 127.0.0.1 that the engine chooses. What forwards them costs CPU time outside the budget.
    Published,
}

impl Reach {
    /// What an engine needs, unless the user knows better.
    pub(super) fn of(engine: &Engine, chosen: Option<Self>) -> Self {
        chosen.unwrap_or(if engine.rootless {
            Self::Published
        } else {
            Self::Bridge
        })
    }

    /// This host's address on the containers' network: the bridge's own, where the bridge is here.
    pub(super) fn host(self, subnet: Subnet) -> Result<Ipv4Addr, String> {
        match self {
            Self::Bridge => Ok(subnet.host()),
            Self::Published => Err(
                "the engine's bridge is in another network namespace or on another kernel than assay, so that a \
                 container reaches no port of assay's"
                    .to_owned(),
            ),
        }
    }
}

/// The ports at which a server is spoken to.
pub(super) fn ports(access: &Access, metrics: Option<&str>) -> Vec<u16> {
    let url = match access {
        Access::Kubeconfig { url, .. } => url.as_deref(),
        Access::Etcd { url } => Some(url.as_str()),
    };
    let mut ports = vec![url.and_then(port_of).unwrap_or(API_PORT)];
    ports.extend(metrics.and_then(port_of));
    ports.dedup();
    ports
}

/// Asks for these ports on loopback.
pub(super) fn publish(host: &mut HostConfig, ports: &[u16]) {
    let binding = || {
        Some(vec![PortBinding {
            host_ip: Some("127.0.0.1".to_owned()),
            // The kernel chooses.
            host_port: Some(String::new()),
        }])
    };
    let bindings = ports.iter().map(|port| (format!("{port}/tcp"), binding()));
    host.port_bindings = Some(bindings.collect::<HashMap<_, _>>());
}

/// Where the engine published which port.
#[derive(Debug, Default)]
pub(super) struct Published(BTreeMap<u16, u16>);

impl Published {
    pub fn read(found: &ContainerInspectResponse) -> Self {
        let settings = found.network_settings.as_ref();
        let ports = settings.and_then(|settings| settings.ports.as_ref());
        let pairs = ports.into_iter().flatten().filter_map(|(inside, bound)| {
            let outside = bound.as_ref()?.iter().find_map(|b| b.host_port.as_ref())?;
            Some((
                inside.strip_suffix("/tcp")?.parse().ok()?,
                outside.parse().ok()?,
            ))
        });
        Self(pairs.collect())
    }

    /// A URL as it is reached from here.
    ///
    /// # Errors
    /// When its port was not published.
    pub fn url(&self, url: &str) -> Result<String> {
        let (scheme, rest) = url.split_once("://").context("no URL")?;
        let path = rest.find('/').map_or("", |at| &rest[at..]);
        let outside = port_of(url)
            .and_then(|port| self.0.get(&port))
            .with_context(|| {
                format!("failed to reach {url}: the engine did not publish its port")
            })?;
        Ok(format!("{scheme}://127.0.0.1:{outside}{path}"))
    }

    pub fn access(&self, access: Access) -> Result<Access> {
        Ok(match access {
            Access::Etcd { url } => Access::Etcd {
                url: self.url(&url)?,
            },
            Access::Kubeconfig { path, url, context } => {
                let url = url.unwrap_or_else(|| format!("https://localhost:{API_PORT}"));
                Access::Kubeconfig {
                    path,
                    url: Some(self.url(&url)?),
                    context,
                }
            }
        })
    }
}

fn port_of(url: &str) -> Option<u16> {
    let rest = url.split_once("://")?.1;
    let authority = rest.split('/').next()?;
    authority.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_port_takes_the_place_of_the_containers_address() {
        let published = Published(BTreeMap::from([(6443, 40_001), (2381, 40_002)]));
        assert_eq!(
            published.url("http://198.18.0.2:2381/metrics").unwrap(),
            "http://127.0.0.1:40002/metrics"
        );
        let silent = Access::Kubeconfig {
            path: "/k".into(),
            url: None,
            context: None,
        };
        let Access::Kubeconfig { url, .. } = published.access(silent.clone()).unwrap() else {
            panic!("another kind of access");
        };
        assert_eq!(url.as_deref(), Some("https://127.0.0.1:40001"));
        assert!(published.url("http://198.18.0.2:2379").is_err());
        assert_eq!(ports(&silent, Some("http://a:2381/metrics")), [6443, 2381]);
        let etcd = Access::Etcd {
            url: "http://a:2379".into(),
        };
        assert_eq!(ports(&etcd, Some("http://a:2379/metrics")), [2379]);
    }
}
