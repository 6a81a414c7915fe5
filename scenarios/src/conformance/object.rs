//! What every object has: generated names, finalizers, owners, preconditions, dry runs. No official test has these as its
//! subject, but for garbage collection, which has an area of its own.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::json;

use super::kinds::CONFIG_MAPS;
use super::steps::{create, delete, read};

const MAPS: &[Requirement] = &[Requirement::Resource("v1", "configmaps")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "object/names-are-generated",
        title: "generateName gives each object a name of its own that begins with the prefix.",
        requires: MAPS,
        kills: &[
            mutant::GENERATE_NAME_CONSTANT,
            mutant::GENERATE_NAME_NOT_GENERATED,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(generated(cx)),
        ..Check::BASE
    },
    Check {
        id: "object/metadata-is-filled-in",
        title: "A created object has uid, resourceVersion and creation time; two of the same name in turn have different uids.",
        requires: MAPS,
        kills: &[
            mutant::UID_MISSING,
            mutant::UID_CHANGES,
            mutant::VERSION_MISSING,
            mutant::CREATION_TIME_MISSING,
            mutant::LABELS_LOST,
            mutant::ANNOTATIONS_LOST,
            mutant::KIND_MISSING,
        ],
        run: |cx| Box::pin(metadata(cx)),
        ..Check::BASE
    },
    Check {
        id: "object/finalizer-holds-it",
        title: "A deleted object with a finalizer stays, marked for deletion, until the finalizer is taken off.",
        requires: MAPS,
        kills: &[
            mutant::FINALIZER_IGNORED,
            mutant::DELETION_TIME_MISSING,
            mutant::DELETE_IGNORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::DROPS_DELETED,
        ],
        run: |cx| Box::pin(finalizer(cx)),
        ..Check::BASE
    },
    Check {
        id: "object/deletion-heeds-preconditions",
        title: "A deletion with another uid or resourceVersion as its precondition is a conflict and deletes nothing.",
        requires: &[
            Requirement::Resource("v1", "configmaps"),
            Requirement::Behaviour("preconditions"),
        ],
        kills: &[
            mutant::PRECONDITIONS_IGNORED,
            mutant::CONFLICT_BECOMES_SUCCESS,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(preconditions(cx)),
        ..Check::BASE
    },
    Check {
        id: "object/dry-run-stores-nothing",
        title: "Dry runs of create, update, patch and delete answer as if and store nothing; they refuse what the real thing refuses.",
        requires: &[
            Requirement::Resource("v1", "configmaps"),
            Requirement::Behaviour("dry-run"),
        ],
        kills: &[
            mutant::DRY_RUN_PERSISTS,
            mutant::DRY_RUN_REFUSED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(dry_run(cx)),
        ..Check::BASE
    },
    Check {
        id: "object/invalid-names-are-refused",
        title: "An object without a name, with an invalid one, or with another than its path is refused.",
        requires: MAPS,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(invalid_names(cx)),
        ..Check::BASE
    },
];

async fn generated(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let mut names = Vec::new();
    for _ in 0..5 {
        let made = create(
            cx,
            &all,
            json!({"metadata": {"generateName": "some-", "labels": {"set": "1"}}}),
        )
        .await?;
        let made = name(&made).to_owned();
        cx.expect(
            "a name that begins with some- and goes on",
            made.starts_with("some-") && made.len() > "some-".len(),
            || made.clone(),
        )?;
        cx.expect("a name that no other has", !names.contains(&made), || {
            made.clone()
        })?;
        names.push(made);
    }
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    cx.only(
        "list",
        &names,
        all.list(&[("labelSelector", "set=1")]).await?,
    )
}

async fn metadata(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let wanted =
        json!({"metadata": {"name": "map", "labels": {"l": "1"}, "annotations": {"a": "2"}}});
    let mut uids = Vec::new();
    for _ in 0..2 {
        let made = create(cx, &all, wanted.clone()).await?;
        cx.contains("the created object", &wanted, &made)?;
        cx.contains(
            "the created object",
            &json!({"kind": "ConfigMap", "apiVersion": "v1"}),
            &made,
        )?;
        cx.expect_eq(
            "namespace",
            cx.namespace().await?,
            made["metadata"]["namespace"].as_str().unwrap_or_default(),
        )?;
        for field in ["uid", "resourceVersion", "creationTimestamp"] {
            cx.text("the created object", &made, &format!("/metadata/{field}"))?;
        }
        cx.expect_eq(
            "the read object",
            made.clone(),
            read(cx, &all, "map").await?,
        )?;
        uids.push(made["metadata"]["uid"].clone());
        delete(cx, &all, "map").await?;
    }
    cx.expect(
        "another uid for the second object of the name",
        uids[0] != uids[1],
        || uids[0].to_string(),
    )
}

async fn finalizer(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let mut watch = cx
        .watch(&all, &[("fieldSelector", "metadata.name=map")])
        .await?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "map", "finalizers": ["assay.dev/hold"]}}),
    )
    .await?;
    watch.next("ADDED", "map").await?;
    let answer = all.delete("map").await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )?;
    let event = watch.next("MODIFIED", "map").await?;
    cx.text(
        "the event of the deletion",
        &event,
        "/metadata/deletionTimestamp",
    )?;
    let held = read(cx, &all, "map").await?;
    cx.text("the held object", &held, "/metadata/deletionTimestamp")?;
    cx.expect_eq(
        "finalizers",
        json!(["assay.dev/hold"]),
        held["metadata"]["finalizers"].clone(),
    )?;

    // A second finalizer may not be added to what is being deleted.
    let more = json!({"metadata": {"finalizers": ["assay.dev/hold", "assay.dev/more"]}});
    cx.refused(
        "one more finalizer",
        422,
        "Invalid",
        &all.patch("map", PatchKind::Merge, more).await?,
    )?;
    let none = json!({"metadata": {"finalizers": null}});
    cx.status(
        "taking the finalizer off",
        200,
        all.patch("map", PatchKind::Merge, none).await?,
    )?;
    watch.next("DELETED", "map").await?;
    cx.gone(&all, "map").await
}

async fn preconditions(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let made = create(cx, &all, json!({"metadata": {"name": "map"}})).await?;
    for wrong in [
        json!({"uid": "00000000-0000-4000-8000-000000000000"}),
        json!({"resourceVersion": "1"}),
    ] {
        let answer = all
            .delete_with("map", json!({"preconditions": wrong}))
            .await?;
        cx.refused(&format!("delete if {wrong}"), 409, "Conflict", &answer)?;
        cx.expect_eq(
            "the object afterwards",
            made.clone(),
            read(cx, &all, "map").await?,
        )?;
    }
    let right = json!({"uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"]});
    cx.status(
        "delete if it is this one",
        200,
        all.delete_with("map", json!({"preconditions": right}))
            .await?,
    )?;
    cx.gone(&all, "map").await
}

async fn dry_run(cx: &CheckContext) -> CheckResult {
    let (all, api) = (cx.collection(CONFIG_MAPS).await?, cx.api());
    let dry = [("dryRun", "All")];
    let answer = all
        .create_with(json!({"metadata": {"name": "never"}}), &dry)
        .await?;
    let as_if = cx.status("dry create", 201, answer)?;
    cx.expect_eq("the name in the answer", "never", name(&as_if))?;
    cx.refused(
        "get of what was created dry",
        404,
        "NotFound",
        &all.get("never").await?,
    )?;

    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "map"}, "data": {"a": "1"}}),
    )
    .await?;
    let mut changed = made.clone();
    changed["data"] = json!({"a": "2"});
    let put = harness::api::Request::new(harness::api::Method::PUT, all.item("map"))
        .query(&dry)
        .body(changed);
    let as_if = cx.status("dry update", 200, api.send(put).await?)?;
    cx.expect_eq(
        "the data in the answer",
        json!({"a": "2"}),
        as_if["data"].clone(),
    )?;
    let patch = harness::api::Request::new(harness::api::Method::PATCH, all.item("map"))
        .content_type(PatchKind::Merge.content_type())
        .query(&dry)
        .body(json!({"data": {"a": "3"}}));
    let as_if = cx.status("dry patch", 200, api.send(patch).await?)?;
    cx.expect_eq(
        "the data in the answer",
        json!({"a": "3"}),
        as_if["data"].clone(),
    )?;
    cx.status("dry delete", 200, api.delete(&all.item("map"), &dry).await?)?;
    cx.expect_eq("the object afterwards", made, read(cx, &all, "map").await?)?;
    let answer = all
        .create_with(json!({"metadata": {"name": "map"}}), &dry)
        .await?;
    cx.refused("dry create of what exists", 409, "AlreadyExists", &answer)
}

async fn invalid_names(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    for wrong in ["Upper", "under_score", "-dash", &"long".repeat(64)] {
        let answer = all.create(json!({"metadata": {"name": wrong}})).await?;
        cx.refused(&format!("create of {wrong}"), 422, "Invalid", &answer)?;
    }
    cx.refused(
        "create without a name",
        422,
        "Invalid",
        &all.create(json!({"metadata": {}})).await?,
    )?;
    let (made, other) = (unique("map"), unique("other"));
    let mut object = create(cx, &all, json!({"metadata": {"name": made}})).await?;
    object["metadata"]["name"] = json!(other);
    cx.refused(
        "update under another's path",
        400,
        "BadRequest",
        &all.replace(&made, object).await?,
    )?;
    cx.only(
        "what is there",
        &[&made],
        all.list(&[("labelSelector", &cx.run_selector())]).await?,
    )
}
