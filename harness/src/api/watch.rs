//! A watch: an answer that goes on, one JSON event a line.

use std::collections::VecDeque;
use std::sync::Arc;

use http_body_util::BodyExt;
use kube::client::Body;
use serde_json::Value;
use tokio::time::Instant;

use super::mutant::{Layer, Lines};
use super::{Api, ApiError, Evidence, Request, Response, error};

/// The longest line that is taken: an object is at most about 1.5 MiB in etcd, and its managed fields can double it.
const LINE_LIMIT: usize = 8 << 20;

/// One event of a watch.
#[derive(Debug, Clone, PartialEq)]
pub struct WatchEvent {
    /// `ADDED`, `MODIFIED`, `DELETED`, `BOOKMARK` or `ERROR`.
    pub kind: String,
    /// The object.
    pub object: Value,
}

impl WatchEvent {
    /// The object's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }

    /// The object's resourceVersion.
    #[must_use]
    pub fn version(&self) -> &str {
        self.object["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default()
    }
}

/// What came next on a watch.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// An event.
    Event(WatchEvent),
    /// The server ended the watch.
    Ended,
    /// Nothing came before the deadline.
    Late,
}

/// The answer to a watch request.
pub enum WatchAnswer {
    /// It is open.
    Open(Watch),
    /// The server refused, with this answer.
    Refused(Response),
}

/// An open watch.
pub struct Watch {
    request: Request,
    body: Body,
    pending: Vec<u8>,
    ready: VecDeque<Value>,
    lines: Option<Lines>,
    layer: Option<Arc<Layer>>,
    evidence: Arc<Evidence>,
    ended: bool,
}

impl Api {
    /// Opens a watch on a collection; `watch=true` is added to the query.
    ///
    /// # Errors
    /// On a transport fault.
    pub async fn watch(&self, request: Request) -> Result<WatchAnswer, ApiError> {
        let request = request.query(&[("watch", "true")]);
        let wire = self
            .layer
            .as_ref()
            .map_or_else(|| request.clone(), |layer| layer.request(&request));
        let opened = tokio::time::timeout(self.timeout, self.start(&wire)).await;
        let opened = opened.unwrap_or_else(|_| {
            Err(ApiError::Timeout {
                request: request.to_string(),
                waited: self.timeout,
            })
        });
        let response =
            opened.inspect_err(|fault| self.evidence.fault(&request, &fault.to_string()))?;
        if !response.status().is_success() {
            let (parts, body) = response.into_parts();
            let bytes = body.collect_bytes().await.unwrap_or_default().to_vec();
            let refusal = Response::new(parts.status.as_u16(), parts.headers, bytes);
            self.evidence.exchange(&request, &refusal);
            return Ok(WatchAnswer::Refused(refusal));
        }
        Ok(WatchAnswer::Open(Watch {
            request,
            body: response.into_body(),
            pending: Vec::new(),
            ready: VecDeque::new(),
            lines: self.layer.as_ref().map(|layer| layer.lines()),
            layer: self.layer.clone(),
            evidence: Arc::clone(&self.evidence),
            ended: false,
        }))
    }
}

impl Watch {
    /// The request that opened it.
    #[must_use]
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// The next event, the watch's end, or the deadline, whichever comes first.
    ///
    /// # Errors
    /// On a transport fault, or a line that is no JSON event.
    pub async fn next(&mut self, deadline: Instant) -> Result<Next, ApiError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.evidence.line(&self.request, &event);
                return Ok(Next::Event(WatchEvent {
                    kind: event["type"].as_str().unwrap_or_default().to_owned(),
                    object: event["object"].clone(),
                }));
            }
            if self.ended {
                return Ok(Next::Ended);
            }
            match tokio::time::timeout_at(deadline, self.body.frame()).await {
                Err(_) => return Ok(Next::Late),
                Ok(None) => self.ended = true,
                Ok(Some(Err(fault))) => return Err(self.fault(error::chain(&fault))),
                Ok(Some(Ok(frame))) => {
                    if let Some(data) = frame.data_ref() {
                        self.pending.extend_from_slice(data);
                        self.split()?;
                    }
                }
            }
        }
    }

    /// Takes whole lines out of what came.
    fn split(&mut self) -> Result<(), ApiError> {
        while let Some(end) = self.pending.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.pending.drain(..=end).collect();
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let event: Value = serde_json::from_slice(&line)
                .map_err(|fault| self.fault(format!("a line is no JSON: {fault}")))?;
            match (&mut self.lines, &self.layer) {
                (Some(lines), Some(layer)) => {
                    self.ready.extend(layer.line(lines, &self.request, event))
                }
                _ => self.ready.push_back(event),
            }
        }
        if self.pending.len() > LINE_LIMIT {
            return Err(ApiError::TooLong {
                request: self.request.to_string(),
                limit: LINE_LIMIT,
            });
        }
        Ok(())
    }

    fn fault(&self, reason: String) -> ApiError {
        self.evidence.fault(&self.request, &reason);
        ApiError::Transport {
            request: self.request.to_string(),
            reason,
        }
    }
}
