//! One server: its paths, who answers there, and what was called.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::serve::{Answer, Answering, Call, serve};
use super::{Place, Verdict, certificates, conversion, review};

/// A webhook's path with this behind it is called like the path itself, and its verdict is forgotten: everything is
/// admitted as it is. For mutants: so does a server behave that ignores what a webhook answers.
pub const IGNORED: &str = "/ignored";
/// Calls and faults that are kept; a server that calls without end must not fill the memory.
const KEPT: usize = 1000;

type Decide = Arc<dyn Fn(&Value) -> Verdict + Send + Sync>;
type Convert = Arc<dyn Fn(Value, &str) -> Result<Value, String> + Send + Sync>;
type Handle = Arc<dyn Fn(&Call) -> Answer + Send + Sync>;

#[derive(Clone)]
enum Handler {
    Admission(Duration, Decide),
    Conversion(Convert),
    Anything(Handle),
}

/// What a server shows its callers and asks of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallbackOptions {
    /// Names in its certificate besides its address: those of Services.
    pub names: Vec<String>,
    /// The authority, as PEM, of certificates that callers may show.
    pub client_authority: Option<String>,
}

#[derive(Default)]
struct App {
    handlers: Mutex<BTreeMap<String, Handler>>,
    calls: Mutex<Vec<(String, Value)>>,
    faults: Mutex<Vec<String>>,
    connections: AtomicU64,
}

/// An HTTPS server that lives as long as this handle.
pub struct CallbackServer {
    app: Arc<App>,
    called: SocketAddr,
    authority_pem: String,
    accepting: AbortHandle,
}

impl Drop for CallbackServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl CallbackServer {
    /// Listens at a place, on a port that the kernel chooses.
    ///
    /// # Errors
    /// When the address cannot be bound, or the authority of callers is none.
    pub async fn start(place: Place, options: &CallbackOptions) -> Result<Self> {
        let material = certificates::make(
            place.called,
            &options.names,
            options.client_authority.as_deref(),
        )?;
        let listener = TcpListener::bind((place.bind, 0)).await.with_context(|| {
            format!(
                "failed to listen on {} for calls of the API server",
                place.bind
            )
        })?;
        let port = listener.local_addr()?.port();
        let app = Arc::<App>::default();
        let accepting = tokio::spawn(serve(Arc::clone(&app), listener, material.tls));
        Ok(Self {
            app,
            called: SocketAddr::new(place.called, port),
            authority_pem: material.authority_pem,
            accepting: accepting.abort_handle(),
        })
    }

    /// Where it is called.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.called
    }

    /// The authority of its certificate, as a `caBundle` has it.
    #[must_use]
    pub fn ca_bundle(&self) -> String {
        STANDARD.encode(&self.authority_pem)
    }

    /// A `clientConfig` that names a path by URL.
    #[must_use]
    pub fn client_config(&self, path: &str) -> Value {
        json!({"url": format!("https://{}{path}", self.called), "caBundle": self.ca_bundle()})
    }

    /// Decides on admissions at a path. `decide` gets the `request` of the review.
    pub fn admit(&self, path: &str, decide: impl Fn(&Value) -> Verdict + Send + Sync + 'static) {
        self.admit_after(path, Duration::ZERO, decide);
    }

    /// The same, and lets the caller wait for the answer.
    pub fn admit_after(
        &self,
        path: &str,
        delay: Duration,
        decide: impl Fn(&Value) -> Verdict + Send + Sync + 'static,
    ) {
        self.put(path, Handler::Admission(delay, Arc::new(decide)));
    }

    /// Converts objects at a path. `convert` gets an object and the API version that is wanted of it.
    pub fn convert(
        &self,
        path: &str,
        convert: impl Fn(Value, &str) -> Result<Value, String> + Send + Sync + 'static,
    ) {
        self.put(path, Handler::Conversion(Arc::new(convert)));
    }

    /// Answers everything at and beneath a path.
    pub fn handle(&self, path: &str, handle: impl Fn(&Call) -> Answer + Send + Sync + 'static) {
        self.put(path, Handler::Anything(Arc::new(handle)));
    }

    /// What was posted to a path so far, oldest first.
    #[must_use]
    pub fn calls(&self, path: &str) -> Vec<Value> {
        let calls = lock(&self.app.calls);
        let at = calls.iter().filter(|(called, _)| called == path);
        at.map(|(_, body)| body.clone()).collect()
    }

    /// How many connections were accepted, whatever became of them.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.app.connections.load(Ordering::Relaxed)
    }

    /// What the API server did against the protocols.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        lock(&self.app.faults).clone()
    }

    fn put(&self, path: &str, handler: Handler) {
        lock(&self.app.handlers).insert(path.to_owned(), handler);
    }
}

impl Answering for App {
    fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    fn answer(&self, call: Call) -> BoxFuture<'_, Answer> {
        let path = call.path.strip_suffix(IGNORED).unwrap_or(&call.path);
        let ignored = path.len() != call.path.len();
        let handler = {
            let handlers = lock(&self.handlers);
            let at = handlers.iter().rev().find(|(root, handler)| match handler {
                Handler::Anything(_) => path.starts_with(root.as_str()),
                _ => path == root.as_str(),
            });
            at.map(|(_, handler)| handler.clone())
        };
        keep(&self.calls, (path.to_owned(), call.body.clone()));
        async move {
            match handler {
                None => nothing_here(&call),
                Some(Handler::Anything(handle)) => handle(&call),
                Some(Handler::Conversion(convert)) => match conversion::fault(&call) {
                    Some(fault) => self.misused(fault),
                    None => conversion::answer(&call, convert.as_ref()),
                },
                Some(Handler::Admission(delay, decide)) => match review::fault(&call) {
                    Some(fault) => self.misused(fault),
                    None => {
                        tokio::time::sleep(delay).await;
                        let verdict = decide(&call.body["request"]);
                        let verdict = if ignored { Verdict::Allow } else { verdict };
                        if verdict == Verdict::Hang {
                            // The caller gives up, or the server ends: both drop this.
                            std::future::pending::<()>().await;
                        }
                        review::answer(&call, verdict)
                    }
                },
            }
        }
        .boxed()
    }
}

impl App {
    fn misused(&self, fault: String) -> Answer {
        let body = json!({"message": fault});
        keep(&self.faults, fault);
        Answer { status: 400, body }
    }
}

fn nothing_here(call: &Call) -> Answer {
    Answer {
        status: 404,
        body: json!({"message": format!("nothing is served at {}", call.path)}),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn keep<T>(list: &Mutex<Vec<T>>, item: T) {
    let mut list = lock(list);
    if list.len() < KEPT {
        list.push(item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;

    fn client(server: &CallbackServer) -> reqwest::Client {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = reqwest::Certificate::from_pem(server.authority_pem.as_bytes()).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([trusted])
            .no_proxy()
            .build()
            .unwrap()
    }

    fn review() -> Value {
        json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "u", "operation": "CREATE", "kind": {"kind": "ConfigMap"},
            "resource": {"resource": "configmaps"}, "userInfo": {"username": "admin"}}})
    }

    async fn post(server: &CallbackServer, path: &str, body: &Value) -> (u16, Value) {
        let url = format!("https://{}{path}?timeout=1s", server.address());
        let answer = client(server).post(url).json(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    #[tokio::test]
    async fn reviews_are_answered_and_kept() {
        let place = Place::same(LOOPBACK);
        let server = CallbackServer::start(place, &CallbackOptions::default())
            .await
            .unwrap();
        server.admit("/deny", |_| Verdict::Deny("no".to_owned()));
        let (status, body) = post(&server, "/deny", &review()).await;
        assert_eq!((status, &body["response"]["allowed"]), (200, &json!(false)));
        // Called like the path itself, and without effect.
        let (_, body) = post(&server, "/deny/ignored", &review()).await;
        assert_eq!(body["response"]["allowed"], true);
        assert_eq!(server.calls("/deny"), [review(), review()]);
        assert!(server.faults().is_empty() && server.connections() > 0);

        let (status, _) = post(&server, "/deny", &json!({"kind": "Pod"})).await;
        assert_eq!(status, 400);
        assert_eq!(server.faults().len(), 1);
        assert_eq!(post(&server, "/none", &review()).await.0, 404);
    }

    #[tokio::test]
    async fn nothing_is_served_once_it_is_dropped() {
        let place = Place::same(LOOPBACK);
        let server = CallbackServer::start(place, &CallbackOptions::default())
            .await
            .unwrap();
        let (client, address) = (client(&server), server.address());
        server.handle("/", |_| Answer {
            status: 200,
            body: json!({}),
        });
        let url = format!("https://{address}/");
        assert_eq!(client.get(&url).send().await.unwrap().status(), 200);
        let accepting = server.accepting.clone();
        drop(server);
        while !accepting.is_finished() {
            tokio::task::yield_now().await;
        }
        // Neither a new connection nor the one that was kept open.
        assert!(client.get(&url).send().await.is_err());
    }
}
