//! What keeps sets of pods, as API objects: the contract that upstream examines once their pods run, without any pod. The
//! names bound here are of tests that wait for running pods or count nodes: of them the API's part alone is stated.

use harness::api::PatchKind;
use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::crud::{self, Crud, crud};
use super::kinds::{CONTROLLER_REVISIONS, DAEMON_SETS, DEPLOYMENTS, REPLICA_SETS, STATEFUL_SETS};
use super::steps::{create, delete, read, template, update};

const CONTROLLED: Requirement = Requirement::Behaviour("workload-controllers");

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "sets/daemon-set-serves-every-verb",
        title: "DaemonSets serve every verb and every kind of patch, and have a status of their own.",
        official: &[
            "[sig-apps] Daemon set should list and delete a collection of DaemonSets",
            "[sig-apps] Daemon set should verify changes to a daemon set status",
        ],
        requires: &[
            // On the official list since then; v1.21 drops the label that a status apply brings.
            Requirement::Since(22),
            Requirement::Resource("apps/v1", "daemonsets/status"),
            CONTROLLED,
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(DAEMON_SETS, daemon_set())
                    .with_status(status())
                    .reconciled(),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "sets/deployment-status-is-separate",
        title: "Deployments serve every verb and every kind of patch, and have a status of their own.",
        official: &["[sig-apps] Deployment should validate Deployment Status endpoints"],
        requires: &[
            Requirement::Resource("apps/v1", "deployments/status"),
            CONTROLLED,
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(DEPLOYMENTS, of_none())
                    .with_status(status())
                    .reconciled(),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "sets/replica-set-serves-every-verb",
        title: "ReplicaSets serve every verb and every kind of patch, and have a status of their own.",
        official: &[
            "[sig-apps] ReplicaSet should list and delete a collection of ReplicaSets",
            "[sig-apps] ReplicaSet should validate Replicaset Status endpoints",
        ],
        requires: &[
            // On the official list since then; v1.21 drops the label that a status apply brings.
            Requirement::Since(22),
            Requirement::Resource("apps/v1", "replicasets/status"),
            CONTROLLED,
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(REPLICA_SETS, of_none())
                    .with_status(status())
                    .reconciled(),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "sets/stateful-set-status-is-separate",
        title: "StatefulSets serve every verb and every kind of patch, and have a status of their own.",
        official: &[
            "[sig-apps] StatefulSet Basic StatefulSet functionality should validate Statefulset Status endpoints",
        ],
        requires: &[
            // On the official list since then; v1.21 drops the label that a status apply brings.
            Requirement::Since(22),
            Requirement::Resource("apps/v1", "statefulsets/status"),
            CONTROLLED,
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(STATEFUL_SETS, stateful_set())
                    .with_status(status())
                    .reconciled(),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "sets/stateful-set-serves-every-verb",
        title: "StatefulSets take a new image and number of replicas in every way of writing, and are deleted by collection.",
        official: &[
            "[sig-apps] StatefulSet Basic StatefulSet functionality should list, patch and delete a collection of StatefulSets",
        ],
        requires: &[Requirement::Resource("apps/v1", "statefulsets")],
        kills: crud::KILLS_BESIDE_CONTROLLERS,
        run: |cx| {
            let change = json!({"spec": {"replicas": 2, "template": {"spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "main", "image": "registry.invalid/assay:other"}],
            }}}});
            Box::pin(crud(
                cx,
                Crud::of(STATEFUL_SETS, stateful_set()).changing(change),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "sets/controller-revisions-live-through-their-lifecycle",
        title: "A DaemonSet's revisions are listed, patched, created, updated and deleted, and the next one is numbered on.",
        official: &[
            "[sig-apps] ControllerRevision should manage the lifecycle of a ControllerRevision",
        ],
        requires: &[
            // On the official list since then; a v1.21 was seen to remove the revision by itself.
            Requirement::Since(25),
            Requirement::Resource("apps/v1", "daemonsets"),
            Requirement::Resource("apps/v1", "controllerrevisions"),
            CONTROLLED,
        ],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::STRATEGIC_PATCH_NOT_APPLIED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::DELETE_IGNORED,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::OWNERS_LOST,
        ],
        run: |cx| Box::pin(revisions(cx)),
        ..Check::BASE
    },
];

const WITH_STATUS: &[Mutant] = &[
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::APPLY_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_MISSING,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::NEVER_MODIFIED,
];

fn of_none() -> Value {
    json!({"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "sets"}}, "template": template("sets")}})
}

fn stateful_set() -> Value {
    let mut object = of_none();
    object["spec"]["serviceName"] = json!("none");
    object
}

/// For nodes that there are not, so that no node runs its pods.
fn daemon_set() -> Value {
    let mut template = template("sets");
    template["spec"]["nodeSelector"] = json!({"assay.dev/none": "none"});
    json!({"spec": {"selector": {"matchLabels": {"app": "sets"}}, "template": template}})
}

fn status() -> Value {
    json!({"conditions": [
        {"type": "AssayWasHere", "status": "True", "reason": "Assay", "message": "set by a check", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]})
}

async fn revisions(cx: &CheckContext) -> CheckResult {
    let (sets, all) = (
        cx.collection(DAEMON_SETS).await?,
        cx.collection(CONTROLLER_REVISIONS).await?,
    );
    let mut object = daemon_set();
    object["metadata"] = json!({"name": "set"});
    let set = create(cx, &sets, object).await?;
    let listed = || async {
        cx.items(
            "list of revisions in all namespaces",
            cx.everywhere(CONTROLLER_REVISIONS)
                .list(&[("labelSelector", "app=sets")])
                .await?,
        )
    };
    let own = |items: Vec<Value>| {
        let mut own = items;
        own.retain(|item| item["metadata"]["namespace"] == set["metadata"]["namespace"]);
        own
    };
    let counted = |count: usize| {
        let (listed, own) = (&listed, &own);
        cx.wait(
            if count == 1 {
                "one revision"
            } else {
                "two revisions"
            },
            move || async move {
                let found = own(listed().await?);
                let seen = format!("{} revisions", found.len());
                Ok(if found.len() == count {
                    Seen::Done(found)
                } else {
                    Seen::Not(seen)
                })
            },
        )
    };
    let first = counted(1).await?.remove(0);
    cx.expect_eq(
        "uid of the revision's owner",
        set["metadata"]["uid"].clone(),
        first["metadata"]["ownerReferences"][0]["uid"].clone(),
    )?;
    let patched = json!({"metadata": {"labels": {"changed": "patched"}}});
    let answer = all
        .patch(name(&first), PatchKind::Strategic, patched.clone())
        .await?;
    cx.status("patch", 200, answer)?;
    let stored = read(cx, &all, name(&first)).await?;
    cx.contains("the patched revision", &patched, &stored)?;

    let mut second = first.clone();
    second["metadata"] = json!({
        "name": "set-second",
        "labels": {"app": "sets"},
        "ownerReferences": first["metadata"]["ownerReferences"],
    });
    second["revision"] = json!(2);
    let made = create(cx, &all, second.clone()).await?;
    let owners = "owners of the created revision";
    let given = json!({"metadata": {"ownerReferences": second["metadata"]["ownerReferences"]}});
    cx.contains(owners, &given, &made)?;
    cx.contains(owners, &given, &read(cx, &all, "set-second").await?)?;
    counted(2).await?;
    delete(cx, &all, name(&first)).await?;
    counted(1).await?;
    let change = |object: &mut Value| object["metadata"]["labels"]["changed"] = json!("updated");
    let answer = update(cx, &all, "set-second", change).await?;
    let updated = json!({"metadata": {"labels": {"changed": "updated"}}});
    cx.contains("the answer to the update", &updated, &answer)?;
    let patch = json!({"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 1}}}});
    let answer = sets.patch("set", PatchKind::Strategic, patch).await?;
    cx.status("patch of the DaemonSet", 200, answer)?;
    counted(2).await?;
    let answer = all
        .delete_collection(&[("labelSelector", "changed=updated")])
        .await?;
    cx.status("deletecollection", 200, answer)?;
    let rest = counted(1).await?.remove(0);
    cx.expect_eq(
        "number of the newest revision",
        json!(3),
        rest["revision"].clone(),
    )
}
