//! The walk over every verb of a resource, which many official tests make: discovery, create, get, list, watch, patch, update,
//! delete, deletecollection. Stricter than upstream, whose watch loops stop at the first event of any kind: here each change
//! must come, in order, and nothing of another label may.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Resource};
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use super::steps::{create, delete, left, read};

/// What the walk notices, whatever the resource.
pub(crate) const KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::WRONG_KIND,
    mutant::WRONG_SCOPE,
    mutant::WRONG_GROUP,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::ERROR_BECOMES_SUCCESS,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::UID_CHANGES,
    mutant::ANNOTATIONS_LOST,
    mutant::STALE_READ,
    mutant::DROPS_MODIFIED,
    mutant::DROPS_DELETED,
    mutant::WATCH_IGNORES_SELECTOR,
    mutant::WATCH_STALE_OBJECT,
];

/// A resource to walk over.
pub(crate) struct Walk {
    pub(crate) resource: Resource,
    /// An object without metadata. Its fields must be read back as they were written.
    pub(crate) body: fn() -> Value,
    /// Fields that the server must add.
    pub(crate) defaults: fn() -> Value,
}

/// Walks over every verb.
pub(crate) async fn walk(cx: &CheckContext, walk: &Walk) -> CheckResult {
    discovered(cx, walk.resource).await?;
    let all = cx.collection(walk.resource).await?;
    let mark = unique("walk");
    let selector = format!("walk={mark}");
    let object = |name: &str, label: &str| {
        let mut object = (walk.body)();
        object["metadata"] = json!({"name": name, "labels": {"walk": label}});
        object
    };
    let names = [unique("first"), unique("second"), unique("third")];
    let [first, second, third] = names.each_ref().map(String::as_str);
    let other = unique("other");

    let made = create(cx, &all, object(first, &mark)).await?;
    cx.refused(
        "create of what exists",
        409,
        "AlreadyExists",
        &all.create(object(first, &mark)).await?,
    )?;
    for (name, label) in [(second, mark.as_str()), (third, &mark), (&other, "other")] {
        create(cx, &all, object(name, label)).await?;
    }
    let stored = read(cx, &all, first).await?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )?;
    cx.contains("the stored object", &(walk.body)(), &stored)?;
    cx.contains("the stored object's defaults", &(walk.defaults)(), &stored)?;

    let list = all.list(&[("labelSelector", &selector)]).await?;
    let version = cx
        .text("list", &list.body, "/metadata/resourceVersion")?
        .to_owned();
    cx.only("list by label", &[first, second, third], list)?;
    cx.only(
        "list in all namespaces by label",
        &[first, second, third],
        cx.everywhere(walk.resource)
            .list(&[("labelSelector", &selector)])
            .await?,
    )?;

    let mut watch = cx
        .watch(
            &all,
            &[("labelSelector", &selector), ("resourceVersion", &version)],
        )
        .await?;
    // A change of the one with another label comes first, so that a watch which ignores its selector shows it.
    let aside = all
        .patch(
            &other,
            PatchKind::Merge,
            json!({"metadata": {"annotations": {"aside": "yes"}}}),
        )
        .await?;
    cx.status("patch of the one with another label", 200, aside)?;
    changed(cx, &all, first, &mut watch).await?;

    delete(cx, &all, first).await?;
    watch.until("DELETED", first, &["ADDED"], |_| true).await?;
    cx.only(
        "list after delete",
        &[second, third],
        all.list(&[("labelSelector", &selector)]).await?,
    )?;
    let answer = all
        .delete_collection(&[("labelSelector", &selector)])
        .await?;
    cx.status("deletecollection", 200, answer)?;
    left(cx, &all, &selector, &[]).await?;
    read(cx, &all, &other).await.map(drop)
}

/// Patch, then update; each must be answered, stored, and seen by the watch.
async fn changed(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    watch: &mut harness::check::Watching<'_>,
) -> CheckResult {
    let patched = json!({"metadata": {"annotations": {"patched": "true"}}});
    let answer = cx.status(
        "patch",
        200,
        all.patch(name, PatchKind::Merge, patched.clone()).await?,
    )?;
    cx.contains("the patched object", &patched, &answer)?;
    let stored = read(cx, all, name).await?;
    cx.contains("the object read after the patch", &patched, &stored)?;

    let mut wanted = stored;
    wanted["metadata"]["annotations"]["updated"] = json!("true");
    let updated = json!({"metadata": {"annotations": {"patched": "true", "updated": "true"}}});
    let answer = cx.status("update", 200, all.replace(name, wanted).await?)?;
    cx.contains("the updated object", &updated, &answer)?;
    cx.contains(
        "the object read after the update",
        &updated,
        &read(cx, all, name).await?,
    )?;

    let event = change(watch, name, "patched").await?;
    cx.contains("the patch in the watch", &patched, &event)?;
    cx.expect(
        "the patch to come before the update",
        event["metadata"]["annotations"]["updated"].is_null(),
        || event.to_string(),
    )?;
    let event = change(watch, name, "updated").await?;
    cx.contains("the update in the watch", &updated, &event)
}

/// The next change of an object that shows this annotation. A controller may have written a status in between; nothing
/// else may come.
async fn change(
    watch: &mut harness::check::Watching<'_>,
    name: &str,
    annotation: &str,
) -> CheckResult<Value> {
    loop {
        let event = watch.next("MODIFIED", name).await?;
        if event["metadata"]["annotations"][annotation].is_string() {
            return Ok(event);
        }
    }
}

/// The group and version are listed, and the resource in them with its kind, scope and verbs.
pub(crate) async fn discovered(cx: &CheckContext, resource: Resource) -> CheckResult {
    if let Some((group, _)) = resource.group_version.split_once('/') {
        let groups = cx.status("GET /apis", 200, cx.api().get("/apis").await?)?;
        let listed = groups["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == group)
            .cloned()
            .unwrap_or_default();
        let own = cx.status(group, 200, cx.api().get(&format!("/apis/{group}")).await?)?;
        for view in [&listed, &own] {
            let found = view["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|version| version["groupVersion"] == resource.group_version);
            cx.expect(
                &format!("{group} to list {}", resource.group_version),
                found,
                || view.to_string(),
            )?;
        }
    }
    let list = cx.status(
        resource.group_version,
        200,
        cx.api().get(&resource.root()).await?,
    )?;
    cx.expect_eq(
        "groupVersion of the resource list",
        resource.group_version,
        list["groupVersion"].as_str().unwrap_or_default(),
    )?;
    let entries = list["resources"].as_array().cloned().unwrap_or_default();
    let entry = entries
        .iter()
        .find(|entry| entry["name"] == resource.plural)
        .cloned()
        .unwrap_or_default();
    cx.expect_eq(
        &format!("kind of {}", resource.plural),
        resource.kind,
        entry["kind"].as_str().unwrap_or_default(),
    )?;
    cx.expect_eq(
        "namespaced",
        json!(resource.namespaced),
        entry["namespaced"].clone(),
    )?;
    for verb in [
        "create",
        "delete",
        "deletecollection",
        "get",
        "list",
        "patch",
        "update",
        "watch",
    ] {
        let found = entry["verbs"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|listed| listed == verb);
        cx.expect(
            &format!("{} to list the verb {verb}", resource.plural),
            found,
            || entry["verbs"].to_string(),
        )?;
    }
    Ok(())
}

/// The resource list holds the subresources too, each with the verbs of reading and writing.
pub(crate) async fn subresources(
    cx: &CheckContext,
    resource: Resource,
    names: &[&str],
) -> CheckResult {
    let list = cx.status(
        resource.group_version,
        200,
        cx.api().get(&resource.root()).await?,
    )?;
    for name in names {
        let full = format!("{}/{name}", resource.plural);
        let entry = list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|entry| entry["name"] == full)
            .cloned()
            .unwrap_or_default();
        for verb in ["get", "patch", "update"] {
            let found = entry["verbs"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|listed| listed == verb);
            cx.expect(&format!("{full} to list the verb {verb}"), found, || {
                entry.to_string()
            })?;
        }
    }
    Ok(())
}
