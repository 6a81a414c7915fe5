//! Custom resource definitions and the resources that they define.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Request};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::CRDS;
use super::steps::{create, delete, left, read, update};

const SERVED: &[Requirement] = &[Requirement::Resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
)];
const STATUS: &[Requirement] = &[Requirement::Resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions/status",
)];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "crd/is-established-and-deleted",
        title: "A CustomResourceDefinition is created, becomes Established, serves its resource, and is deleted with it.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition creating/deleting custom resource definition objects works",
        ],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::DELETE_IGNORED,
            mutant::STATUS_MISSING,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(established(cx)),
        ..Check::BASE
    },
    Check {
        id: "crd/collections-are-listed-and-deleted",
        title: "Ten labelled CustomResourceDefinitions are listed by their label, and deletecollection takes just those.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition listing custom resource definition objects works",
        ],
        requires: SERVED,
        kills: COLLECTION,
        run: |cx| Box::pin(collections(cx)),
        ..Check::BASE
    },
    Check {
        id: "crd/status-is-separate",
        title: "A CustomResourceDefinition's status is read, updated and patched apart, and each change is read back.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition getting/updating/patching custom resource definition status sub-resource works",
        ],
        requires: STATUS,
        kills: &[
            mutant::STATUS_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_MISSING,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(status(cx)),
        ..Check::BASE
    },
    Check {
        id: "crd/schema-defaults-are-applied",
        title: "Schema defaults are applied to writes and to what is read; once written they stay when the default goes.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources custom resource defaulting for requests and from storage works",
        ],
        requires: SERVED,
        kills: &[
            mutant::PATCH_NOT_APPLIED,
            mutant::STALE_READ,
            mutant::UPDATE_NOT_APPLIED,
        ],
        run: |cx| Box::pin(defaulting(cx)),
        ..Check::BASE
    },
    Check {
        id: "crd/custom-resources-are-watched",
        title: "Watches of two custom resources see the ADDED, MODIFIED and DELETED of their own.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition Watch CustomResourceDefinition Watch watch on custom resource definition objects",
        ],
        requires: SERVED,
        kills: &[
            mutant::DROPS_ADDED,
            mutant::DROPS_MODIFIED,
            mutant::DROPS_DELETED,
            mutant::WATCH_IGNORES_SELECTOR,
            mutant::SWAPS_EVENTS,
        ],
        run: |cx| Box::pin(watched(cx)),
        ..Check::BASE
    },
];

const COLLECTION: &[Mutant] = &[
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::STALE_LIST,
];

/// A definition in a group of its own: its full name and itself.
fn definition(scope: &str, properties: Value) -> (String, Value) {
    let group = format!("{}.example.com", unique("crd"));
    let object = json!({
        "metadata": {"name": format!("things.{group}")},
        "spec": {
            "group": group,
            "scope": scope,
            "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
            }],
        },
    });
    (format!("things.{group}"), object)
}

/// Makes a definition and waits until it is Established and its resource is served; gives the resource's cluster-wide path.
async fn serve(cx: &CheckContext, all: &Collection, object: Value) -> CheckResult<String> {
    let made = create(cx, all, object).await?;
    let (name, group) = (
        cx.text("the definition", &made, "/metadata/name")?,
        cx.text("the definition", &made, "/spec/group")?,
    );
    cx.wait(&format!("{name} to be Established"), || async {
        let conditions = read(cx, all, name).await?["status"]["conditions"].clone();
        let established = conditions
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one["type"] == "Established" && one["status"] == "True");
        Ok(Seen::when(established, || conditions.to_string()))
    })
    .await?;
    let path = format!("/apis/{group}/v1/things");
    cx.wait(&format!("{path} to be served"), || async {
        let answer = cx.api().get(&path).await?;
        Ok(Seen::when(
            answer.status == 200 && answer.body["kind"] == "ThingList",
            || answer.summary(),
        ))
    })
    .await?;
    Ok(path)
}

async fn established(cx: &CheckContext) -> CheckResult {
    let (all, (name, object)) = (cx.everywhere(CRDS), definition("Namespaced", json!({})));
    let path = serve(cx, &all, object).await?;
    delete(cx, &all, &name).await?;
    cx.wait(&format!("{path} to be served no longer"), || async {
        let answer = cx.api().get(&path).await?;
        Ok(Seen::when(answer.status == 404, || answer.summary()))
    })
    .await
}

async fn collections(cx: &CheckContext) -> CheckResult {
    let (all, mark) = (cx.everywhere(CRDS), unique("crds"));
    let mut names = Vec::new();
    for number in 0..11 {
        let (name, mut object) = definition("Cluster", json!({}));
        object["metadata"]["labels"] = json!({"set": if number < 10 { &mark } else { "other" }});
        create(cx, &all, object).await?;
        names.push(name);
    }
    let selector = format!("set={mark}");
    let marked = names[..10].iter().map(String::as_str).collect::<Vec<_>>();
    cx.only(
        "list by label",
        &marked,
        all.list(&[("labelSelector", &selector)]).await?,
    )?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", &selector)])
            .await?,
    )?;
    left(cx, &all, &selector, &[]).await?;
    read(cx, &all, &names[10]).await.map(drop)
}

async fn status(cx: &CheckContext) -> CheckResult {
    let (all, (name, object)) = (cx.everywhere(CRDS), definition("Cluster", json!({})));
    serve(cx, &all, object).await?;
    let sub = format!("{name}/status");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "assay", "message": "set by assay"});
    let has = |object: &Value, kind: &str| {
        object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one["type"] == kind && one["message"] == "set by assay")
    };
    let before = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    update(cx, &all, &sub, |object| {
        if let Some(list) = object["status"]["conditions"].as_array_mut() {
            list.push(condition("AssayUpdated"));
        }
    })
    .await?;
    let stored = read(cx, &all, &name).await?;
    cx.expect(
        "the condition of the update",
        has(&stored, "AssayUpdated"),
        || stored["status"].to_string(),
    )?;

    let mut list = stored["status"]["conditions"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    list.push(condition("AssayPatched"));
    let patch = json!({"status": {"conditions": list}});
    cx.status(
        "PATCH of /status",
        200,
        all.patch(&sub, PatchKind::Merge, patch).await?,
    )?;
    let stored = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    cx.expect(
        "the condition of the patch",
        has(&stored, "AssayPatched"),
        || stored["status"].to_string(),
    )?;
    cx.expect_eq("spec", before["spec"].clone(), stored["spec"].clone())
}

async fn defaulting(cx: &CheckContext) -> CheckResult {
    let properties = json!({"a": {"type": "string", "default": "A"}, "b": {"type": "string", "default": "B"}, "c": {"type": "string"}});
    let (all, (name, object)) = (cx.everywhere(CRDS), definition("Cluster", properties));
    let group = object["spec"]["group"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = serve(cx, &all, object).await?;
    let kind = json!({"apiVersion": format!("{group}/v1"), "kind": "Thing"});
    let make = |thing: &str, more: Value| {
        let mut body = kind.clone();
        body["metadata"] = json!({"name": thing});
        for (field, value) in more.as_object().into_iter().flatten() {
            body[field] = value.clone();
        }
        body
    };
    let made = cx.status(
        "create without fields",
        201,
        cx.api().create(&path, make("one", json!({}))).await?,
    )?;
    cx.contains("the defaults at once", &json!({"a": "A", "b": "B"}), &made)?;
    let made = cx.status(
        "create with a field",
        201,
        cx.api()
            .create(&path, make("two", json!({"a": "own"})))
            .await?,
    )?;
    cx.contains(
        "own value and default",
        &json!({"a": "own", "b": "B"}),
        &made,
    )?;

    // From here on a has no default, and c has one.
    let patch = json!([
        {"op": "remove", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/a/default"},
        {"op": "add", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/c/default", "value": "C"},
    ]);
    cx.status(
        "change of the defaults",
        200,
        all.patch(&name, PatchKind::Json, patch).await?,
    )?;
    let one = format!("{path}/one");
    cx.wait(
        "the new default of c on what is read from the datastore",
        || async {
            let stored = cx.status("get", 200, cx.api().get(&one).await?)?;
            Ok(Seen::when(stored["c"] == "C", || stored.to_string()))
        },
    )
    .await?;
    let stored = cx.status("get", 200, cx.api().get(&one).await?)?;
    cx.contains(
        "what was stored keeps its former default",
        &json!({"a": "A", "b": "B", "c": "C"}),
        &stored,
    )?;
    let patch = json!({"b": "changed"});
    cx.status(
        "patch of the thing",
        200,
        cx.api().patch(&one, PatchKind::Merge, patch).await?,
    )?;
    let stored = cx.status("get after the patch", 200, cx.api().get(&one).await?)?;
    cx.contains(
        "the patched thing",
        &json!({"a": "A", "b": "changed", "c": "C"}),
        &stored,
    )?;
    let made = cx.status(
        "create after the change",
        201,
        cx.api().create(&path, make("three", json!({}))).await?,
    )?;
    cx.expect("no default of a any more", made["a"].is_null(), || {
        made["a"].to_string()
    })?;
    let mut wanted = made;
    wanted["a"] = json!("put");
    cx.status(
        "update",
        200,
        cx.api().replace(&format!("{path}/three"), wanted).await?,
    )?;
    let stored = cx.status(
        "get after the update",
        200,
        cx.api().get(&format!("{path}/three")).await?,
    )?;
    cx.contains(
        "the updated thing",
        &json!({"a": "put", "b": "B", "c": "C"}),
        &stored,
    )
}

/// A mark at the end, which both watches see, proves that nothing else came before it.
async fn watched(cx: &CheckContext) -> CheckResult {
    let properties = json!({"content": {"type": "string"}});
    let (all, (_, object)) = (cx.everywhere(CRDS), definition("Cluster", properties));
    let group = object["spec"]["group"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = serve(cx, &all, object).await?;
    let thing = |name: &str| json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": name, "labels": {"for": name}}});
    let mut watches = Vec::new();
    for name in ["a", "b"] {
        let selector = format!("for in ({name},mark)");
        watches.push((
            name,
            cx.watch_path(Request::get(&path).query(&[("labelSelector", &selector)]))
                .await?,
        ));
    }
    for name in ["a", "b"] {
        cx.status("create", 201, cx.api().create(&path, thing(name)).await?)?;
        let item = format!("{path}/{name}");
        cx.status(
            "patch",
            200,
            cx.api()
                .patch(&item, PatchKind::Merge, json!({"content": "new"}))
                .await?,
        )?;
        cx.status("delete", 200, cx.api().delete(&item, &[]).await?)?;
    }
    cx.status(
        "create the mark",
        201,
        cx.api().create(&path, thing("mark")).await?,
    )?;
    for (name, watch) in &mut watches {
        cx.expect(
            "no content at first",
            watch.next("ADDED", name).await?["content"].is_null(),
            || "content".to_owned(),
        )?;
        cx.expect_eq(
            "content after the patch",
            json!("new"),
            watch.next("MODIFIED", name).await?["content"].clone(),
        )?;
        watch.next("DELETED", name).await?;
        watch.next("ADDED", "mark").await?;
    }
    Ok(())
}
