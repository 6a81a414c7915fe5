//! Partition: an agent is cut off from its cluster; how long the cluster takes to call it lost, and after the mending to
//! call it Ready again.
//!
//! What the times are set by: the node controller's grace period (40 s unless told otherwise), and the agent's own
//! retries.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::api::deadline::{Seen, WaitError, wait_for};
use harness::api::{Api, ApiError, Request};
use harness::distribution::Surface;
use harness::scenario::{Access, Scenario, ScenarioContext};
use harness::target::Link;
use harness::text::tame;
use reports::metric::Unit;
use serde_json::Value;

/// See the module.
pub struct Partition;

/// How long the cluster may take to notice either, on this host.
const NOTICED_WITHIN: Duration = Duration::from_secs(180);

impl Scenario for Partition {
    fn name(&self) -> &'static str {
        "partition"
    }

    fn title(&self) -> &'static str {
        "an agent that is cut off is called lost, and Ready again after the mending"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi]
    }

    fn needs_agents(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let Access::Kubernetes(api) = cx.access else {
                bail!("failed to watch a node: the cluster serves no Kubernetes API");
            };
            let agents = cx.cluster.agents();
            let agent = agents.first().context("the cell has no agent")?;
            let node = [("node", agent.name.clone())];
            let measure = |name: &str, since: Instant| {
                let took = since.elapsed().as_secs_f64() * 1e3;
                let source = "polled from outside";
                cx.measure(name, Unit::Milliseconds, took, &node, source);
            };
            // Without this, a node that was lost all along would pass.
            condition(cx, api, &agent.name, "True").await?;
            let phase = cx.phase("cut");
            let cut = Instant::now();
            cx.cluster.set_link(&agent.name, Link::Down).await?;
            let lost = condition(cx, api, &agent.name, "Unknown").await;
            if lost.is_ok() {
                measure("cut_to_lost", cut);
            }
            drop(phase);
            let phase = cx.phase("mended");
            let mended = Instant::now();
            // Also where the cluster noticed nothing: what comes next needs the agent.
            cx.cluster.set_link(&agent.name, Link::Up).await?;
            lost?;
            condition(cx, api, &agent.name, "True").await?;
            measure("mended_to_ready", mended);
            drop(phase);
            let agents = cx.cluster.agents();
            let gone = agents.iter().find_map(|agent| agent.lost());
            ensure!(gone.is_none(), "{}", gone.unwrap_or_default());
            Ok(())
        }
        .boxed()
    }
}

/// Waits until the node's condition Ready has this status.
async fn condition(
    cx: &ScenarioContext<'_>,
    api: &Api,
    node: &str,
    wanted: &str,
) -> anyhow::Result<()> {
    let path = format!("/api/v1/nodes/{node}");
    let what = format!("the node {node} to be Ready: {wanted}");
    let seen = wait_for(&what, NOTICED_WITHIN * cx.patience, || async {
        let answer = api.send(Request::get(path.as_str())).await?;
        let ready = ready(&answer.body);
        Ok(Seen::when(ready == Some(wanted), || match ready {
            Some(status) => format!("it is {}", tame(status)),
            None => tame(&answer.summary()),
        }))
    });
    seen.await
        .map_err(|error: WaitError<ApiError>| match error {
            WaitError::Late {
                what,
                granted,
                last_seen,
            } => anyhow::anyhow!("failed to see {what} within {granted:?}; last seen: {last_seen}"),
            WaitError::Look(error) => error.into(),
        })
}

fn ready(node: &Value) -> Option<&str> {
    let conditions = node["status"]["conditions"].as_array()?;
    let ready = conditions.iter().find(|one| one["type"] == "Ready")?;
    ready["status"].as_str()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_the_condition_ready_counts() {
        let node = json!({"status": {"conditions": [
            {"type": "MemoryPressure", "status": "Unknown"},
            {"type": "Ready", "status": "True"},
        ]}});
        assert_eq!(ready(&node), Some("True"));
        assert_eq!(ready(&json!({"status": {}})), None);
        assert_eq!(ready(&Value::Null), None);
    }
}
