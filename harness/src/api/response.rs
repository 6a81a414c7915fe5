//! An answer of an API server: status, headers and raw JSON, nothing dropped.

use http::HeaderMap;
use serde_json::Value;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; `Null` where it is not JSON.
    pub body: Value,
    /// The body as it came.
    pub bytes: Vec<u8>,
}

impl Response {
    /// Makes one from what came over the wire.
    #[must_use]
    pub fn new(status: u16, headers: HeaderMap, bytes: Vec<u8>) -> Self {
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Self {
            status,
            headers,
            body,
            bytes,
        }
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The media type, without parameters.
    #[must_use]
    pub fn content_type(&self) -> &str {
        self.header("content-type")
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
    }

    /// A header as text; empty where missing.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// `reason` of a Status answer; empty where there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// `message` of a Status answer; empty where there is none.
    #[must_use]
    pub fn message(&self) -> &str {
        self.body["message"].as_str().unwrap_or_default()
    }

    /// The body as text, invalid UTF-8 replaced.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    /// Replaces the body; bytes and JSON stay the same thing.
    pub fn set_body(&mut self, body: Value) {
        self.bytes = body.to_string().into_bytes();
        self.body = body;
    }

    /// What a reader must know of it, in few words: the status and why.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.reason(), self.message()) {
            ("", "") => self.status.to_string(),
            (reason, message) => {
                let message: String = message.chars().take(300).collect();
                format!("{} {reason}: {message}", self.status)
            }
        }
    }
}
