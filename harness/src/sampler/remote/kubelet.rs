//! What the cluster itself tells of its node: the kubelet's summary, else the metrics API.

use std::time::Duration;

use reports::metric::Metric;
use serde_json::Value;

use super::{Remote, put};
use crate::api::Api;

/// The kubelet collects every 10 to 15 s (cAdvisor's housekeeping interval); asking more often repeats values.
const PERIOD: Duration = Duration::from_secs(10);
const METRICS: &str = "/apis/metrics.k8s.io/v1beta1/nodes";

/// Reads an answer; empty where it tells nothing.
type Read = fn(&Value) -> Vec<(Metric, f64)>;

/// Finds a source that answers.
pub(super) async fn open(api: &Api) -> Result<Remote, String> {
    let nodes = api.get("/api/v1/nodes").await;
    let nodes = nodes.map_err(|error| error.to_string())?;
    let names: Vec<String> = nodes.body["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|node| Some(node["metadata"]["name"].as_str()?.to_owned()))
        .collect();
    let node = match names.as_slice() {
        [node] => node.clone(),
        [] => {
            return Err(
                "the cluster has no node, so nothing tells its memory; --ssh USER@DEVICE would"
                    .into(),
            );
        }
        many => {
            return Err(format!(
                "the cluster has {} nodes, and the use of several is not added up",
                many.len()
            ));
        }
    };
    let path = format!("/api/v1/nodes/{node}/proxy/stats/summary");
    let sources: [(String, String, Read); 2] = [
        (format!("kubelet:{node}"), path, of_summary),
        (
            format!("metrics-api:{node}"),
            format!("{METRICS}/{node}"),
            of_metrics,
        ),
    ];
    let mut why = Vec::new();
    for (name, path, read) in sources {
        match api.get(&path).await {
            Ok(answer) if answer.is_success() && !read(&answer.body).is_empty() => {
                return Ok(follow(api.clone(), name, path, read));
            }
            Ok(answer) => why.push(format!("{path} answered {}", answer.summary())),
            Err(error) => why.push(error.to_string()),
        }
    }
    Err(format!(
        "neither the kubelet nor the metrics API tells the node's memory ({}); --ssh USER@DEVICE would",
        why.join("; ")
    ))
}

fn follow(api: Api, name: String, path: String, read: Read) -> Remote {
    let newest = super::Slot::default();
    let slot = newest.clone();
    let api = api.without_evidence();
    let task = tokio::spawn(async move {
        let mut last = None;
        loop {
            if let Ok(answer) = api.get(&path).await
                && answer.is_success()
            {
                // What was told before is no second sample.
                let at = taken_at(&answer.body);
                if at.is_none() || at != last {
                    put(&slot, read(&answer.body));
                    last = at;
                }
            }
            tokio::time::sleep(PERIOD).await;
        }
    });
    Remote {
        name,
        what: "the whole node with its pods and its system, as the cluster tells it",
        period: PERIOD,
        newest,
        task,
    }
}

/// When the figures were taken, by the node's clock: `NodeStats.memory.time` of a summary, `timestamp` of
/// `NodeMetrics`. `None`: it does not tell.
fn taken_at(body: &Value) -> Option<String> {
    let time = body["node"]["memory"]["time"].as_str();
    Some(time.or_else(|| body["timestamp"].as_str())?.to_owned())
}

/// The node's part of `stats/summary` (kubelet `pkg/apis/stats/v1alpha1`).
fn of_summary(body: &Value) -> Vec<(Metric, f64)> {
    let node = &body["node"];
    let memory = |field: &str| node["memory"][field].as_f64();
    let values = [
        (Metric::WorkingSet, memory("workingSetBytes")),
        (Metric::Usage, memory("usageBytes")),
        (Metric::Anon, memory("rssBytes")),
        (
            Metric::CpuUsed,
            node["cpu"]["usageCoreNanoSeconds"]
                .as_f64()
                .map(|nanos| nanos / 1e3),
        ),
    ];
    values
        .into_iter()
        .filter_map(|(metric, value)| Some((metric, value?)))
        .collect()
}

/// `NodeMetrics`: a working set such as `412345Ki`. Its CPU is a rate over a window, and no cumulative time.
fn of_metrics(body: &Value) -> Vec<(Metric, f64)> {
    body["usage"]["memory"]
        .as_str()
        .and_then(quantity)
        .map(|bytes| (Metric::WorkingSet, bytes))
        .into_iter()
        .collect()
}

/// A quantity in bytes: plain, or with a binary suffix, which is what the metrics API writes.
fn quantity(text: &str) -> Option<f64> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match &text[digits.len()..] {
        "" => 1.0,
        "Ki" => 1024.0,
        "Mi" => 1024.0 * 1024.0,
        "Gi" => 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    Some(digits.parse::<f64>().ok()? * factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_the_kubelet_and_the_metrics_api_say_is_read() {
        let summary = json!({"node": {
            "cpu": {"usageCoreNanoSeconds": 5_000_000_000_u64},
            "memory": {"workingSetBytes": 400, "usageBytes": 500, "rssBytes": 300},
        }});
        assert_eq!(
            of_summary(&summary),
            [
                (Metric::WorkingSet, 400.0),
                (Metric::Usage, 500.0),
                (Metric::Anon, 300.0),
                (Metric::CpuUsed, 5_000_000.0),
            ]
        );
        let metrics = json!({"usage": {"cpu": "100m", "memory": "2Ki"}});
        assert_eq!(of_metrics(&metrics), [(Metric::WorkingSet, 2048.0)]);
        let timed = json!({"node": {"memory": {"time": "2026-01-01T00:00:00Z"}}});
        assert_eq!(taken_at(&timed).as_deref(), Some("2026-01-01T00:00:00Z"));
        let timed = json!({"timestamp": "t"});
        assert_eq!(taken_at(&timed).as_deref(), Some("t"));
        assert_eq!(taken_at(&summary), None);
        assert!(of_summary(&json!({})).is_empty() && of_metrics(&json!({})).is_empty());
        assert_eq!(quantity("12q"), None);
    }
}
