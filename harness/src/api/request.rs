//! A request as checks, mutants and the evidence see it: plain data.

use std::fmt;

use http::Method;
use serde_json::Value;

/// The three kinds of patch of which every API server must speak, and server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902, a list of operations.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' own: lists are merged by key.
    Strategic,
    /// Server-side apply; the caller adds `fieldManager` to the query.
    Apply,
}

impl PatchKind {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

/// One request to an API server.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The verb.
    pub method: Method,
    /// Absolute path, without query.
    pub path: String,
    /// Query parameters, unescaped, in order.
    pub query: Vec<(String, String)>,
    /// The body, sent as JSON.
    pub body: Option<Value>,
    /// A body sent as it stands instead, for what JSON values cannot express (duplicate keys, YAML).
    pub raw_body: Option<String>,
    /// Media type of the body.
    pub content_type: String,
    /// What is asked for.
    pub accept: String,
    /// Further headers, such as `Impersonate-User`.
    pub headers: Vec<(String, String)>,
}

impl Request {
    /// A request without query or body that asks for JSON.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body: None,
            raw_body: None,
            content_type: "application/json".to_owned(),
            accept: "application/json".to_owned(),
            headers: Vec::new(),
        }
    }

    /// A GET.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// Adds query parameters.
    #[must_use]
    pub fn query(mut self, parameters: &[(&str, &str)]) -> Self {
        self.query.extend(
            parameters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        self
    }

    /// Sets a JSON body.
    #[must_use]
    pub fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    /// Sets a body that is sent as it stands, and its media type.
    #[must_use]
    pub fn raw(mut self, body: impl Into<String>, content_type: impl Into<String>) -> Self {
        self.raw_body = Some(body.into());
        self.content_type = content_type.into();
        self
    }

    /// Sets the `Accept` header.
    #[must_use]
    pub fn accept(mut self, accept: impl Into<String>) -> Self {
        self.accept = accept.into();
        self
    }

    /// Sets the `Content-Type` header.
    #[must_use]
    pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
        self.content_type = content_type.into();
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The value of a query parameter.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether it asks for a watch.
    #[must_use]
    pub fn is_watch(&self) -> bool {
        self.parameter("watch")
            .is_some_and(|value| value == "true" || value == "1")
    }

    /// Path and query, escaped for the wire.
    #[must_use]
    pub fn target(&self) -> String {
        let mut target = escape(&self.path, b"/-._~");
        for (position, (name, value)) in self.query.iter().enumerate() {
            target.push(if position == 0 { '?' } else { '&' });
            target.push_str(&escape(name, b"-._~"));
            target.push('=');
            target.push_str(&escape(value, b"-._~"));
        }
        target
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target())
    }
}

/// Percent-encodes everything but letters, digits and `plain`.
fn escape(text: &str, plain: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_escaped() {
        let request = Request::get("/api/v1/namespaces/a/configmaps")
            .query(&[("labelSelector", "a in (b,c)"), ("limit", "5")]);
        assert_eq!(
            request.target(),
            "/api/v1/namespaces/a/configmaps?labelSelector=a%20in%20%28b%2Cc%29&limit=5"
        );
    }
}
