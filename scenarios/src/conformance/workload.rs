//! Workloads as data: scale and status subresources, with no replica that a kubelet would have to run.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::{Collection, PatchKind, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{DEPLOYMENTS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS};
use super::steps::{create, delete, pods, read, template, update};
use super::walk::discovered;

const SCALE: &[Mutant] = &[
    mutant::SCALE_NOT_APPLIED,
    mutant::SCALE_READS_ZERO,
    mutant::SPEC_LOST,
    mutant::STALE_READ,
    mutant::KIND_MISSING,
    mutant::PATCH_NOT_APPLIED,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "workload/deployment-scales",
        title: "A Deployment's scale is read, updated and patched, and the Deployment shows it.",
        official: &["[sig-apps] Deployment Deployment should have a working scale subresource"],
        requires: &[Requirement::Resource("apps/v1", "deployments/scale")],
        kills: SCALE,
        run: |cx| Box::pin(scale(cx, DEPLOYMENTS, selected)),
        ..Check::BASE
    },
    Check {
        id: "workload/replica-set-scales",
        title: "A ReplicaSet's scale is read, updated and patched, and the ReplicaSet shows it.",
        official: &["[sig-apps] ReplicaSet Replicaset should have a working scale subresource"],
        requires: &[Requirement::Resource("apps/v1", "replicasets/scale")],
        kills: SCALE,
        run: |cx| Box::pin(scale(cx, REPLICA_SETS, selected)),
        ..Check::BASE
    },
    Check {
        id: "workload/stateful-set-scales",
        title: "A StatefulSet's scale is read, updated and patched, and the StatefulSet shows it.",
        official: &[
            "[sig-apps] StatefulSet Basic StatefulSet functionality should have a working scale subresource",
        ],
        requires: &[Requirement::Resource("apps/v1", "statefulsets/scale")],
        kills: SCALE,
        run: |cx| Box::pin(scale(cx, STATEFUL_SETS, stateful)),
        ..Check::BASE
    },
    Check {
        id: "workload/replication-controller-scales",
        title: "A ReplicationController's scale is read and updated, and its status follows.",
        official: &[
            "[sig-apps] ReplicationController should get and update a ReplicationController scale",
        ],
        requires: &[
            Requirement::Resource("v1", "replicationcontrollers/scale"),
            Requirement::Behaviour("workload-controllers"),
        ],
        kills: &[
            mutant::SCALE_NOT_APPLIED,
            mutant::SCALE_READS_ZERO,
            mutant::STATUS_MISSING,
        ],
        run: |cx| Box::pin(controller_scale(cx)),
        ..Check::BASE
    },
    // Upstream's tests of this wait for running pods.
    Check {
        id: "workload/deployment-is-defaulted-and-versioned",
        title: "A Deployment gets its defaults; its generation rises with its spec only; its selector cannot change.",
        requires: &[
            Requirement::Resource("apps/v1", "deployments"),
            Requirement::Behaviour("pod-defaulting"),
        ],
        kills: DEPLOYMENT_KILLS,
        run: |cx| Box::pin(deployment(cx)),
        ..Check::BASE
    },
];

const DEPLOYMENT_KILLS: &[Mutant] = &[
    mutant::DEFAULTING_SKIPPED,
    mutant::GENERATION_CONSTANT,
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::CREATE_NOT_STORED,
];

fn selected(replicas: u32) -> Value {
    json!({"replicas": replicas, "selector": {"matchLabels": {"app": "a"}}, "template": template("a")})
}

fn stateful(replicas: u32) -> Value {
    let mut spec = selected(replicas);
    spec["serviceName"] = json!("none");
    spec
}

/// GET of `/scale`.
async fn scale_of(cx: &CheckContext, all: &Collection) -> CheckResult<Value> {
    cx.status("GET of /scale", 200, all.get("work/scale").await?)
}

/// PUT of `/scale` without a resourceVersion: whatever is there is replaced.
async fn scale_to(cx: &CheckContext, all: &Collection, replicas: u32) -> CheckResult<Value> {
    let mut scale = scale_of(cx, all).await?;
    scale["spec"]["replicas"] = json!(replicas);
    if let Some(metadata) = scale["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let answer = all.replace("work/scale", scale).await?;
    let answer = cx.status("PUT of /scale", 200, answer)?;
    let expected = json!({"spec": {"replicas": replicas}});
    cx.contains("the answer to the PUT of /scale", &expected, &answer)?;
    Ok(answer)
}

/// The pods stay pending for want of a node; a few of them cost nothing. Upstream has them run before it begins.
async fn scale(cx: &CheckContext, resource: Resource, spec: fn(u32) -> Value) -> CheckResult {
    let all = cx.collection(resource).await?;
    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "work"}, "spec": spec(1)}),
    )
    .await?;
    let first = scale_of(cx, &all).await?;
    let head = json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": {"name": "work", "uid": made["metadata"]["uid"]}, "spec": {"replicas": 1}});
    cx.contains("the scale", &head, &first)?;
    cx.contains(
        "the scale's selector",
        &json!({"selector": "app=a"}),
        &first["status"],
    )?;
    if cx
        .offer()
        .meets(Requirement::Behaviour("workload-controllers"))
    {
        cx.wait("status.replicas of the scale to be 1", || async {
            let seen = scale_of(cx, &all).await?["status"]["replicas"].clone();
            Ok(Seen::when(seen == 1, || seen.to_string()))
        })
        .await?;
    }

    scale_to(cx, &all, 2).await?;
    cx.expect_eq(
        "replicas in the scale after the update",
        json!(2),
        scale_of(cx, &all).await?["spec"]["replicas"].clone(),
    )?;
    cx.expect_eq(
        "replicas after the update of the scale",
        json!(2),
        read(cx, &all, "work").await?["spec"]["replicas"].clone(),
    )?;
    let kind = if cx.offer().meets(Requirement::Behaviour("strategic-merge")) {
        PatchKind::Strategic
    } else {
        PatchKind::Merge
    };
    let patch = json!({"metadata": {}, "spec": {"replicas": 4}, "status": {"replicas": 0}});
    cx.status(
        "PATCH of /scale",
        200,
        all.patch("work/scale", kind, patch).await?,
    )?;
    cx.expect_eq(
        "replicas after the patch of the scale",
        json!(4),
        read(cx, &all, "work").await?["spec"]["replicas"].clone(),
    )
}

async fn controller_scale(cx: &CheckContext) -> CheckResult {
    // Until the namespace takes pods, the controller can make none.
    pods(cx).await?;
    let all = cx.collection(REPLICATION_CONTROLLERS).await?;
    let spec = json!({"replicas": 1, "selector": {"app": "a"}, "template": template("a")});
    create(
        cx,
        &all,
        json!({"metadata": {"name": "work"}, "spec": spec}),
    )
    .await?;
    for wanted in [1, 2] {
        if wanted == 2 {
            scale_to(cx, &all, 2).await?;
        }
        cx.wait(&format!("status.replicas to be {wanted}"), || async {
            let seen = read(cx, &all, "work").await?["status"]["replicas"].clone();
            Ok(Seen::when(seen == json!(wanted), || seen.to_string()))
        })
        .await?;
        let expected = json!({"spec": {"replicas": wanted}, "status": {"replicas": wanted}});
        cx.contains("the scale", &expected, &scale_of(cx, &all).await?)?;
    }
    Ok(())
}

fn defaults() -> Value {
    json!({
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
        "template": {"spec": {"restartPolicy": "Always", "dnsPolicy": "ClusterFirst"}},
    })
}

async fn deployment(cx: &CheckContext) -> CheckResult {
    discovered(cx, DEPLOYMENTS).await?;
    let all = cx.collection(DEPLOYMENTS).await?;
    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "work"}, "spec": selected(0)}),
    )
    .await?;
    cx.contains(
        "the defaults",
        &defaults(),
        &read(cx, &all, "work").await?["spec"],
    )?;
    cx.expect_eq(
        "generation at first",
        json!(1),
        made["metadata"]["generation"].clone(),
    )?;
    let patch = json!({"spec": {"minReadySeconds": 5}});
    let changed = cx.status(
        "patch of the spec",
        200,
        all.patch("work", PatchKind::Merge, patch).await?,
    )?;
    cx.expect_eq(
        "generation after a change of the spec",
        json!(2),
        changed["metadata"]["generation"].clone(),
    )?;
    let patch = json!({"metadata": {"labels": {"a": "b"}}});
    let changed = cx.status(
        "patch of a label",
        200,
        all.patch("work", PatchKind::Merge, patch).await?,
    )?;
    cx.expect_eq(
        "generation after a change of a label",
        json!(2),
        changed["metadata"]["generation"].clone(),
    )?;
    let changed = update(cx, &all, "work", |object| {
        object["spec"]["paused"] = json!(true)
    })
    .await?;
    cx.expect_eq(
        "generation after an update of the spec",
        json!(3),
        changed["metadata"]["generation"].clone(),
    )?;
    cx.contains(
        "the spec afterwards",
        &json!({"minReadySeconds": 5, "paused": true}),
        &read(cx, &all, "work").await?["spec"],
    )?;
    // A selector is for ever.
    let other =
        json!({"spec": {"selector": {"matchLabels": {"app": "b"}}, "template": template("b")}});
    cx.refused(
        "a change of the selector",
        422,
        "Invalid",
        &all.patch("work", PatchKind::Merge, other).await?,
    )?;
    delete(cx, &all, "work").await
}
