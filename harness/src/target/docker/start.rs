//! Starting a container with the rights that the engine grants, and learning who it became.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use testcontainers::ContainerAsync;
use testcontainers::bollard::models::ContainerInspectResponse;

use super::container::{self, Plan, ServerImage};
use crate::engine::{self, Privilege};
use crate::target::ProvisionError;

/// Starts the container with the first of its shape's rights that the engine grants.
pub(super) async fn start(
    plan: &Plan,
) -> Result<(ContainerAsync<ServerImage>, Privilege), ProvisionError> {
    let mut refusals = Vec::new();
    for privilege in Privilege::choices(plan.shape) {
        match container::start(plan, &privilege).await {
            Ok(container) => return Ok((container, privilege)),
            Err(error) => {
                let words = words(&error);
                let rights = privilege.was_refused(&words);
                refusals.push(format!("with {privilege}: {words}"));
                if !rights {
                    break;
                }
                // It was made but not started. The name must be free for the next try, and stays in the ledger.
                let held = plan.held.clone();
                tokio::task::spawn_blocking(move || engine::remove(&held))
                    .await
                    .context("failed to remove a refused container")?
                    .map_err(|reason| anyhow!("failed to remove a refused container: {reason}"))?;
            }
        }
    }
    Err(anyhow!(
        "failed to start the container; the engine says: {}",
        crate::text::tame(&refusals.join("; "))
    )
    .into())
}

/// An error with its sources: testcontainers keeps the engine's own words in them.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_words = inner.to_string();
        if !words.contains(&inner_words) {
            words = format!("{words}: {inner_words}");
        }
        source = inner.source();
    }
    words
}

/// The pid of the container's first process and the moment at which it was started, as the engine tells it.
pub(super) fn identity(found: ContainerInspectResponse, asked: Instant) -> Result<(i32, Instant)> {
    let state = found.state.unwrap_or_default();
    let pid = state.pid.and_then(|pid| i32::try_from(pid).ok());
    let Some(pid) = pid.filter(|pid| *pid > 0) else {
        bail!(
            "failed to keep the container running: it ended at once with status {}; look at its log",
            state.exit_code.unwrap_or(-1)
        );
    };
    let now = Instant::now();
    let ago = state
        .started_at
        .and_then(|text| text.to_string().parse::<jiff::Timestamp>().ok())
        .map(|at| jiff::Timestamp::now().duration_since(at))
        .and_then(|ago| Duration::try_from(ago).ok())
        .unwrap_or_default();
    // Between asking for it and now, whatever a clock that was set meanwhile says.
    let at = now.checked_sub(ago).unwrap_or(now).max(asked);
    Ok((pid, at))
}
