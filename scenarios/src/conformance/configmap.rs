//! ConfigMaps.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::CONFIG_MAPS;
use super::steps::{create, newer};

const SERVED: &[Requirement] = &[Requirement::Resource("v1", "configmaps")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "configmap/lives-through-its-lifecycle",
        title: "A ConfigMap is created, read, patched, found in all namespaces by its label and deleted by collection.",
        official: &["[sig-node] ConfigMap should run through a ConfigMap lifecycle"],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::VERSION_CONSTANT,
            mutant::PATCH_NOT_APPLIED,
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::LIST_REPEATS_ITEM,
            mutant::STALE_LIST,
            mutant::DATA_LOST,
            mutant::LABELS_LOST,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::DROPS_MODIFIED,
            mutant::DROPS_DELETED,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "configmap/update-is-stored",
        title: "A replaced ConfigMap is read back with its new data only, under the same uid and a new resourceVersion.",
        official: &["[sig-node] ConfigMap should update ConfigMap successfully"],
        requires: SERVED,
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::STALE_READ,
            mutant::UID_CHANGES,
            mutant::VERSION_CONSTANT,
            mutant::DATA_LOST,
        ],
        run: |cx| Box::pin(update(cx)),
        ..Check::BASE
    },
    Check {
        id: "configmap/empty-key-is-refused",
        title: "A ConfigMap with an empty key is refused as invalid and not stored.",
        official: &["[sig-node] ConfigMap should fail to create ConfigMap with empty key"],
        requires: SERVED,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(empty_key(cx)),
        ..Check::BASE
    },
];

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let mark = harness::api::namespace::unique("map");
    let static_label = format!("static={mark}");
    let mut watch = cx.watch(&maps, &[("labelSelector", &static_label)]).await?;
    for (name, static_value) in [("first", mark.as_str()), ("second", "other")] {
        let body = json!({"metadata": {"name": name, "labels": {"static": static_value}}, "data": {"key": "value"}});
        create(cx, &maps, body).await?;
    }
    watch.next("ADDED", "first").await?;
    let made = cx.status("get", 200, maps.get("first").await?)?;
    cx.contains("the stored ConfigMap", &json!({"metadata": {"name": "first", "labels": {"static": mark}}, "data": {"key": "value"}}), &made)?;

    let patch =
        json!({"metadata": {"labels": {"patched": mark}}, "data": {"key": "patched value"}});
    cx.status(
        "patch",
        200,
        maps.patch("first", PatchKind::Strategic, patch).await?,
    )?;
    let seen = watch.next("MODIFIED", "first").await?;
    let expected = json!({"metadata": {"labels": {"static": mark, "patched": mark}}, "data": {"key": "patched value"}});
    cx.contains("the patched ConfigMap in the watch", &expected, &seen)?;
    let stored = cx.status("get after patch", 200, maps.get("first").await?)?;
    cx.contains("the patched ConfigMap", &expected, &stored)?;
    newer(cx, "the patched ConfigMap", &made, &stored)?;

    let patched = format!("patched={mark}");
    let found = cx.items(
        "list in all namespaces by the patched label",
        cx.everywhere(CONFIG_MAPS)
            .list(&[("labelSelector", &patched)])
            .await?,
    )?;
    cx.expect_eq("ConfigMaps with the patched label", 1, found.len())?;
    cx.contains(
        "the ConfigMap in the list",
        &json!({"metadata": {"name": "first", "namespace": cx.namespace().await?}}),
        &found[0],
    )?;
    cx.contains("the ConfigMap in the list", &expected, &found[0])?;

    cx.only(
        "before deletecollection",
        &["first"],
        maps.list(&[("labelSelector", &static_label)]).await?,
    )?;
    cx.status(
        "deletecollection",
        200,
        maps.delete_collection(&[("labelSelector", &static_label)])
            .await?,
    )?;
    watch.next("DELETED", "first").await?;
    cx.only(
        "after deletecollection",
        &[],
        maps.list(&[("labelSelector", &static_label)]).await?,
    )?;
    cx.status(
        "get of the one with another label",
        200,
        maps.get("second").await?,
    )
    .map(drop)
}

async fn update(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let made = cx.status(
        "create",
        201,
        maps.create(json!({"metadata": {"name": "map"}, "data": {"one": "1", "two": "2"}}))
            .await?,
    )?;
    let mut wanted = made.clone();
    wanted["data"] = json!({"data": "value"});
    let answered = cx.status("replace", 200, maps.replace("map", wanted).await?)?;
    let stored = cx.status("get", 200, maps.get("map").await?)?;
    cx.expect_eq("data", json!({"data": "value"}), stored["data"].clone())?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )?;
    let (before, after) = (
        cx.text("create", &made, "/metadata/resourceVersion")?,
        cx.text("get", &stored, "/metadata/resourceVersion")?,
    );
    cx.expect(
        "another resourceVersion after the update",
        before != after,
        || after.to_owned(),
    )?;
    cx.expect_eq(
        "the read resourceVersion",
        answered["metadata"]["resourceVersion"].clone(),
        stored["metadata"]["resourceVersion"].clone(),
    )
}

async fn empty_key(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let answer = maps
        .create(json!({"metadata": {"name": "map"}, "data": {"": "value"}}))
        .await?;
    cx.refused("create with an empty key", 422, "Invalid", &answer)?;
    cx.refused(
        "get of what was refused",
        404,
        "NotFound",
        &maps.get("map").await?,
    )
}
