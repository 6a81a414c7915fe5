//! The walk over every verb of a resource, which many official tests make: discovery, create, get, list, watch, patch, update,
//! delete, deletecollection. Stricter than upstream, whose watch loops stop at the first event of any kind: here each change
//! must come, in order, and nothing of another label may.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Resource};
use harness::check::{CheckContext, CheckFault, CheckResult, Watching};
use serde_json::{Value, json};

use super::labels::relabelled;
use super::steps::{create, delete, left, newer, read, update};

/// Controllers settle: more changes than these between two of the walk's own are a server that never does.
const OTHERS_WRITE_AT_MOST: usize = 60;

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
    mutant::VERSION_CONSTANT,
];

/// A resource to walk over.
pub(crate) struct Walk {
    pub(crate) resource: Resource,
    /// An object without metadata. Its fields must be read back as they were written.
    pub(crate) body: fn() -> Value,
    /// Fields that the server must add.
    pub(crate) defaults: fn() -> Value,
}

/// What is walked over, with what only a run can tell: names, and who else writes.
pub(crate) struct Subject {
    pub(crate) resource: Resource,
    /// As in [`Walk`]. A status in it is written but not looked for: most servers drop it at creation.
    pub(crate) body: Value,
    /// As in [`Walk`].
    pub(crate) defaults: Value,
    /// Names of the objects: three that are selected, and one that is not.
    pub(crate) names: [String; 4],
    /// Whether controllers write to these objects too: their changes may then come between the walk's own.
    pub(crate) shared: bool,
}

impl Subject {
    /// Objects with generated names that nobody else writes to.
    pub(crate) fn new(resource: Resource, body: Value) -> Self {
        Self {
            resource,
            body,
            defaults: json!({}),
            names: ["first", "second", "third", "other"].map(unique),
            shared: false,
        }
    }

    /// What must be read back.
    pub(crate) fn stored(&self) -> Value {
        let mut stored = self.body.clone();
        stored.as_object_mut().map(|fields| fields.remove("status"));
        stored
    }
}

/// Walks over every verb.
pub(crate) async fn walk(cx: &CheckContext, walk: &Walk) -> CheckResult {
    let mut subject = Subject::new(walk.resource, (walk.body)());
    subject.defaults = (walk.defaults)();
    walk_over(cx, &subject).await
}

/// The same over what a run made up.
pub(crate) async fn walk_over(cx: &CheckContext, subject: &Subject) -> CheckResult {
    discovered(cx, subject.resource).await?;
    let all = cx.collection(subject.resource).await?;
    let mark = unique("walk");
    let selector = format!("walk={mark}");
    let object = |name: &str, label: &str| {
        let mut object = subject.body.clone();
        object["metadata"] = json!({"name": name, "labels": {"walk": label}});
        object
    };
    let [first, second, third, other] = subject.names.each_ref().map(String::as_str);

    let made = create(cx, &all, object(first, &mark)).await?;
    cx.refused(
        "create of what exists",
        409,
        "AlreadyExists",
        &all.create(object(first, &mark)).await?,
    )?;
    for (name, label) in [(second, mark.as_str()), (third, &mark), (other, "other")] {
        create(cx, &all, object(name, label)).await?;
    }
    let stored = read(cx, &all, first).await?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )?;
    cx.contains("the stored object", &subject.stored(), &stored)?;
    cx.contains("the stored object's defaults", &subject.defaults, &stored)?;

    let list = all.list(&[("labelSelector", &selector)]).await?;
    let version = cx
        .text("list", &list.body, "/metadata/resourceVersion")?
        .to_owned();
    cx.only("list by label", &[first, second, third], list)?;
    cx.only(
        "list in all namespaces by label",
        &[first, second, third],
        cx.everywhere(subject.resource)
            .list(&[("labelSelector", &selector)])
            .await?,
    )?;

    let since = [
        ("labelSelector", selector.as_str()),
        ("resourceVersion", &version),
    ];
    let mut watch = cx.watch(&all, &since).await?;
    // Where the resource has namespaces, this is the watch of all of them.
    let mut everywhere = cx.watch(&cx.everywhere(subject.resource), &since).await?;
    // A change of the one with another label comes first, so that a watch which ignores its selector shows it.
    let aside = all
        .patch(
            other,
            PatchKind::Merge,
            json!({"metadata": {"annotations": {"aside": "yes"}}}),
        )
        .await?;
    cx.status("patch of the one with another label", 200, aside)?;
    changed(cx, &all, subject, [&mut watch, &mut everywhere]).await?;
    relabelled(cx, &all, second, &selector).await?;

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
    read(cx, &all, other).await.map(drop)
}

/// Patch, then update; each must be answered, stored, and seen by the watch.
async fn changed(
    cx: &CheckContext,
    all: &Collection,
    subject: &Subject,
    watches: [&mut Watching<'_>; 2],
) -> CheckResult {
    let name = subject.names[0].as_str();
    let before = read(cx, all, name).await?;
    let patched = json!({"metadata": {"annotations": {"patched": "true"}}});
    let patch = cx.status(
        "patch",
        200,
        all.patch(name, PatchKind::Merge, patched.clone()).await?,
    )?;
    cx.contains("the patched object", &patched, &patch)?;
    newer(cx, "the patched object", &before, &patch)?;
    let stored = read(cx, all, name).await?;
    cx.contains("the object read after the patch", &patched, &stored)?;

    let updated = json!({"metadata": {"annotations": {"patched": "true", "updated": "true"}}});
    let change = |object: &mut Value| object["metadata"]["annotations"]["updated"] = json!("true");
    let answer = if subject.shared {
        update(cx, all, name, change).await?
    } else {
        let mut wanted = stored;
        change(&mut wanted);
        cx.status("update", 200, all.replace(name, wanted).await?)?
    };
    cx.contains("the updated object", &updated, &answer)?;
    newer(cx, "the updated object", &patch, &answer)?;
    cx.contains(
        "the object read after the update",
        &updated,
        &read(cx, all, name).await?,
    )?;

    for watch in watches {
        let event = modified(cx, subject, watch, &patch).await?;
        cx.contains("the patch in the watch", &patched, &event)?;
        cx.expect(
            "the patch to come before the update",
            event["metadata"]["annotations"]["updated"].is_null(),
            || event.to_string(),
        )?;
        let event = modified(cx, subject, watch, &answer).await?;
        cx.contains("the update in the watch", &updated, &event)?;
    }
    Ok(())
}

/// The event of a change of the first object, by the answer to it: the very next event where nobody else writes, else the
/// one with the answered version.
async fn modified(
    cx: &CheckContext,
    subject: &Subject,
    watch: &mut Watching<'_>,
    answer: &Value,
) -> CheckResult<Value> {
    let [first, selected @ .., _] = &subject.names;
    if !subject.shared {
        return watch.next("MODIFIED", first).await;
    }
    let wanted = cx.text("the answer", answer, "/metadata/resourceVersion")?;
    for _ in 0..OTHERS_WRITE_AT_MOST {
        let event = watch.any(&format!("a change of {first}")).await?;
        let own = event.name() == first || selected.iter().any(|name| name == event.name());
        cx.expect(
            "changes of the selected objects only",
            own && event.kind == "MODIFIED",
            || format!("{} of {}", event.kind, event.name()),
        )?;
        if event.name() == first && event.version() == wanted {
            return Ok(event.object);
        }
    }
    Err(CheckFault::Failed(format!(
        "expected a change of {first}; seen: {OTHERS_WRITE_AT_MOST} changes by others"
    )))
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
            cx.expect_eq(
                "name of the group",
                group,
                view["name"].as_str().unwrap_or_default(),
            )?;
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
