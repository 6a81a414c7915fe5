//! Images that somebody published.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use futures::TryStreamExt;
use testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;

use super::Engine;

/// How long a download may take: K3s's image has some 200 MB, and a board's line may be slow.
const PULL_WITHIN: Duration = Duration::from_secs(900);

/// Makes sure that the engine has an image; returns its id. What was pulled stays: it is the engine's cache.
///
/// # Errors
/// When the engine does not have it and cannot get it.
pub async fn have(engine: &Engine, reference: &str) -> Result<String> {
    let reference = &tagged(reference);
    if engine.docker.inspect_image(reference).await.is_err() {
        let options = CreateImageOptionsBuilder::new()
            .from_image(reference)
            .build();
        let pulling = engine
            .docker
            .create_image(Some(options), None, None)
            .try_for_each(|_| async { Ok(()) });
        tokio::time::timeout(PULL_WITHIN, pulling)
            .await
            .map_err(|_| anyhow!("failed to pull {reference} within {PULL_WITHIN:?}"))?
            .with_context(|| {
                format!(
                    "failed to pull {reference}; load it into the engine (`docker load`), or leave \
                     --docker-image out so that one is built"
                )
            })?;
    }
    let found = engine
        .docker
        .inspect_image(reference)
        .await
        .with_context(|| format!("failed to find the image {reference} after it was pulled"))?;
    Ok(found.id.unwrap_or_default())
}

/// With the tag `latest` where none is given: an engine pulls every tag of an image that is named without one.
fn tagged(reference: &str) -> String {
    let last = reference.rsplit('/').next().unwrap_or_default();
    if last.contains([':', '@']) {
        reference.to_owned()
    } else {
        format!("{reference}:latest")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tag_is_pulled() {
        assert_eq!(tagged("rancher/k3s"), "rancher/k3s:latest");
        assert_eq!(tagged("host:5000/k3s"), "host:5000/k3s:latest");
        assert_eq!(tagged("rancher/k3s:v1"), "rancher/k3s:v1");
        assert_eq!(tagged("k3s@sha256:0"), "k3s@sha256:0");
    }
}
