//! Events, in their old and their new group.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::{PatchKind, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CORE_EVENTS, EVENTS};
use super::steps::{create, delete, left, newer, read};

const CORE: &[Requirement] = &[Requirement::Resource("v1", "events")];
const NEW: &[Requirement] = &[Requirement::Resource("events.k8s.io/v1", "events")];
const LIFECYCLE: &[Mutant] = &[
    mutant::CREATE_NOT_STORED,
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::STALE_READ,
    mutant::STALE_LIST,
];
const COLLECTION: &[Mutant] = &[
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DELETE_COLLECTION_DELETES_ALL,
    mutant::LIST_LOSES_ITEM,
    mutant::LABEL_SELECTOR_IGNORED,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "event/core-lives-through-its-lifecycle",
        title: "A core Event is created, listed everywhere, patched, given a series by update, and deleted.",
        official: &["[sig-instrumentation] Events should manage the lifecycle of an event"],
        requires: CORE,
        kills: LIFECYCLE,
        run: |cx| Box::pin(core_lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "event/core-collection-is-deleted-by-label",
        title: "deletecollection with a label takes exactly the core Events that carry it.",
        official: &["[sig-instrumentation] Events should delete a collection of events"],
        requires: CORE,
        kills: COLLECTION,
        run: |cx| Box::pin(collection(cx, CORE_EVENTS, core_event)),
        ..Check::BASE
    },
    Check {
        id: "event/new-lives-through-its-lifecycle",
        title: "An events.k8s.io Event is created, found by its fields in both groups, patched, updated and deleted.",
        official: &[
            "[sig-instrumentation] Events API should ensure that an event can be fetched, patched, deleted, and listed",
        ],
        requires: &[
            Requirement::Resource("events.k8s.io/v1", "events"),
            Requirement::Resource("v1", "events"),
            Requirement::Behaviour("event-fields"),
        ],
        kills: NEW_KILLS,
        run: |cx| Box::pin(new_lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "event/new-collection-is-deleted-by-label",
        title: "deletecollection with a label takes exactly the events.k8s.io Events that carry it.",
        official: &["[sig-instrumentation] Events API should delete a collection of events"],
        requires: NEW,
        kills: COLLECTION,
        run: |cx| Box::pin(collection(cx, EVENTS, new_event)),
        ..Check::BASE
    },
];

const NEW_KILLS: &[Mutant] = &[
    mutant::CREATE_NOT_STORED,
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::FIELD_SELECTOR_IGNORED,
    mutant::STALE_READ,
    mutant::VERSION_CONSTANT,
];

const TIME: &str = "2017-09-19T13:49:16.000000Z";

fn core_event(namespace: &str) -> Value {
    json!({"message": "a test event", "reason": "Test", "type": "Normal", "count": 1, "involvedObject": {"namespace": namespace}})
}

fn new_event(namespace: &str) -> Value {
    json!({
        "regarding": {"namespace": namespace}, "eventTime": TIME, "note": "a test event", "action": "Do", "reason": "Test",
        "type": "Normal", "reportingController": "assay-controller", "reportingInstance": "assay-node",
    })
}

async fn core_lifecycle(cx: &CheckContext) -> CheckResult {
    let (own, namespace) = (cx.collection(CORE_EVENTS).await?, cx.namespace().await?);
    let mut event = core_event(namespace);
    event["metadata"] = json!({"name": "event", "labels": {"constant": namespace}});
    let made = create(cx, &own, event).await?;
    // So that there is always one that the selector must leave out.
    let mut other = core_event(namespace);
    other["metadata"] = json!({"name": "other"});
    create(cx, &own, other).await?;
    let selector = format!("constant={namespace}");
    let selected = [("labelSelector", selector.as_str())];
    cx.only(
        "list in all namespaces",
        &["event"],
        cx.everywhere(CORE_EVENTS).list(&selected).await?,
    )?;

    cx.status(
        "patch",
        200,
        own.patch("event", PatchKind::Strategic, json!({"message": "patched"}))
            .await?,
    )?;
    let mut stored = read(cx, &own, "event").await?;
    cx.expect_eq("message", json!("patched"), stored["message"].clone())?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )?;

    stored["series"] = json!({"count": 100, "lastObservedTime": TIME});
    cx.status("update", 200, own.replace("event", stored).await?)?;
    cx.expect_eq(
        "series",
        json!({"count": 100, "lastObservedTime": TIME}),
        read(cx, &own, "event").await?["series"].clone(),
    )?;
    delete(cx, &own, "event").await?;
    cx.only(
        "list after delete",
        &[],
        cx.everywhere(CORE_EVENTS).list(&selected).await?,
    )?;
    cx.only(
        "list in the namespace after delete",
        &[],
        own.list(&selected).await?,
    )
}

async fn collection(cx: &CheckContext, resource: Resource, body: fn(&str) -> Value) -> CheckResult {
    let (all, namespace) = (cx.collection(resource).await?, cx.namespace().await?);
    for (name, set) in [
        ("one", "true"),
        ("two", "true"),
        ("three", "true"),
        ("other", "false"),
    ] {
        let mut event = body(namespace);
        event["metadata"] = json!({"name": name, "labels": {"set": set}});
        create(cx, &all, event).await?;
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

async fn new_lifecycle(cx: &CheckContext) -> CheckResult {
    let (own, core, namespace) = (
        cx.collection(EVENTS).await?,
        cx.collection(CORE_EVENTS).await?,
        cx.namespace().await?,
    );
    for (name, controller) in [("event", "assay-controller"), ("other", "assay-other")] {
        let mut event = new_event(namespace);
        event["metadata"] = json!({"name": name, "labels": {"constant": namespace}});
        event["reportingController"] = json!(controller);
        create(cx, &own, event).await?;
    }
    let selector = format!("constant={namespace}");
    let selected = ("labelSelector", selector.as_str());
    cx.only(
        "list in all namespaces",
        &["event", "other"],
        cx.everywhere(EVENTS).list(&[selected]).await?,
    )?;
    cx.only(
        "the core group by source",
        &["event"],
        core.list(&[("fieldSelector", "source=assay-controller")])
            .await?,
    )?;
    cx.only(
        "by reportingController",
        &["event"],
        own.list(&[("fieldSelector", "reportingController=assay-controller")])
            .await?,
    )?;

    let before = read(cx, &own, "event").await?;
    let mut change = json!({"series": {"count": 2, "lastObservedTime": TIME}});
    // The official test of v1.21 patches the note. Since then everything but the series is immutable in this group.
    if cx.offer().minor <= 21 {
        change["note"] = json!("patched");
    }
    cx.status(
        "patch",
        200,
        own.patch("event", PatchKind::Strategic, change.clone())
            .await?,
    )?;
    let mut expected = before.clone();
    for field in ["note", "series"] {
        if !change[field].is_null() {
            expected[field] = change[field].clone();
        }
    }
    let mut stored = read(cx, &own, "event").await?;
    newer(cx, "the patched Event", &before, &stored)?;
    cx.expect_eq(
        "all but the version after the patch",
        apart(&expected),
        apart(&stored),
    )?;

    let series = json!({"count": 100, "lastObservedTime": TIME});
    stored["series"] = series.clone();
    expected["series"] = series;
    cx.status("update", 200, own.replace("event", stored).await?)?;
    cx.expect_eq(
        "all but the version after the update",
        apart(&expected),
        apart(&read(cx, &own, "event").await?),
    )?;
    delete(cx, &own, "event").await?;
    cx.only(
        "list after delete",
        &["other"],
        own.list(&[selected]).await?,
    )?;
    cx.only(
        "list in all namespaces after delete",
        &["other"],
        cx.everywhere(EVENTS).list(&[selected]).await?,
    )
}

/// An object without what the server changes by itself at each write.
fn apart(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
    }
    object
}
