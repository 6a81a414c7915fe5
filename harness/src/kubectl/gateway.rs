//! A way to the server for kubectl: HTTPS on loopback, each request carried on by assay's own client.
//!
//! TLS and a token, though it is only loopback: what comes in acts with the client's rights, and others may use this machine
//! too. (kubectl sends no token without TLS.)

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::forward::forward;
use crate::api::Api;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// What a gateway lets through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Everything.
    Everything,
    /// Only `GET /api`: for a `kubectl proxy`, which asks its own callers for nothing.
    Versions,
}

/// An open gateway; closed, with all its connections, when it is dropped.
pub(super) struct Gateway {
    address: SocketAddr,
    token: String,
    certificate: String,
    serving: JoinHandle<()>,
}

/// What each connection needs.
pub(super) struct Way {
    pub(super) api: Api,
    pub(super) reach: Reach,
    pub(super) token: String,
}

impl Gateway {
    pub(super) async fn open(api: Api, reach: Reach) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("failed to listen on loopback; check that the interface lo is up")?;
        let address = listener.local_addr()?;
        let token = uuid::Uuid::new_v4().simple().to_string();
        let own = rcgen::generate_simple_self_signed([Ipv4Addr::LOCALHOST.to_string()])
            .context("failed to make a certificate")?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivateKeyDer::try_from(own.signing_key.serialize_der())
            .map_err(|error| anyhow::anyhow!("failed to read the key just made: {error}"))?;
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![own.cert.der().clone()], key)?;
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let way = Arc::new(Way {
            api,
            reach,
            token: token.clone(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        Ok(Self {
            address,
            token,
            certificate: own.cert.pem(),
            serving: tokio::spawn(serve(listener, acceptor, way)),
        })
    }

    /// The kubeconfig that leads here.
    pub(super) fn kubeconfig(&self) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "assay",
            "clusters": [{"name": "assay", "cluster": {
                "server": format!("https://{}", self.address),
                "certificate-authority-data": STANDARD.encode(&self.certificate),
            }}],
            "users": [{"name": "assay", "user": {"token": self.token}}],
            "contexts": [{"name": "assay", "context": {"cluster": "assay", "user": "assay"}}],
        })
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// Accepts until it is aborted; its connections end with it.
async fn serve(listener: TcpListener, acceptor: TlsAcceptor, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => if let Ok((socket, _)) = accepted {
                connections.spawn(connection(socket, acceptor.clone(), Arc::clone(&way)));
            } else {
                // Out of file descriptors, most likely: let others end first.
                tokio::time::sleep(Duration::from_millis(50)).await;
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(socket: TcpStream, acceptor: TlsAcceptor, way: Arc<Way>) {
    let _ = socket.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await else {
        return;
    };
    let service = service_fn(move |request| {
        let way = Arc::clone(&way);
        async move { Ok::<_, std::convert::Infallible>(forward(&way, request).await) }
    });
    // kubectl hangs up as it likes; that is not worth a word.
    let _ = http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
