//! One request of kubectl's, carried on: into the client's own form, through its layers, and back.

use std::convert::Infallible;
use std::time::Duration;

use futures::stream;
use http::HeaderMap;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, UPGRADE};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::gateway::{Reach, Way};
use crate::api::{Api, Method, Next, Request, Response, Watch, WatchAnswer};

/// The longest body that is taken from kubectl.
const BODY_LIMIT: usize = 8 << 20;
/// A watch with nothing to tell is asked again after that long; kubectl ends it, or the server.
const SILENCE: Duration = Duration::from_secs(3600);
/// Headers of kubectl's that change what is answered.
const CARRIED: [&str; 2] = ["if-none-match", "kubectl-command"];

/// An answer for kubectl, whole or in parts.
pub(super) type Answer = http::Response<UnsyncBoxBody<Bytes, Infallible>>;

/// Carries one request on.
pub(super) async fn forward(way: &Way, incoming: http::Request<Incoming>) -> Answer {
    let (parts, body) = incoming.into_parts();
    let bearer = format!("Bearer {}", way.token);
    if text(&parts.headers, &AUTHORIZATION) != bearer {
        return refusal(401, "Unauthorized", "this way to the server is not yours");
    }
    let versions = parts.method == Method::GET && parts.uri.path().trim_end_matches('/') == "/api";
    if way.reach == Reach::Versions && !versions {
        return refusal(403, "Forbidden", "only GET /api passes here");
    }
    if parts.headers.contains_key(UPGRADE) || parts.uri.path().contains('%') {
        return refusal(
            501,
            "NotImplemented",
            "neither upgrades nor escaped paths pass here",
        );
    }
    let Ok(body) = Limited::new(body, BODY_LIMIT).collect().await else {
        return refusal(
            413,
            "RequestEntityTooLarge",
            "the body is too long or broke off",
        );
    };
    let query = parts.uri.query().unwrap_or_default();
    let request = request(&parts, query).and_then(|request| with_body(request, body.to_bytes()));
    match request {
        Ok(request) if request.is_watch() => watch(&way.api, request).await,
        Ok(request) => {
            enter(&way.api, &request);
            match way.api.send(request.clone()).await {
                Ok(response) => {
                    entered(&way.api, &request, &response);
                    whole(response)
                }
                Err(fault) => refusal(502, "InternalError", &fault.to_string()),
            }
        }
        Err(reason) => refusal(415, "UnsupportedMediaType", reason),
    }
}

fn request(parts: &http::request::Parts, query: &str) -> Result<Request, &'static str> {
    let mut request = Request::new(parts.method.clone(), parts.uri.path());
    // The host is of no matter: only the query's escapes are.
    let url = reqwest::Url::parse(&format!("http://localhost/?{query}"))
        .map_err(|_| "the query cannot be read")?;
    request.query = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    request.accept = match text(&parts.headers, &ACCEPT) {
        "" => "*/*".to_owned(),
        accept => accept.to_owned(),
    };
    for name in CARRIED {
        let value = text(&parts.headers, &HeaderName::from_static(name));
        if !value.is_empty() {
            request = request.header(name, value);
        }
    }
    match text(&parts.headers, &CONTENT_TYPE) {
        "" => {}
        content_type => content_type.clone_into(&mut request.content_type),
    }
    Ok(request)
}

/// JSON as a value, which mutants can change; anything else as it stands.
fn with_body(mut request: Request, body: Bytes) -> Result<Request, &'static str> {
    if body.is_empty() {
        return Ok(request);
    }
    let Ok(body) = String::from_utf8(body.to_vec()) else {
        return Err("only bodies of text pass here");
    };
    match serde_json::from_str(&body) {
        Ok(value) => request.body = Some(value),
        Err(_) => request.raw_body = Some(body),
    }
    Ok(request)
}

/// What kubectl makes outside of namespaces is entered before it is made; the rest goes with its namespace.
fn enter(api: &Api, request: &Request) {
    if let Some(path) = made(request, request.body.as_ref()) {
        api.ledger()
            .enter(path, request.path == "/api/v1/namespaces");
    }
}

/// A name that the server chose, and a name that turned out to be taken.
fn entered(api: &Api, request: &Request, response: &Response) {
    match made(request, request.body.as_ref()) {
        Some(path) if response.status == 409 => api.ledger().leave(&path),
        None if response.is_success() => {
            if let Some(path) = made(request, Some(&response.body)) {
                api.ledger()
                    .enter(path, request.path == "/api/v1/namespaces");
            }
        }
        _ => {}
    }
}

fn made(request: &Request, object: Option<&Value>) -> Option<String> {
    let outside = !request.path.contains("/namespaces/") && !request.path.ends_with("reviews");
    let dry = request.parameter("dryRun").is_some();
    let name = object?["metadata"]["name"].as_str()?;
    (request.method == Method::POST && outside && !dry).then(|| format!("{}/{name}", request.path))
}

async fn watch(api: &Api, mut request: Request) -> Answer {
    // The client adds its own.
    request.query.retain(|(name, _)| name != "watch");
    match api.watch(request).await {
        Ok(WatchAnswer::Open(watch)) => streamed(watch),
        Ok(WatchAnswer::Refused(response)) => whole(response),
        Err(fault) => refusal(502, "InternalError", &fault.to_string()),
    }
}

fn streamed(watch: Watch) -> Answer {
    let events = stream::unfold(watch, |mut watch| async move {
        loop {
            match watch.next(Instant::now() + SILENCE).await {
                Ok(Next::Event(event)) => {
                    let line = json!({"type": event.kind, "object": event.object});
                    let frame = Frame::data(Bytes::from(format!("{line}\n")));
                    return Some((Ok::<_, Infallible>(frame), watch));
                }
                Ok(Next::Late) => {}
                Ok(Next::Ended) | Err(_) => return None,
            }
        }
    });
    let mut answer = http::Response::new(UnsyncBoxBody::new(StreamBody::new(events)));
    answer.headers_mut().insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    answer
}

/// Status, headers and body as they came, but for what belongs to one connection only.
fn whole(response: Response) -> Answer {
    let mut answer = http::Response::new(Full::new(Bytes::from(response.bytes)).boxed_unsync());
    *answer.status_mut() =
        http::StatusCode::from_u16(response.status).unwrap_or(http::StatusCode::BAD_GATEWAY);
    let own = [
        "connection",
        "content-length",
        "date",
        "keep-alive",
        "transfer-encoding",
        "upgrade",
    ];
    for (name, value) in &response.headers {
        if !own.contains(&name.as_str()) {
            answer.headers_mut().append(name.clone(), value.clone());
        }
    }
    answer
}

/// A refusal of the gateway's own, in the form that kubectl shows to its user.
fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let body = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": format!("assay's gateway: {message}"), "reason": reason, "code": code,
    });
    let mut response = Response::new(code, HeaderMap::new(), Vec::new());
    response.set_body(body);
    response.headers.insert(
        CONTENT_TYPE,
        http::HeaderValue::from_static("application/json"),
    );
    whole(response)
}

fn text<'h>(headers: &'h HeaderMap, name: &HeaderName) -> &'h str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(uri: &str, accept: Option<&str>) -> Request {
        let mut builder = http::Request::builder().uri(uri);
        if let Some(accept) = accept {
            builder = builder.header(ACCEPT, accept);
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        request(&parts, parts.uri.query().unwrap_or_default()).unwrap()
    }

    #[test]
    fn queries_are_read_and_escaped_again() {
        let uri = "/api/v1/namespaces/a/pods?labelSelector=a%20in%20%28b%29&watch=true";
        let request = carried(uri, Some("application/json;as=Table"));
        assert_eq!(request.parameter("labelSelector"), Some("a in (b)"));
        assert!(request.is_watch());
        assert_eq!(request.target(), uri);
        assert_eq!(request.accept, "application/json;as=Table");
        assert_eq!(carried("/api", None).accept, "*/*");
    }

    #[test]
    fn only_what_is_made_outside_of_namespaces_is_entered() {
        let object = json!({"metadata": {"name": "a"}});
        let made = |path: &str, query: &[(&str, &str)]| {
            made(
                &Request::new(Method::POST, path).query(query),
                Some(&object),
            )
        };
        assert_eq!(
            made("/api/v1/namespaces", &[]).as_deref(),
            Some("/api/v1/namespaces/a")
        );
        assert_eq!(made("/api/v1/namespaces", &[("dryRun", "All")]), None);
        assert_eq!(made("/api/v1/namespaces/b/pods", &[]), None);
    }
}
