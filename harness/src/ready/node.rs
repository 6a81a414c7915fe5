//! Readiness of a node: it takes pods, and a first one runs.

use serde_json::{Value, json};

use crate::api::{Api, Request};
use crate::distribution::PROBE_IMAGE;

/// Between two looks: sparse, for the server has to answer each inside its budget.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(200);

const POD: &str = "assay-first-pod";

/// Waits until a node is Ready and has no taint that keeps pods away.
pub(super) async fn takes_pods(api: &Api, note: &impl Fn(String)) {
    loop {
        let seen = match api.send(Request::get("/api/v1/nodes")).await {
            Ok(answer) => match why_not(&answer.body["items"]) {
                None => return,
                Some(reason) => reason,
            },
            Err(error) => error.to_string(),
        };
        note(seen);
        tokio::time::sleep(PAUSE).await;
    }
}

/// Why no node takes pods; `None`: one does.
fn why_not(nodes: &Value) -> Option<String> {
    let nodes = nodes.as_array().filter(|nodes| !nodes.is_empty());
    let Some(nodes) = nodes else {
        return Some("there is no node yet".to_owned());
    };
    let reasons: Vec<String> = nodes.iter().filter_map(reason_of).collect();
    (reasons.len() == nodes.len()).then(|| reasons.join("; "))
}

fn reason_of(node: &Value) -> Option<String> {
    let name = node["metadata"]["name"].as_str().unwrap_or("?");
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
        assert_eq!(why_not(&node("True", Value::Null)), None);
        assert!(
            why_not(&node("False", Value::Null))
                .unwrap()
                .contains("no network")
        );
        let taints = json!([{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]);
        assert!(
            why_not(&node("True", taints))
                .unwrap()
                .contains("not-ready")
        );
        assert!(why_not(&json!([])).unwrap().contains("no node"));
        assert!(why_not(&Value::Null).is_some());
    }
}
