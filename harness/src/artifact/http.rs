//! The HTTP client, its errors in one sentence, and small requests: a text, a look whether a file is there.

use std::error::Error;
use std::sync::Once;

use reqwest::header::RANGE;
use reqwest::{Client, StatusCode, Url};

use super::error::ArtifactError;
use super::mirror::Place;
use super::patience::Patience;

/// A checksum file has a dozen lines; what is longer than this is none.
const LONGEST_TEXT: usize = 64 << 10;

/// A client for one address.
///
/// # Errors
/// When TLS cannot be set up, as on a machine without root certificates.
pub(super) fn client(url: &Url, patience: &Patience) -> Result<Client, ArtifactError> {
    static PROVIDER: Once = Once::new();
    // reqwest is built without a provider of its own. Whoever installed one earlier keeps it.
    PROVIDER.call_once(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let mut builder = Client::builder()
        .user_agent(concat!("assay/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(patience.connect)
        .read_timeout(patience.stall);
    if is_loopback(url) {
        // A mirror on this machine is never reached through a proxy.
        builder = builder.no_proxy();
    }
    builder.build().map_err(|error| ArtifactError::Unreachable {
        place: Place::Url(url.clone()).to_string(),
        reason: format!(
            "{} (are the system's ca-certificates installed?)",
            network_reason(&error)
        ),
    })
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

/// The root of a network error. The outer layers only repeat the address.
pub(super) fn network_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return if error.is_connect() {
            "no connection in time"
        } else {
            "no answer in time"
        }
        .to_owned();
    }
    let mut cause: &dyn Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let text: String = cause
        .to_string()
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect();
    text
}

/// Fetches a small text. `None` when none of the places has it.
///
/// # Errors
/// When the mirror cannot be reached or answers nonsense.
pub(super) async fn text(
    places: &[Place],
    patience: &Patience,
) -> Result<Option<String>, ArtifactError> {
    for place in places {
        let bad = |reason: String| ArtifactError::BadAnswer {
            place: place.to_string(),
            reason,
        };
        let lost = |error: reqwest::Error| ArtifactError::Unreachable {
            place: place.to_string(),
            reason: network_reason(&error),
        };
        let bytes = match place {
            Place::File(path) => match tokio::fs::read(path).await {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(bad(error.to_string())),
            },
            Place::Url(url) => {
                let mut response = client(url, patience)?
                    .get(url.clone())
                    .send()
                    .await
                    .map_err(lost)?;
                match response.status() {
                    StatusCode::OK => {}
                    StatusCode::NOT_FOUND | StatusCode::GONE | StatusCode::FORBIDDEN => continue,
                    other => return Err(bad(format!("the mirror answered {other}"))),
                }
                let mut bytes = Vec::new();
                while let Some(chunk) = response.chunk().await.map_err(lost)? {
                    bytes.extend_from_slice(&chunk);
                    if bytes.len() > LONGEST_TEXT {
                        return Err(bad(format!("it is longer than {LONGEST_TEXT} bytes")));
                    }
                }
                bytes
            }
        };
        return Ok(Some(String::from_utf8_lossy(&bytes).into_owned()));
    }
    Ok(None)
}

/// Whether a file is there, without fetching more than a byte of it.
///
/// # Errors
/// The reason why not, in words.
pub(super) async fn look(places: &[Place], patience: &Patience) -> Result<(), String> {
    let mut reason = "the mirror has no such file".to_owned();
    for place in places {
        match place {
            Place::File(path) if path.is_file() => return Ok(()),
            Place::File(path) => reason = format!("there is no {}", path.display()),
            Place::Url(url) => {
                let client = client(url, patience).map_err(|error| error.to_string())?;
                // One byte by GET: a signed address behind a redirect may refuse HEAD.
                let sent = client
                    .get(url.clone())
                    .header(RANGE, "bytes=0-0")
                    .send()
                    .await;
                let status = sent
                    .map_err(|error| format!("{place}: {}", network_reason(&error)))?
                    .status();
                if status.is_success() {
                    return Ok(());
                }
                reason = format!("{place} answered {status}");
            }
        }
    }
    Err(reason)
}
