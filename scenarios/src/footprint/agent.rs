//! Agent: the scheduler puts a pod on a node without a control plane, it runs there, and its log is read through the
//! API server, which asks the agent's kubelet for it.
//!
//! Where it ran is told twice, by the API server and by the place: the pod's host address must be the one that the
//! agent's container or machine was given.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::api::deadline::{Seen, WaitError, wait_for};
use harness::api::{Api, ApiError, Method, RUN_LABEL, Request};
use harness::distribution::{PROBE_IMAGE, Surface};
use harness::scenario::{Access, Scenario, ScenarioContext};
use harness::target;
use harness::text::tame;
use reports::metric::Unit;
use serde_json::{Value, json};

/// See the module.
pub struct Agent;

const PODS: &str = "/api/v1/namespaces/default/pods";
/// How long each step may take on this host: its kubelet may be throttled.
const STEP_WITHIN: Duration = Duration::from_secs(120);

impl Scenario for Agent {
    fn name(&self) -> &'static str {
        "agent"
    }

    fn title(&self) -> &'static str {
        "on each agent a pod is scheduled, runs, and has its log read through the API server"
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
                bail!("failed to run a pod: the cluster serves no Kubernetes API");
            };
            for agent in cx.cluster.agents() {
                let _phase = cx.phase(&agent.name);
                on(cx, api, &agent)
                    .await
                    .with_context(|| format!("on the agent {}", agent.name))?;
            }
            // Once more, for one may have ended after its turn.
            for agent in cx.cluster.agents() {
                record_memory(cx, &agent)?;
            }
            Ok(())
        }
        .boxed()
    }
}

async fn on(cx: &ScenarioContext<'_>, api: &Api, agent: &target::Agent) -> anyhow::Result<()> {
    let name = format!("{}-pod", agent.name);
    // What no earlier pod has said.
    let words = format!("run {}", cx.run);
    let node = [("node", agent.name.clone())];
    let measure = |name: &str, since: Instant, labels: &[(&str, String)]| {
        let took = since.elapsed().as_secs_f64() * 1e3;
        cx.measure(
            name,
            Unit::Milliseconds,
            took,
            labels,
            "polled from outside",
        );
    };
    let asked = Instant::now();
    create(cx, api, &name, &agent.name, &words).await?;
    let pod = running(cx, api, &name).await?;
    measure("pod_on_agent_running", asked, &node);
    placed(&pod, agent)?;
    let asked = Instant::now();
    let log = log(cx, api, &name, &words).await?;
    let said = [node[0].clone(), ("log", log)];
    measure("pod_log_read", asked, &said);
    gone(cx, api, &name).await
}

/// Creates the pod; an API server refuses pods until the namespace has its service account.
async fn create(
    cx: &ScenarioContext<'_>,
    api: &Api,
    name: &str,
    node: &str,
    words: &str,
) -> anyhow::Result<()> {
    let body = pod(name, node, words, api.run());
    let made = wait_for(
        "the pod to be accepted",
        STEP_WITHIN * cx.patience,
        || async {
            let made = api
                .send(Request::new(Method::POST, PODS).body(body.clone()))
                .await?;
            Ok(Seen::when(matches!(made.status, 201 | 409), || {
                made.summary()
            }))
        },
    );
    made.await.map_err(late)
}

/// A pod that the scheduler has to place: it names a label of the node and not the node.
fn pod(name: &str, node: &str, words: &str, run: &str) -> Value {
    let script = format!("echo '{words}'; echo \"on $NODE\"; exec /bin/busybox sleep 2147483647");
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "labels": {RUN_LABEL: run}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "nodeSelector": {"kubernetes.io/hostname": node},
            "containers": [{
                "name": "probe", "image": PROBE_IMAGE, "imagePullPolicy": "Never",
                "command": ["/bin/sh", "-c", script],
                "env": [{"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}],
            }],
        },
    })
}

async fn running(cx: &ScenarioContext<'_>, api: &Api, name: &str) -> anyhow::Result<Value> {
    let path = format!("{PODS}/{name}");
    let ran = wait_for("the pod to run", STEP_WITHIN * cx.patience, || async {
        let found = api.send(Request::get(path.as_str())).await?;
        Ok(if found.body["status"]["phase"] == "Running" {
            Seen::Done(found.body)
        } else {
            Seen::Not(match found.is_success() {
                true => tame(&found.body["status"].to_string()),
                false => found.summary(),
            })
        })
    });
    ran.await.map_err(late)
}

/// Whether the pod runs on the node that it was meant for, and that node in the place that was made for it.
fn placed(pod: &Value, agent: &target::Agent) -> anyhow::Result<()> {
    let node = pod["spec"]["nodeName"].as_str().unwrap_or_default();
    ensure!(node == agent.name, "the pod was put on {}", tame(node));
    let host = pod["status"]["hostIP"].as_str().unwrap_or_default();
    ensure!(
        host == agent.address.to_string(),
        "the pod runs at {}, but the agent has the address {}",
        tame(host),
        agent.address
    );
    Ok(())
}

/// The log's last line, once both lines are there.
async fn log(
    cx: &ScenarioContext<'_>,
    api: &Api,
    name: &str,
    words: &str,
) -> anyhow::Result<String> {
    let path = format!("{PODS}/{name}/log");
    let read = wait_for(
        "the pod's log to have its two lines",
        STEP_WITHIN * cx.patience,
        || async {
            let request = Request::get(path.as_str()).accept("application/json, */*");
            let answer = api.send(request).await?;
            Ok(
                match (answer.is_success(), last_of_two(&answer.text(), words)) {
                    (true, Some(last)) => Seen::Done(tame(last)),
                    (true, None) => Seen::Not(tame(&answer.text())),
                    (false, _) => Seen::Not(tame(&answer.summary())),
                },
            )
        },
    );
    read.await.map_err(late)
}

fn last_of_two<'a>(log: &'a str, words: &str) -> Option<&'a str> {
    let (first, rest) = log.split_once('\n')?;
    let last = rest.strip_suffix('\n')?;
    (first == words && last.starts_with("on ")).then_some(last)
}

async fn gone(cx: &ScenarioContext<'_>, api: &Api, name: &str) -> anyhow::Result<()> {
    let path = format!("{PODS}/{name}");
    let ended = wait_for("the pod to be gone", STEP_WITHIN * cx.patience, || async {
        let answer = api
            .send(Request::new(Method::DELETE, path.as_str()))
            .await?;
        Ok(Seen::when(answer.status == 404, || answer.summary()))
    });
    ended.await.map_err(late)
}

fn late(error: WaitError<ApiError>) -> anyhow::Error {
    match error {
        WaitError::Late {
            what,
            granted,
            last_seen,
        } => anyhow::anyhow!("failed to see {what} within {granted:?}; last seen: {last_seen}"),
        WaitError::Look(error) => error.into(),
    }
}

/// Whether two places have the same limit. What the kernels of equal machines leave of their memory differs by pages.
fn alike(one: Option<u64>, other: Option<u64>) -> bool {
    match (one, other) {
        (Some(one), Some(other)) => one.abs_diff(other) <= other / 64,
        (one, other) => one == other,
    }
}

/// What the agent has taken of its own budget. One that ended, had a process killed, or was never held to a budget like
/// the server's is an error.
fn record_memory(cx: &ScenarioContext<'_>, agent: &target::Agent) -> anyhow::Result<()> {
    if let Some(lost) = agent.lost() {
        bail!("{lost}");
    }
    let (limit, of_server) = (
        agent.memory_limit_bytes,
        cx.cluster.budget_evidence().memory_limit_bytes,
    );
    ensure!(
        alike(limit, of_server),
        "the agent {} is held to {limit:?} bytes, and the server to {of_server:?}",
        agent.name
    );
    let node = [("node", agent.name.clone())];
    if let Some(peak) = agent.peak_bytes {
        let source = if agent.machine {
            "the greatest sampled use of the agent's whole machine, its kernel's own included"
        } else {
            "the kernel's high-water mark of the agent's cgroup"
        };
        cx.measure("agent_peak", Unit::Bytes, peak as f64, &node, source);
    }
    if let Some(kills) = agent.oom_kills.filter(|kills| *kills > 0) {
        bail!(
            "on the agent {} the kernel killed {kills} processes for exceeding its budget",
            agent.name
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_counts_when_it_is_this_runs_and_whole() {
        assert_eq!(last_of_two("run 7\non a-1\n", "run 7"), Some("on a-1"));
        for torn in [
            "",
            "run 7\n",
            "run 7\non a-1",
            "run 6\non a-1\n",
            "run 7\nelse\n",
        ] {
            assert_eq!(last_of_two(torn, "run 7"), None, "{torn:?}");
        }
    }

    #[test]
    fn a_pod_elsewhere_is_no_pod_on_the_agent() {
        let agent = target::Agent {
            name: "a-1".into(),
            address: "198.18.0.3".parse().unwrap(),
            log: "/log".into(),
            ended: None,
            memory_limit_bytes: None,
            machine: false,
            peak_bytes: None,
            oom_kills: Some(0),
        };
        let at = |node: &str, host: &str| json!({"spec": {"nodeName": node}, "status": {"hostIP": host}});
        assert!(placed(&at("a-1", "198.18.0.3"), &agent).is_ok());
        assert!(placed(&at("server", "198.18.0.3"), &agent).is_err());
        assert!(placed(&at("a-1", "198.18.0.2"), &agent).is_err());
        assert!(placed(&json!({}), &agent).is_err());
    }

    #[test]
    fn the_scheduler_places_the_pod() {
        let pod = pod("p", "a-1", "run 7", "7");
        assert!(pod["spec"]["nodeName"].is_null());
        assert_eq!(pod["spec"]["nodeSelector"]["kubernetes.io/hostname"], "a-1");
    }
}
