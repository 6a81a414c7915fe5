//! A container's log, copied into a file as it is written.

use std::path::Path;

use anyhow::{Context, Result};
use futures::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::query_parameters::LogsOptionsBuilder;
use tokio::io::AsyncWriteExt;

/// Copies the log of a container into a file, from its beginning on, until the container ends.
///
/// # Errors
/// When the file cannot be written, or the engine stops telling.
pub async fn follow(docker: &Docker, container: &str, into: &Path) -> Result<()> {
    let mut file = tokio::fs::File::create(into)
        .await
        .with_context(|| format!("failed to make {}; free some disk", into.display()))?;
    let options = LogsOptionsBuilder::new()
        .follow(true)
        .stdout(true)
        .stderr(true)
        .build();
    let mut lines = docker.logs(container, Some(options));
    while let Some(piece) = lines.next().await {
        let piece =
            piece.context("failed to follow the container's log: the engine stopped telling")?;
        file.write_all(&piece.into_bytes()).await?;
        // The tail of it is read whenever the server dies.
        file.flush().await?;
    }
    Ok(())
}
