//! How the host reaches a machine: a TAP device and a /30 as root, else forwarded ports.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context, Result, anyhow};
use serde::{Deserialize, Serialize};

use crate::callback::Place;

use super::command::{Nic, USER_GATEWAY, USER_GUEST};
use crate::net::{Claim, LinkName, Subnet, claim};
use crate::scope::{Resource, Scope};

/// What is wanted of a machine's network.
#[derive(Debug, Clone)]
pub struct NetworkRequest {
    /// Whether a TAP device is to be tried; it needs root.
    pub tap: bool,
    /// The subnet that a saved state was made in.
    pub subnet: Option<Subnet>,
    /// Guest ports that must be reached where there is no TAP device.
    pub ports: Vec<u16>,
}

/// A machine's network as it became.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Network {
    /// A TAP device: every port of the guest is reached at its address.
    Private {
        /// The device on the host.
        name: String,
        /// The addresses of both ends.
        subnet: Subnet,
    },
    /// QEMU's user-mode network. It stalls beyond some 50 simultaneous connections.
    Forwarded {
        /// Guest port to port on 127.0.0.1.
        ports: BTreeMap<u16, u16>,
    },
}

impl Network {
    /// The guest's own address.
    #[must_use]
    pub fn guest(&self) -> Ipv4Addr {
        match self {
            Self::Private { subnet, .. } => subnet.cell(),
            Self::Forwarded { .. } => USER_GUEST,
        }
    }

    /// Where a port of this host is reached from the guest.
    ///
    /// # Errors
    /// A sentence: the user-mode network is restricted to the forwarded ports, since a guest must not reach this host's
    /// loopback, which is what its gateway stands for.
    pub fn host(&self) -> Result<Place, String> {
        match self {
            Self::Private { subnet, .. } => Ok(Place::same(subnet.host())),
            Self::Forwarded { .. } => Err(
                "without root the machine's network is QEMU's restricted one, from which no port of this host is \
                 reached"
                    .to_owned(),
            ),
        }
    }

    /// Where a port of the guest is reached from here; `None`: it is not.
    #[must_use]
    pub fn reach(&self, port: u16) -> Option<(Ipv4Addr, u16)> {
        match self {
            Self::Private { subnet, .. } => Some((subnet.cell(), port)),
            Self::Forwarded { ports } => ports.get(&port).map(|host| (Ipv4Addr::LOCALHOST, *host)),
        }
    }

    /// Rewrites a URL that names the guest's own address into one that is valid here.
    ///
    /// # Errors
    /// When it is no URL with a port, or the port is not reached from here.
    pub fn url_from_here(&self, url: &str) -> Result<String> {
        let uri: http::Uri = url
            .parse()
            .with_context(|| format!("failed to read the address {url}"))?;
        let port = uri
            .port_u16()
            .with_context(|| format!("failed to read the address {url}: it names no port"))?;
        let (address, port) = self.reach(port).with_context(|| {
            format!("failed to reach port {port} of the guest: it is not forwarded")
        })?;
        let path = match uri.path() {
            "/" if !url.ends_with('/') => "",
            path => path,
        };
        Ok(format!(
            "{}://{address}:{port}{path}",
            uri.scheme_str().unwrap_or("http")
        ))
    }

    /// The guest's address, the length of its network's prefix, and its gateway.
    #[must_use]
    pub fn addresses(&self) -> (Ipv4Addr, u8, Ipv4Addr) {
        match self {
            Self::Private { subnet, .. } => (subnet.cell(), subnet.prefix(), subnet.host()),
            Self::Forwarded { .. } => (USER_GUEST, 24, USER_GATEWAY),
        }
    }

    /// Words of the kernel's command line from which the guest configures itself.
    #[must_use]
    pub fn kernel_args(&self) -> Vec<String> {
        let (address, bits, gateway) = self.addresses();
        vec![
            format!("assay.ip={address}/{bits}"),
            format!("assay.gw={gateway}"),
        ]
    }

    pub(super) fn nic(&self) -> Nic {
        match self {
            Self::Private { name, .. } => Nic::Tap { name: name.clone() },
            Self::Forwarded { ports } => Nic::User {
                forwards: ports.iter().map(|(guest, host)| (*host, *guest)).collect(),
            },
        }
    }

    /// What stands in the ledger for it.
    pub(super) fn resource(&self) -> Option<Resource> {
        match self {
            Self::Private { name, .. } => Some(Resource::Interface { name: name.clone() }),
            Self::Forwarded { .. } => None,
        }
    }
}

/// A network that was chosen and is not there yet.
pub(super) struct Reserved {
    pub network: Network,
    claim: Option<(Claim, LinkName)>,
}

impl Reserved {
    /// Chooses a network; an interface is in the ledger on return.
    pub async fn new(request: &NetworkRequest, scope: &Scope) -> Result<Self> {
        if !request.tap {
            return Self::forwarded(&request.ports);
        }
        let link = LinkName::new(uuid::Uuid::new_v4().as_fields().0);
        let wish = request.subnet;
        let claim = tokio::task::spawn_blocking(move || claim(link, wish))
            .await
            .map_err(|error| anyhow!("failed to choose a network ({error})"))??;
        let network = Network::Private {
            name: link.name(),
            subnet: claim.subnet(),
        };
        scope.enter(Resource::Interface { name: link.name() })?;
        Ok(Self {
            network,
            claim: Some((claim, link)),
        })
    }

    /// The kernel chooses free ports. They are free again until QEMU takes them, so the caller tries again.
    fn forwarded(guest: &[u16]) -> Result<Self> {
        let mut held = Vec::new();
        let mut ports = BTreeMap::new();
        for port in guest {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                .context("failed to find a free port on 127.0.0.1")?;
            ports.insert(*port, listener.local_addr()?.port());
            held.push(listener);
        }
        Ok(Self {
            network: Network::Forwarded { ports },
            claim: None,
        })
    }

    /// Configures the host's end, once the emulator runs.
    pub async fn settle(self) -> Result<Network> {
        if let Some((claim, link)) = self.claim {
            tokio::task::spawn_blocking(move || claim.adopt(link))
                .await
                .map_err(|error| anyhow!("failed to configure the network ({error})"))??;
        }
        Ok(self.network)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_guest_become_addresses_of_the_host() {
        let network = Network::Forwarded {
            ports: BTreeMap::from([(6443, 40_001)]),
        };
        let here = |url: &str| network.url_from_here(url).unwrap();
        assert_eq!(here("https://10.0.2.15:6443"), "https://127.0.0.1:40001");
        assert_eq!(
            here("http://10.0.2.15:6443/metrics"),
            "http://127.0.0.1:40001/metrics"
        );
        network.url_from_here("http://10.0.2.15:2379").unwrap_err();
        network.url_from_here("http://10.0.2.15").unwrap_err();
        assert_eq!(network.kernel_args()[0], "assay.ip=10.0.2.15/24");
    }

    #[tokio::test]
    async fn without_root_each_port_gets_one_of_its_own() {
        let state = tempfile::tempdir().unwrap();
        let scope = Scope::open(state.path(), "r").unwrap();
        let request = NetworkRequest {
            tap: false,
            subnet: None,
            ports: vec![6443, 2379],
        };
        let network = Reserved::new(&request, &scope).await.unwrap().network;
        let (one, two) = (network.reach(6443).unwrap(), network.reach(2379).unwrap());
        assert!(one.1 != two.1 && one.0.is_loopback());
        assert_eq!(network.reach(22), None);
        assert!(scope.standing().is_empty());
    }
}
