//! ReplicationControllers whose pods no kubelet runs.

use harness::api::Collection;
use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{QUOTAS, REPLICATION_CONTROLLERS};
use super::steps::{create, pods, read, template, update};

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "replication/exceeded-quota-is-surfaced",
    title: "A ReplicationController that a quota keeps from its replicas says so in a condition, and no longer when it wants fewer.",
    official: &[
        "[sig-apps] ReplicationController should surface a failure condition on a common issue like exceeded quota",
    ],
    requires: &[
        Requirement::Resource("v1", "replicationcontrollers"),
        Requirement::Behaviour("workload-controllers"),
        Requirement::Behaviour("quota"),
        Requirement::Behaviour("quota-compute"),
    ],
    kills: &[
        mutant::CONDITIONS_MISSING,
        mutant::CONDITIONS_STAY,
        mutant::UPDATE_NOT_APPLIED,
        mutant::CREATE_NOT_STORED,
    ],
    run: |cx| Box::pin(surfaced(cx)),
    ..Check::BASE
}];

/// Waits until the controller has observed the object as it now is, and its status is as wanted.
async fn observed(
    cx: &CheckContext,
    all: &Collection,
    what: &str,
    wanted: impl Fn(&Value) -> bool + Sync,
) -> CheckResult {
    let wanted = &wanted;
    cx.wait(what, || async move {
        let now = read(cx, all, "work").await?;
        let generation = now["metadata"]["generation"].as_u64();
        let seen = generation.is_some()
            && now["status"]["observedGeneration"].as_u64() >= generation
            && wanted(&now["status"]);
        Ok(Seen::when(seen, || now["status"].to_string()))
    })
    .await
}

fn failure(status: &Value) -> Option<&Value> {
    let conditions = status["conditions"].as_array()?;
    conditions
        .iter()
        .find(|one| one["type"] == "ReplicaFailure")
}

async fn surfaced(cx: &CheckContext) -> CheckResult {
    // Until the namespace takes pods, their creation fails for another reason.
    pods(cx).await?;
    let (quotas, all) = (
        cx.collection(QUOTAS).await?,
        cx.collection(REPLICATION_CONTROLLERS).await?,
    );
    let hard = json!({"pods": "2"});
    create(
        cx,
        &quotas,
        json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}}),
    )
    .await?;
    cx.wait("the quota's status to show its limit", || async {
        let status = read(cx, &quotas, "quota").await?["status"].clone();
        Ok(Seen::when(status["hard"] == hard, || status.to_string()))
    })
    .await?;

    let spec = json!({"replicas": 3, "selector": {"app": "a"}, "template": template("a")});
    create(
        cx,
        &all,
        json!({"metadata": {"name": "work"}, "spec": spec}),
    )
    .await?;
    observed(cx, &all, "a condition that replicas fail", |status| {
        failure(status)
            .is_some_and(|one| one["status"] == "True" && one["reason"] == "FailedCreate")
    })
    .await?;
    update(cx, &all, "work", |object| {
        object["spec"]["replicas"] = json!(2)
    })
    .await?;
    observed(
        cx,
        &all,
        "two replicas and no condition that they fail",
        |status| status["replicas"] == 2 && failure(status).is_none(),
    )
    .await
}
