//! The client through which checks and scenarios speak: raw JSON in, raw JSON out.
//!
//! Typed structs would drop what a check must see (an unknown field, a missing default, a null), so
//! nothing here knows a Kubernetes type. Between the check and the wire sit two layers: the mutating one
//! ([`mutant`]), idle unless a mutant is put in, and the evidence ([`evidence`]), which keeps the last exchanges.

mod collection;
mod connect;
pub mod deadline;
mod error;
pub mod evidence;
pub mod ledger;
pub mod mutant;
pub mod namespace;
mod request;
mod response;
mod verbs;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use kube::client::Body;

pub(crate) use collection::group_root;
pub use collection::{Collection, Resource};
pub use connect::client;
pub use error::ApiError;
pub use http::Method;
pub use request::{PatchKind, Request};
pub use response::Response;
pub use watch::{Next, Watch, WatchAnswer, WatchEvent};

use evidence::Evidence;
use ledger::Ledger;
use mutant::{Layer, Mutant};

/// The label that everything made by assay carries; its value is the run's id.
pub const RUN_LABEL: &str = "assay.dev/run";

/// Time granted to one request. A server under a tight CPU quota may take seconds for an honest answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The longest answer that is taken from a device under test.
const ANSWER_LIMIT: usize = 64 << 20;

/// A client with its evidence, its ledger of what it made, and perhaps a mutant. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    client: kube::Client,
    run: Arc<str>,
    timeout: Duration,
    evidence: Arc<Evidence>,
    ledger: Arc<Ledger>,
    layer: Option<Arc<Layer>>,
}

impl Api {
    /// Wraps a client. What is made through it is labelled with `run`.
    #[must_use]
    pub fn new(client: kube::Client, run: &str) -> Self {
        Self {
            client,
            run: label_value(run).into(),
            timeout: REQUEST_TIMEOUT,
            evidence: Arc::default(),
            ledger: Arc::default(),
            layer: None,
        }
    }

    /// The same with its deadline stretched, for servers that run slower.
    #[must_use]
    pub fn patient(self, by: u32) -> Self {
        Self {
            timeout: self.timeout * by,
            ..self
        }
    }

    /// The same connection with evidence and a ledger of its own, and with `mutant` between it and the server.
    #[must_use]
    pub fn apart(&self, mutant: Option<Mutant>) -> Self {
        Self {
            evidence: Arc::default(),
            ledger: Arc::default(),
            layer: mutant.map(|m| Arc::new(Layer::new(m))),
            ..self.clone()
        }
    }

    /// The same with the ledger shared but without the mutant and the evidence: for cleaning up.
    #[must_use]
    pub fn clean(&self) -> Self {
        Self {
            evidence: Arc::default(),
            layer: None,
            ..self.clone()
        }
    }

    /// The same connection without evidence: for load, where only counts and latencies are wanted.
    #[must_use]
    pub fn without_evidence(&self) -> Self {
        Self {
            evidence: Arc::new(Evidence::off()),
            ledger: Arc::default(),
            ..self.clone()
        }
    }

    /// The value of [`RUN_LABEL`].
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The last exchanges.
    #[must_use]
    pub fn evidence(&self) -> &Evidence {
        &self.evidence
    }

    /// What was made through this client and is to be removed.
    #[must_use]
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// How often the mutant changed anything; `None` without a mutant.
    #[must_use]
    pub fn mutations(&self) -> Option<u64> {
        self.layer.as_ref().map(|layer| layer.applied())
    }

    /// Sends a request and takes the whole answer.
    ///
    /// # Errors
    /// On a transport fault. An answer of any status is not an error here.
    pub async fn send(&self, request: Request) -> Result<Response, ApiError> {
        let wire = self
            .layer
            .as_ref()
            .map_or_else(|| request.clone(), |layer| layer.request(&request));
        let result = tokio::time::timeout(self.timeout, self.exchange(&wire)).await;
        let result = result.unwrap_or_else(|_| {
            Err(ApiError::Timeout {
                request: request.to_string(),
                waited: self.timeout,
            })
        });
        match result {
            Ok(mut response) => {
                if let Some(layer) = &self.layer {
                    layer.response(&request, &mut response);
                }
                self.evidence.exchange(&request, &response);
                Ok(response)
            }
            Err(fault) => {
                self.evidence.fault(&request, &fault.to_string());
                Err(fault)
            }
        }
    }

    async fn exchange(&self, request: &Request) -> Result<Response, ApiError> {
        let (parts, body) = self.start(request).await?.into_parts();
        let bytes = Limited::new(body, ANSWER_LIMIT)
            .collect()
            .await
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ApiError::TooLong {
                        request: request.to_string(),
                        limit: ANSWER_LIMIT,
                    }
                } else {
                    ApiError::Transport {
                        request: request.to_string(),
                        reason: error::chain(error.as_ref()),
                    }
                }
            })?;
        Ok(Response::new(
            parts.status.as_u16(),
            parts.headers,
            bytes.to_bytes().to_vec(),
        ))
    }

    /// Sends a request and gives the answer's head, the body still to be read.
    async fn start(&self, request: &Request) -> Result<http::Response<Body>, ApiError> {
        let body = match (&request.body, &request.raw_body) {
            (Some(body), _) => body.to_string().into_bytes(),
            (None, Some(raw)) => raw.clone().into_bytes(),
            (None, None) => Vec::new(),
        };
        let mut builder = http::Request::builder()
            .method(request.method.clone())
            .uri(request.target())
            .header("accept", &request.accept);
        if !body.is_empty() {
            builder = builder.header("content-type", &request.content_type);
        }
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        let built = builder
            .body(Body::from(body))
            .map_err(|error| ApiError::BadRequest {
                request: request.to_string(),
                reason: error.to_string(),
            })?;
        self.client.send(built).await.map_err(|error| {
            let (request, reason) = (request.to_string(), error::chain(&error));
            if error::is_unconnected(&error) {
                ApiError::Unreachable { request, reason }
            } else {
                ApiError::Transport { request, reason }
            }
        })
    }
}

/// The nearest valid label value: at most 63 letters, digits, `-`, `_`, `.`, with a letter or digit at both ends.
fn label_value(text: &str) -> String {
    let kept: String = text
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c))
        .take(63)
        .collect();
    kept.trim_matches(|c: char| !c.is_ascii_alphanumeric())
        .to_owned()
}
