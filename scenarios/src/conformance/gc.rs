//! Garbage collection by owner references. Pods stay pending without a node; that is all it takes.

use harness::api::PatchKind;
use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::cascade;
use super::kinds::CONFIG_MAPS;
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
            Requirement::Behaviour("strategic-merge"),
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
        run: |cx| Box::pin(cascade::pods_go(cx)),
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
        run: |cx| Box::pin(cascade::pods_stay(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/another-owner-keeps-them",
        title: "Pods that have a second, living owner stay when the first is deleted in the foreground, and lose it as an owner.",
        official: &[
            "[sig-api-machinery] Garbage collector should not delete dependents that have both valid owner and owner that's waiting for dependents to be deleted",
        ],
        requires: OWNED_PODS,
        kills: &[
            mutant::OWNERS_LOST,
            mutant::PATCH_NOT_APPLIED,
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(cascade::two_owners(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/replica-set-goes-with-its-deployment",
        title: "Deleting a Deployment in the background removes its ReplicaSet and their pods.",
        official: &[
            "[sig-api-machinery] Garbage collector should delete RS created by deployment when not orphaning",
        ],
        requires: OWNED_SETS,
        kills: &[
            mutant::PROPAGATION_BECOMES_ORPHAN,
            mutant::DELETE_IGNORED,
            mutant::STALE_LIST,
        ],
        run: |cx| Box::pin(cascade::set_goes(cx)),
        ..Check::BASE
    },
    Check {
        id: "gc/orphaned-replica-set-stays",
        title: "Deleting a Deployment with Orphan leaves its ReplicaSet, without its owner, and their pods.",
        official: &[
            "[sig-api-machinery] Garbage collector should orphan RS created by deployment when deleteOptions.PropagationPolicy is Orphan",
        ],
        requires: OWNED_SETS,
        kills: &[
            mutant::PROPAGATION_BECOMES_BACKGROUND,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(cascade::set_stays(cx)),
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
        run: |cx| Box::pin(cascade::foreground(cx)),
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
        let mut reference = owner(&made[on], true);
        reference["controller"] = json!(true);
        let patch = json!({"metadata": {"ownerReferences": [reference]}});
        cx.status(
            "own",
            200,
            pods.patch(dependent, PatchKind::Strategic, patch).await?,
        )?;
        let owners = read(cx, &pods, dependent).await?["metadata"]["ownerReferences"].clone();
        cx.expect_eq(
            "the owner",
            made[on]["metadata"]["uid"].clone(),
            owners[0]["uid"].clone(),
        )?;
    }
    let options = json!({
        "propagationPolicy": "Foreground",
        "gracePeriodSeconds": 0,
        "preconditions": {"uid": made[0]["metadata"]["uid"]},
    });
    let answer = pods.delete_with("one", options).await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )?;
    left(cx, &pods, "app=circle", &[]).await
}
