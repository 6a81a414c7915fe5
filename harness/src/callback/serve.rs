//! The listener: TLS, one task a connection, all of them ended with the listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http::{HeaderMap, Method};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use rustls::ServerConfig;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A handshake that takes longer is given up.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The longest body that is taken from a device under test. The API server's own limit for objects is 3 MiB, and a
/// review holds an object twice.
const BODY_LIMIT: usize = 8 << 20;

/// One request of the API server.
#[derive(Debug, Clone)]
pub struct Call {
    /// The verb.
    pub method: Method,
    /// The path.
    pub path: String,
    /// The query as it came; empty where there is none.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body; null where it is no JSON.
    pub body: Value,
    /// The common name of the caller's certificate, which was verified; `None` where it showed none.
    pub client: Option<String>,
}

impl Call {
    /// A header as text; empty where missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// What is answered: JSON.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: Value,
}

/// Who answers.
pub(super) trait Answering: Send + Sync + 'static {
    /// A connection was accepted, whatever becomes of it.
    fn connected(&self);
    /// Answers one request.
    fn answer(&self, call: Call) -> BoxFuture<'_, Answer>;
}

/// Accepts connections until the task is aborted, and ends them then.
pub(super) async fn serve<A: Answering>(
    app: Arc<A>,
    listener: TcpListener,
    tls: Arc<ServerConfig>,
) {
    let acceptor = TlsAcceptor::from(tls);
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((socket, _)) => {
                    app.connected();
                    connections.spawn(connection(Arc::clone(&app), acceptor.clone(), socket));
                }
                // Out of file descriptors, most likely: let others finish first.
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection<A: Answering>(app: Arc<A>, acceptor: TlsAcceptor, socket: TcpStream) {
    let _ = socket.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(socket)).await else {
        return;
    };
    let client = stream
        .get_ref()
        .1
        .peer_certificates()
        .and_then(|chain| chain.first())
        .and_then(|certificate| common_name(certificate));
    let service = service_fn(move |request| {
        let (app, client) = (Arc::clone(&app), client.clone());
        async move { Ok::<_, Infallible>(respond(app.as_ref(), client, request).await) }
    });
    // A caller that goes away is not worth a word.
    let _ = Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn respond<A: Answering>(
    app: &A,
    client: Option<String>,
    request: http::Request<Incoming>,
) -> http::Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(collected) => serde_json::from_slice(&collected.to_bytes()).unwrap_or(Value::Null),
        Err(_) => Value::Null,
    };
    let answer = app
        .answer(Call {
            method: parts.method,
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().unwrap_or_default().to_owned(),
            headers: parts.headers,
            body,
            client,
        })
        .await;
    let mut response = http::Response::new(Full::from(answer.body.to_string().into_bytes()));
    *response.status_mut() = http::StatusCode::from_u16(answer.status)
        .unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    response
}

fn common_name(certificate: &[u8]) -> Option<String> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    let name = certificate.subject().iter_common_name().next()?;
    Some(name.as_str().ok()?.to_owned())
}
