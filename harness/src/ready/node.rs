//! Readiness of a node: it takes pods, and a first one runs.

use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::distribution::PROBE_IMAGE;
use crate::target::{Agent, Cluster};

/// Between two looks: sparse, for the server has to answer each inside its budget.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

const POD: &str = "assay-first-pod";

/// Waits until a node that is no agent is Ready and has no taint that keeps pods away.
pub(super) async fn takes_pods(cluster: &dyn Cluster, api: &Api, note: &impl Fn(String)) {
    let agents: Vec<_> = names(cluster);
    loop {
        match nodes(api).await.and_then(|nodes| why_not(&nodes, &agents)) {
            Ok(()) => return,
            Err(seen) => note(seen),
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Waits until every agent is a node that is Ready and takes pods.
///
/// # Errors
/// When an agent ended: it will not join any more.
pub(super) async fn agents_take_pods(
    cluster: &dyn Cluster,
    api: &Api,
    note: &impl Fn(String),
) -> anyhow::Result<()> {
    let agents = names(cluster);
    anyhow::ensure!(
        !agents.is_empty(),
        "failed to wait for agents: none was started"
    );
    loop {
        match nodes(api)
            .await
            .and_then(|nodes| why_not_all(&nodes, &agents))
        {
            Ok(()) => return Ok(()),
            Err(seen) => note(seen),
        }
        if let Some(lost) = cluster.agents().iter().find_map(Agent::lost) {
            anyhow::bail!("{lost}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

fn names(cluster: &dyn Cluster) -> Vec<String> {
    let agents = cluster.agents().into_iter();
    agents.map(|agent| agent.name).collect()
}

async fn nodes(api: &Api) -> Result<Value, String> {
    match api.send(Request::get("/api/v1/nodes")).await {
        Ok(answer) => Ok(answer.body["items"].clone()),
        Err(error) => Err(error.to_string()),
    }
}

fn name_of(node: &Value) -> &str {
    node["metadata"]["name"].as_str().unwrap_or("?")
}

/// Why no node but these agents takes pods.
fn why_not(nodes: &Value, agents: &[String]) -> Result<(), String> {
    let is_agent = |node: &&Value| agents.iter().any(|agent| agent == name_of(node));
    let nodes = nodes.as_array().into_iter().flatten();
    let mut reasons = Vec::new();
    for node in nodes.filter(|node| !is_agent(node)) {
        match reason_of(node) {
            None => return Ok(()),
            Some(reason) => reasons.push(reason),
        }
    }
    Err(match reasons.as_slice() {
        [] => "there is no node yet".to_owned(),
        reasons => reasons.join("; "),
    })
}

/// Why not every one of these agents takes pods.
fn why_not_all(nodes: &Value, agents: &[String]) -> Result<(), String> {
    let nodes: Vec<&Value> = nodes.as_array().into_iter().flatten().collect();
    let reasons: Vec<String> = agents
        .iter()
        .filter_map(|agent| {
            let node = nodes.iter().find(|node| name_of(node) == agent);
            node.map_or_else(
                || Some(format!("the agent {agent} has not joined")),
                |node| reason_of(node),
            )
        })
        .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    Err(reasons.join("; "))
}

fn reason_of(node: &Value) -> Option<String> {
    let name = name_of(node);
    let ready = node["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|condition| condition["type"] == "Ready");
    if ready.is_none_or(|condition| condition["status"] != "True") {
        let message = ready.and_then(|condition| condition["message"].as_str());
        return Some(format!(
            "node {name} is not Ready: {}",
            message.unwrap_or("no condition")
        ));
    }
    let taint = node["spec"]["taints"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|taint| taint["effect"] != "PreferNoSchedule")?;
    Some(format!("node {name} is tainted with {}", taint["key"]))
}

/// Waits until a pod of the side-loaded image runs, and takes it away again.
pub(super) async fn first_pod(api: &Api, run: &str, note: &impl Fn(String)) {
    let all = "/api/v1/namespaces/default/pods";
    let one = format!("{all}/{POD}");
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": POD, "labels": {"assay.dev/run": run}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "probe", "image": PROBE_IMAGE, "imagePullPolicy": "Never"}],
        },
    });
    loop {
        let seen = match api.send(Request::get(one.as_str())).await {
            Ok(found) if found.body["status"]["phase"] == "Running" => break,
            Ok(found) if found.status == 404 => {
                // Refused until the namespace has its service account.
                match api
                    .send(Request::new(http::Method::POST, all).body(pod.clone()))
                    .await
                {
                    Ok(made) => format!("creating a pod answered {}", made.summary()),
                    Err(error) => error.to_string(),
                }
            }
            Ok(found) => format!("the first pod is {}", state_of(&found.body["status"])),
            Err(error) => error.to_string(),
        };
        note(seen);
        tokio::time::sleep(PAUSE).await;
    }
    // Should it be refused, the pod goes with its node.
    let _ = api
        .send(Request::new(http::Method::DELETE, one.as_str()))
        .await;
}

fn state_of(status: &Value) -> String {
    let waiting = &status["containerStatuses"][0]["state"]["waiting"];
    let words = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    format!(
        "{} ({} {})",
        words(&status["phase"]),
        words(&waiting["reason"]),
        words(&waiting["message"])
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_takes_pods_when_it_is_ready_and_untainted() {
        let node = |status: &str, taints: Value| {
            json!([{"metadata": {"name": "n"}, "spec": {"taints": taints},
                "status": {"conditions": [{"type": "Ready", "status": status, "message": "no network"}]}}])
        };
        assert_eq!(why_not(&node("True", Value::Null), &[]), Ok(()));
        let refusal = |nodes: &Value| why_not(nodes, &[]).unwrap_err();
        assert!(refusal(&node("False", Value::Null)).contains("no network"));
        let taints = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
        assert!(refusal(&node("True", taints)).contains("not-ready"));
        assert!(refusal(&json!([])).contains("no node"));
        assert!(refusal(&Value::Null).contains("no node"));
    }

    #[test]
    fn agents_and_the_servers_node_are_not_taken_for_each_other() {
        let node = |name: &str, ready: &str| {
            json!({"metadata": {"name": name},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        let agents = ["a".to_owned(), "b".to_owned()];
        let only_agents = json!([node("a", "True"), node("b", "True")]);
        assert!(why_not(&only_agents, &agents).is_err());
        assert_eq!(why_not_all(&only_agents, &agents), Ok(()));
        let one = json!([node("server", "True"), node("a", "True")]);
        assert_eq!(why_not(&one, &agents), Ok(()));
        assert!(
            why_not_all(&one, &agents)
                .unwrap_err()
                .contains("b has not joined")
        );
        let unready = json!([node("a", "True"), node("b", "Unknown")]);
        assert!(
            why_not_all(&unready, &agents)
                .unwrap_err()
                .contains("b is not Ready")
        );
    }
}
