//! Nodes as API objects, and how many there are.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::crud::{self, Crud, crud};
use super::kinds::NODES;

const SERVED: Requirement = Requirement::Resource("v1", "nodes");

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "nodes/serve-every-verb",
        title: "Nodes are discovered and serve every verb and every kind of patch.",
        official: &["[sig-node] Node Lifecycle should run through the lifecycle of a node"],
        requires: &[SERVED],
        kills: crud::KILLS_BESIDE_CONTROLLERS,
        serial: Some("DaemonSets, the scheduler and the node controllers act on every Node"),
        run: |cx| Box::pin(crud(cx, Crud::of(NODES, unschedulable()))),
        ..Check::BASE
    },
    // On one node this fails by design, and says so on a cluster that was there. Of a cluster that assay made with fewer
    // nodes it would tell nothing but that: there it is skipped.
    Check {
        id: "nodes/two-take-pods",
        title: "At least two nodes are ready, schedulable and without taints that keep pods away.",
        official: &[
            "[sig-architecture] Conformance Tests should have at least two untainted nodes",
        ],
        requires: &[SERVED, Requirement::Behaviour("two-nodes")],
        kills: &[mutant::STATUS_MISSING, mutant::LIST_OF_ONE],
        run: |cx| Box::pin(two(cx)),
        ..Check::BASE
    },
];

/// Nothing is scheduled to it, and it looks alive for as long as it is there.
fn unschedulable() -> Value {
    json!({
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "Assay", "message": "set by a check"}]},
    })
}

/// As upstream: once every node that is not cordoned is ready and has no taint but a control plane's, those without any are
/// counted. It waits ten minutes for that, for clusters that are still coming up; this is asked of one that is up.
async fn two(cx: &CheckContext) -> CheckResult {
    let nodes = cx.everywhere(NODES);
    let items = cx
        .wait(
            "no node but cordoned ones that is not ready or keeps pods away",
            || async {
                let items = cx.items("list of nodes", nodes.list(&[]).await?)?;
                let unready = items.iter().find_map(|node| {
                    let cordoned = node["spec"]["unschedulable"] == true;
                    let why = keeps_away(node, CONTROL_PLANE).filter(|_| !cordoned)?;
                    Some(format!("{} {why}", name(node)))
                });
                Ok(match unready {
                    None => Seen::Done(items),
                    Some(seen) => Seen::Not(seen),
                })
            },
        )
        .await?;
    let taking = items.iter().filter(|node| keeps_away(node, "").is_none());
    let taking = taking.map(name).collect::<Vec<_>>();
    cx.expect(
        "at least two nodes that take pods",
        taking.len() >= 2,
        || format!("{} nodes, of which {taking:?} take pods", items.len()),
    )
}

const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// Why a node takes no pods, a taint with this key apart; `None` where it does.
fn keeps_away(node: &Value, tolerated: &str) -> Option<&'static str> {
    let list = |pointer: &str| {
        let found = node.pointer(pointer).and_then(Value::as_array);
        found.map(Vec::as_slice).unwrap_or_default()
    };
    let is = |kind: &str| {
        let found = list("/status/conditions")
            .iter()
            .find(|other| other["type"] == kind);
        found.map(|condition| &condition["status"])
    };
    let taint = list("/spec/taints").iter().any(|taint| {
        let effect = &taint["effect"];
        taint["key"] != tolerated && (effect == "NoSchedule" || effect == "NoExecute")
    });
    if is("Ready").is_none_or(|status| status != "True") {
        Some("is not ready")
    } else if is("NetworkUnavailable").is_some_and(|status| status != "False") {
        Some("has no network")
    } else if node["spec"]["unschedulable"] == true {
        Some("is cordoned")
    } else if taint {
        Some("is tainted")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_pods_away() {
        let ready = |status: &str| json!({"conditions": [{"type": "Ready", "status": status}]});
        for (node, why) in [
            (json!({"status": ready("True")}), None),
            (json!({"status": ready("Unknown")}), Some("is not ready")),
            (json!({}), Some("is not ready")),
            (
                json!({"status": ready("True"), "spec": {"unschedulable": true}}),
                Some("is cordoned"),
            ),
            (
                json!({"status": ready("True"), "spec": {"taints": [{"effect": "NoSchedule"}]}}),
                Some("is tainted"),
            ),
            (
                json!({"status": ready("True"), "spec": {"taints": [{"effect": "PreferNoSchedule"}]}}),
                None,
            ),
        ] {
            assert_eq!(keeps_away(&node, ""), why, "{node}");
        }
        let server = json!({"status": ready("True"), "spec": {"taints": [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]}});
        assert_eq!(keeps_away(&server, ""), Some("is tainted"));
        assert_eq!(keeps_away(&server, CONTROL_PLANE), None);
    }
}
