//! Garbage collection by owner references. Pods stay pending without a node; that is all it takes.

use harness::api::Collection;
use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CONFIG_MAPS, DEPLOYMENTS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use super::steps::{create, left, read, template};

const GC: Requirement = Requirement::Behaviour("garbage-collection");
const OWNED_PODS: &[Requirement] = &[
    GC,
    Requirement::Behaviour("workload-controllers"),
    Requirement::Resource("v1", "replicationcontrollers"),
];
const OWNED_SETS: &[Requirement] = &[
    GC,
    Requirement::Behaviour("workload-controllers"),
    Requirement::Resource("apps/v1", "deployments"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    // No official test of its own: upstream shows it with pods.
    Check {
        id: "gc/dependents-go-with-their-owner",
        title: "Objects whose only owner is deleted are collected; those with another live owner or none stay.",
        requires: &[Requirement::Resource("v1", "configmaps"), GC],
        kills: &[
            mutant::OWNERS_LOST,
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(dependents(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/circle-of-owners-is-collected",
        title: "Three pods that own one another in a circle are all collected when one is deleted.",
        official: &[
            "[sig-api-machinery] Garbage collector should not be blocked by dependency circle",
        ],
        requires: &[
            Requirement::Resource("v1", "pods"),
            GC,
            Requirement::Behaviour("pods"),
        ],
        kills: &[
            mutant::DELETE_IGNORED,
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::PATCH_NOT_APPLIED,
        ],
        run: |cx| Box::pin(circle(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/pods-go-with-their-controller",
        title: "Deleting a ReplicationController without orphaning removes its pods.",
        official: &[
            "[sig-api-machinery] Garbage collector should delete pods created by rc when not orphaning",
        ],
        requires: OWNED_PODS,
        kills: &[
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
            mutant::STALE_LIST,
        ],
        run: |cx| Box::pin(pods_go(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/orphaned-pods-stay",
        title: "Deleting a ReplicationController with Orphan leaves its pods, without their owner.",
        official: &[
            "[sig-api-machinery] Garbage collector should orphan pods created by rc if delete options say so",
        ],
        requires: OWNED_PODS,
        kills: &[
            mutant::PROPAGATION_BECOMES_BACKGROUND,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(pods_stay(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/replica-set-goes-with-its-deployment",
        title: "Deleting a Deployment in the background removes its ReplicaSet.",
        official: &[
            "[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning",
        ],
        requires: OWNED_SETS,
        kills: &[
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
            mutant::STALE_LIST,
        ],
        run: |cx| Box::pin(set_goes(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/orphaned-replica-set-stays",
        title: "Deleting a Deployment with Orphan leaves its ReplicaSet, without its owner.",
        official: &[
            "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan",
        ],
        requires: OWNED_SETS,
        kills: &[
            mutant::PROPAGATION_BECOMES_BACKGROUND,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(set_stays(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/foreground-owner-waits-for-its-dependents",
        title: "An owner deleted in the foreground stays, marked so, until its blocking dependents are gone.",
        official: &[
            "[sig-api-machinery] Garbage collector should keep the rc around until all its pods are deleted if the deleteOptions says so",
        ],
        requires: OWNED_PODS,
        kills: &[
            mutant::PROPAGATION_BECOMES_BACKGROUND,
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
            mutant::FINALIZER_IGNORED,
        ],
        run: |cx| Box::pin(foreground(cx)),
        ..Check::BASE
    },
];

fn owner(object: &Value, blocking: bool) -> Value {
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"], "uid": object["metadata"]["uid"], "blockOwnerDeletion": blocking})
}

async fn dependents(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let mut owners = Vec::new();
    for name in ["doomed", "living"] {
        owners.push(owner(
            &create(
                cx,
                &all,
                json!({"metadata": {"name": name, "labels": {"set": "1"}}}),
            )
            .await?,
            false,
        ));
    }
    for (name, owners) in [
        ("of-doomed", json!([owners[0]])),
        ("of-both", json!(owners)),
        ("of-living", json!([owners[1]])),
        ("of-none", json!([])),
    ] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": {"set": "1"}, "ownerReferences": owners}}),
        )
        .await?;
    }
    cx.status(
        "delete",
        200,
        all.delete_with("doomed", json!({"propagationPolicy": "Background"}))
            .await?,
    )?;
    left(
        cx,
        &all,
        "set=1",
        &["living", "of-both", "of-living", "of-none"],
    )
    .await?;
    // The collector takes the dead owner off what it spares: once it has, it has judged it, and it is still there.
    cx.wait("the dead owner to be taken off", || async {
        let owners = read(cx, &all, "of-both").await?["metadata"]["ownerReferences"].clone();
        Ok(Seen::when(
            owners
                .as_array()
                .is_some_and(|list| list.len() == 1 && list[0]["name"] == "living"),
            || owners.to_string(),
        ))
    })
    .await?;
    left(
        cx,
        &all,
        "set=1",
        &["living", "of-both", "of-living", "of-none"],
    )
    .await
}

async fn circle(cx: &CheckContext) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let mut made = Vec::new();
    for name in ["one", "two", "three"] {
        let mut pod = template("circle");
        pod["metadata"]["name"] = json!(name);
        made.push(create(cx, &pods, pod).await?);
    }
    for (dependent, on) in [("one", 2), ("two", 0), ("three", 1)] {
        let patch = json!({"metadata": {"ownerReferences": [owner(&made[on], true)]}});
        cx.status(
            "own",
            200,
            pods.patch(dependent, harness::api::PatchKind::Merge, patch)
                .await?,
        )?;
        let owners = read(cx, &pods, dependent).await?["metadata"]["ownerReferences"].clone();
        cx.expect_eq(
            "the owner",
            made[on]["metadata"]["uid"].clone(),
            owners[0]["uid"].clone(),
        )?;
    }
    let options = json!({"propagationPolicy": "Foreground", "gracePeriodSeconds": 0});
    let answer = pods.delete_with("one", options).await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )?;
    left(cx, &pods, "app=circle", &[]).await
}

/// A controller and its two pods, all there.
async fn with_pods(cx: &CheckContext) -> CheckResult<(Collection, Collection)> {
    let (controllers, pods) = (
        cx.collection(REPLICATION_CONTROLLERS).await?,
        cx.collection(PODS).await?,
    );
    let spec = json!({"replicas": 2, "selector": {"app": "a"}, "template": template("a")});
    create(
        cx,
        &controllers,
        json!({"metadata": {"name": "owner"}, "spec": spec}),
    )
    .await?;
    cx.wait(
        "two pods of the controller, and its status to show them",
        || async {
            let found = cx.names("list", pods.list(&[("labelSelector", "app=a")]).await?)?;
            let replicas = read(cx, &controllers, "owner").await?["status"]["replicas"].clone();
            Ok(Seen::when(found.len() == 2 && replicas == 2, || {
                format!("{found:?}, status.replicas {replicas}")
            }))
        },
    )
    .await?;
    Ok((controllers, pods))
}

async fn delete_by(cx: &CheckContext, all: &Collection, policy: &str) -> CheckResult {
    let answer = all
        .delete_with("owner", json!({"propagationPolicy": policy}))
        .await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )
}

async fn pods_go(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx).await?;
    delete_by(cx, &controllers, "Background").await?;
    cx.gone(&controllers, "owner").await?;
    left(cx, &pods, "app=a", &[]).await
}

/// Upstream watches for half a minute that nothing is deleted. The owner reference, taken off before the owner goes, is the sign
/// that the collector is through with them.
async fn pods_stay(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx).await?;
    let before = cx.names("list", pods.list(&[("labelSelector", "app=a")]).await?)?;
    delete_by(cx, &controllers, "Orphan").await?;
    cx.gone(&controllers, "owner").await?;
    orphaned(cx, &pods, &before).await
}

async fn orphaned(cx: &CheckContext, all: &Collection, before: &[String]) -> CheckResult {
    let now = cx.items("list", all.list(&[("labelSelector", "app=a")]).await?)?;
    let mut names = now
        .iter()
        .map(|object| harness::check::name(object).to_owned())
        .collect::<Vec<_>>();
    names.sort();
    cx.expect_eq("what is left", before.to_vec(), names)?;
    for object in &now {
        let owners = &object["metadata"]["ownerReferences"];
        cx.expect(
            "no owner any more",
            owners.as_array().is_none_or(Vec::is_empty),
            || owners.to_string(),
        )?;
        cx.expect(
            "no deletion",
            object["metadata"]["deletionTimestamp"].is_null(),
            || object["metadata"].to_string(),
        )?;
    }
    Ok(())
}

async fn with_set(cx: &CheckContext) -> CheckResult<(Collection, Collection, Vec<String>)> {
    let (deployments, sets) = (
        cx.collection(DEPLOYMENTS).await?,
        cx.collection(REPLICA_SETS).await?,
    );
    let spec = json!({"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": template("a")});
    create(
        cx,
        &deployments,
        json!({"metadata": {"name": "owner"}, "spec": spec}),
    )
    .await?;
    let names = cx
        .wait("one ReplicaSet of the Deployment", || async {
            let found = cx.names("list", sets.list(&[("labelSelector", "app=a")]).await?)?;
            Ok(if found.len() == 1 {
                Seen::Done(found)
            } else {
                Seen::Not(format!("{found:?}"))
            })
        })
        .await?;
    Ok((deployments, sets, names))
}

async fn set_goes(cx: &CheckContext) -> CheckResult {
    let (deployments, sets, _) = with_set(cx).await?;
    delete_by(cx, &deployments, "Background").await?;
    cx.gone(&deployments, "owner").await?;
    left(cx, &sets, "app=a", &[]).await
}

async fn set_stays(cx: &CheckContext) -> CheckResult {
    let (deployments, sets, names) = with_set(cx).await?;
    delete_by(cx, &deployments, "Orphan").await?;
    cx.gone(&deployments, "owner").await?;
    orphaned(cx, &sets, &names).await
}

/// A finalizer of ours on one pod makes the state visible that upstream has to catch by chance.
async fn foreground(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx).await?;
    let names = cx.names("list", pods.list(&[("labelSelector", "app=a")]).await?)?;
    let hold = json!({"metadata": {"finalizers": ["assay.dev/hold"]}});
    cx.status(
        "hold a pod",
        200,
        pods.patch(&names[0], harness::api::PatchKind::Merge, hold)
            .await?,
    )?;
    cx.api().ledger().enter(pods.item(&names[0]), false);
    delete_by(cx, &controllers, "Foreground").await?;
    let held = read(cx, &controllers, "owner").await?;
    cx.text("the owner", &held, "/metadata/deletionTimestamp")?;
    cx.expect_eq(
        "the owner's finalizers",
        json!(["foregroundDeletion"]),
        held["metadata"]["finalizers"].clone(),
    )?;
    left(cx, &pods, "app=a", &[&names[0]]).await?;
    read(cx, &controllers, "owner").await?;
    let release = json!({"metadata": {"finalizers": null}});
    cx.status(
        "release the pod",
        200,
        pods.patch(&names[0], harness::api::PatchKind::Merge, release)
            .await?,
    )?;
    cx.gone(&controllers, "owner").await?;
    left(cx, &pods, "app=a", &[]).await
}
