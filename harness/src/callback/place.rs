//! Where a server reaches what assay serves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};

use crate::ready::server_of;

/// An address of this host, from both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Where assay listens.
    pub bind: IpAddr,
    /// What the server calls. Another than `bind` where something translates addresses in between.
    pub called: IpAddr,
    /// Another address of this host that the same server reaches and that an endpoint of a Service may have, where
    /// `called` is a loopback address, which it may not have.
    pub routable: Option<IpAddr>,
}

impl Place {
    /// The same address from both sides.
    #[must_use]
    pub fn same(address: impl Into<IpAddr>) -> Self {
        let address = address.into();
        Self {
            bind: address,
            called: address,
            routable: None,
        }
    }

    /// The same host at an address that may be an endpoint of a Service; `None` where it has none.
    #[must_use]
    pub fn as_endpoint(self) -> Option<Self> {
        if self.called.is_loopback() {
            self.routable.map(Self::same)
        } else {
            Some(self)
        }
    }
}

/// Whether a server can call assay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callback {
    /// At this place.
    At(Place),
    /// It cannot, and why.
    Nowhere(String),
}

impl Default for Callback {
    fn default() -> Self {
        Self::Nowhere("nobody said at which address the server reaches this host".to_owned())
    }
}

/// The address from which this host speaks to a URL's host: the one at which that host should reach this one. Nothing
/// is sent.
///
/// # Errors
/// When the URL names no host, or there is no route to it.
async fn toward(url: &str) -> Result<Place> {
    let uri: http::Uri = url
        .parse()
        .with_context(|| format!("failed to read the address {url}"))?;
    let host = uri.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let port = uri.port_u16().unwrap_or(443);
    let found: Vec<SocketAddr> = tokio::net::lookup_host((host, port))
        .await
        .with_context(|| format!("failed to resolve {host}; check the kubeconfig's server"))?
        .collect();
    let peer = found
        .first()
        .with_context(|| format!("failed to resolve {host}: it has no address"))?;
    let own = source(*peer)
        .await
        .with_context(|| format!("failed to find a route to {peer}"))?;
    let mut place = Place::same(own);
    if own.is_loopback() {
        let outside = source(ELSEWHERE).await.ok();
        place.routable = outside.filter(|address| !address.is_loopback());
    }
    Ok(place)
}

/// The same for the server of a kubeconfig, in a context or in its current one, or for another address of that server.
///
/// # Errors
/// As [`toward`], and when the kubeconfig names no server.
pub async fn toward_server(
    kubeconfig: &Path,
    context: Option<&str>,
    address: Option<&str>,
) -> Result<Place> {
    match address {
        Some(address) => toward(address).await,
        None => toward(&server_of(kubeconfig, context)?).await,
    }
}

/// Nobody's address (RFC 5737): the way there is the way out of this host.
const ELSEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 443);

/// This host's address on the way to a peer. Connecting a datagram socket only asks the kernel for a route.
async fn source(peer: SocketAddr) -> std::io::Result<IpAddr> {
    let any: IpAddr = match peer {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = tokio::net::UdpSocket::bind((any, 0)).await?;
    socket.connect(peer).await?;
    Ok(socket.local_addr()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_loopback_server_is_reached_from_loopback() {
        let place = toward("https://127.0.0.1:6443").await.unwrap();
        assert_eq!(place.called, Ipv4Addr::LOCALHOST);
        assert!(place.routable.is_none_or(|address| !address.is_loopback()));
        assert_eq!(place.as_endpoint().map(|own| own.called), place.routable);
        assert!(toward("no url").await.is_err());
    }
}
