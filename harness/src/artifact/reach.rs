//! `--distribution auto`: can K3s be had here? Without a network that is decided within seconds.

use super::error::ArtifactError;
use super::fetch::download_k3s;
use super::http;
use super::k3s::{K3sRequest, find_k3s};
use super::progress::Progress;
use super::release;
use super::resolved::Resolved;

/// What `--distribution auto` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AutoK3s {
    /// K3s can be had.
    K3s(Resolved),
    /// It cannot, and why, as a clause for the warning that must follow.
    Unavailable(String),
}

/// Whether the requested release could be downloaded, within [`super::Patience::reach`] in all.
///
/// # Errors
/// The reason why not, in words.
pub async fn k3s_reachable(request: &K3sRequest) -> Result<(), String> {
    if !request.may_download() {
        return Err("--offline forbids a download".to_owned());
    }
    let mut patience = request.patience;
    // Two thirds for the connection leave some for the answer.
    patience.connect = patience.connect.min(patience.reach * 2 / 3);
    patience.stall = patience.stall.min(patience.reach);
    let places = request
        .mirror
        .places(request.wanted_version(), release::binary_name(request.arch));
    let look = http::look(&places, &patience);
    tokio::time::timeout(patience.reach, look)
        .await
        .unwrap_or_else(|_| {
            Err(format!(
                "{} did not answer within {} s",
                request.mirror,
                patience.reach.as_secs_f32()
            ))
        })
}

/// Resolves K3s if it can be had, else says why not: the choice between K3s and the specimen.
///
/// # Errors
/// Only when a binary that was named explicitly is unfit: that is a mistake to mend, not to paper over with
/// the specimen.
pub async fn resolve_k3s_auto(
    request: &K3sRequest,
    progress: &dyn Progress,
) -> Result<AutoK3s, ArtifactError> {
    if let Some(found) = find_k3s(request, progress).await? {
        return Ok(AutoK3s::K3s(found));
    }
    if let Err(reason) = k3s_reachable(request).await {
        return Ok(AutoK3s::Unavailable(reason));
    }
    Ok(match download_k3s(request, progress).await {
        Ok(found) => AutoK3s::K3s(found),
        Err(error) => AutoK3s::Unavailable(format!("failed to {error}")),
    })
}
