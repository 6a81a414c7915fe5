//! PodTemplates.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::POD_TEMPLATES;
use super::steps::{create, delete, left, newer, read, template, update};

const SERVED: &[Requirement] = &[Requirement::Resource("v1", "podtemplates")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "podtemplate/lives-through-its-lifecycle",
        title: "A PodTemplate is created with its pod defaults, patched, found by label in all namespaces and deleted.",
        official: &["[sig-node] PodTemplates should run the lifecycle of PodTemplates"],
        requires: SERVED,
        kills: &[
            mutant::VERSION_CONSTANT,
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::DELETE_IGNORED,
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::LABELS_LOST,
            mutant::STALE_LIST,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "podtemplate/collection-is-deleted-by-label",
        title: "deletecollection with a label takes exactly the PodTemplates that carry it.",
        official: &["[sig-node] PodTemplates should delete a collection of pod templates"],
        requires: SERVED,
        kills: &[
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
        ],
        run: |cx| Box::pin(collection(cx)),
        ..Check::BASE
    },
    Check {
        id: "podtemplate/replace-is-stored",
        title: "A replaced PodTemplate keeps its uid and is read back with the new annotation.",
        official: &["[sig-node] PodTemplates should replace a pod template"],
        requires: SERVED,
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::ANNOTATIONS_LOST,
            mutant::STALE_READ,
            mutant::UID_CHANGES,
        ],
        run: |cx| Box::pin(replace(cx)),
        ..Check::BASE
    },
    // No official test: defaulting has none of its own.
    Check {
        id: "podtemplate/pod-defaults-are-filled-in",
        title: "The pod in a PodTemplate gets restart policy, DNS policy, grace period and scheduler by default.",
        requires: &[
            Requirement::Resource("v1", "podtemplates"),
            Requirement::Behaviour("pod-defaulting"),
        ],
        kills: &[mutant::DEFAULTING_SKIPPED],
        run: |cx| Box::pin(defaults(cx)),
        ..Check::BASE
    },
];

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (own, everywhere) = (
        cx.collection(POD_TEMPLATES).await?,
        cx.everywhere(POD_TEMPLATES),
    );
    let (name, selector) = (
        unique("template"),
        format!("static={}", cx.namespace().await?),
    );
    let selected = [("labelSelector", selector.as_str())];
    cx.only("list before", &[], everywhere.list(&selected).await?)?;
    let made = create(cx, &own, json!({"metadata": {"name": name, "labels": {"static": cx.namespace().await?}}, "template": template("a")})).await?;
    cx.contains(
        "the stored template",
        &template("a"),
        &read(cx, &own, &name).await?["template"],
    )?;
    cx.only("list with it", &[&name], everywhere.list(&selected).await?)?;
    let patched = cx.status(
        "patch",
        200,
        own.patch(
            &name,
            PatchKind::Strategic,
            json!({"metadata": {"labels": {"podtemplate": "patched"}}}),
        )
        .await?,
    )?;
    newer(cx, "the patched PodTemplate", &made, &patched)?;
    cx.contains(
        "labels after the patch",
        &json!({"podtemplate": "patched", "static": cx.namespace().await?}),
        &read(cx, &own, &name).await?["metadata"]["labels"],
    )?;
    delete(cx, &own, &name).await?;
    cx.only("list after", &[], everywhere.list(&selected).await?)
}

async fn collection(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    for (name, set) in [
        ("one", "true"),
        ("two", "true"),
        ("three", "true"),
        ("other", "false"),
    ] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": {"set": set}}, "template": template("a")}),
        )
        .await?;
    }
    cx.only(
        "list by label",
        &["one", "two", "three"],
        all.list(&[("labelSelector", "set=true")]).await?,
    )?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", "set=true")])
            .await?,
    )?;
    left(cx, &all, "set=true", &[]).await?;
    left(cx, &all, "set", &["other"]).await
}

async fn replace(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "one"}, "template": template("a")}),
    )
    .await?;
    let answer = update(cx, &all, "one", |object| {
        object["metadata"]["annotations"]["updated"] = json!("true")
    })
    .await?;
    cx.expect_eq(
        "annotation in the answer",
        "true",
        answer["metadata"]["annotations"]["updated"]
            .as_str()
            .unwrap_or_default(),
    )?;
    let stored = read(cx, &all, "one").await?;
    cx.expect_eq(
        "annotation",
        "true",
        stored["metadata"]["annotations"]["updated"]
            .as_str()
            .unwrap_or_default(),
    )?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )
}

async fn defaults(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(POD_TEMPLATES).await?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "one"}, "template": template("a")}),
    )
    .await?;
    let expected = json!({"restartPolicy": "Always", "dnsPolicy": "ClusterFirst", "terminationGracePeriodSeconds": 30, "schedulerName": "default-scheduler"});
    cx.contains(
        "the pod's defaults",
        &expected,
        &read(cx, &all, "one").await?["template"]["spec"],
    )
}
