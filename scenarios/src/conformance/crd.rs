//! Custom resource definitions and the resources that they define.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{PatchKind, Request};
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::definitions::{definition, discovered, ready, serve};
use super::kinds::CRDS;
use super::steps::{create, delete, left, newer, read, update};

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
        title: "A CustomResourceDefinition becomes Established, its resource is discovered and served, and goes with it.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources Simple CustomResourceDefinition creating/deleting custom resource definition objects works",
        ],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::DELETE_IGNORED,
            mutant::STATUS_MISSING,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::RESOURCES_MISSING,
        ],
        run: |cx| Box::pin(established(cx)),
        ..Check::BASE
    },
    Check {
        id: "crd/collections-are-listed-and-deleted",
        title: "Ten labelled CustomResourceDefinitions are listed as they were made; deletecollection takes just those and what they serve.",
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
            mutant::VERSION_CONSTANT,
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
            mutant::UID_MISSING,
            mutant::KIND_MISSING,
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
    mutant::SPEC_LOST,
    mutant::RESOURCES_MISSING,
];

async fn established(cx: &CheckContext) -> CheckResult {
    let (all, (name, object)) = (cx.everywhere(CRDS), definition("Namespaced", json!({})));
    let path = serve(cx, &all, object).await?;
    delete(cx, &all, &name).await?;
    cx.wait(&format!("{path} to be served no longer"), || async {
        let answer = cx.api().get(&path).await?;
        Ok(Seen::when(answer.status == 404, || answer.summary()))
    })
    .await?;
    discovered(cx, path.trim_end_matches("/things"), false).await
}

async fn collections(cx: &CheckContext) -> CheckResult {
    let (all, mark) = (cx.everywhere(CRDS), unique("crds"));
    let mut made = Vec::new();
    for number in 0..11 {
        let (_, mut object) = definition("Cluster", json!({}));
        object["metadata"]["labels"] = json!({"set": if number < 10 { &mark } else { "other" }});
        made.push(create(cx, &all, object).await?);
    }
    let mut versions = Vec::new();
    for definition in &made {
        versions.push(ready(cx, &all, definition).await?);
    }
    let (selector, marked) = (format!("set={mark}"), &made[..10]);
    let list = all.list(&[("labelSelector", &selector)]).await?;
    cx.only(
        "list by label",
        &marked.iter().map(name).collect::<Vec<_>>(),
        list.clone(),
    )?;
    for listed in cx.items("list by label", list)? {
        let made = marked.iter().find(|one| name(one) == name(&listed));
        let spec = made.map_or(Value::Null, |made| made["spec"].clone());
        cx.expect_eq("the listed spec", spec, listed["spec"].clone())?;
    }
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", &selector)])
            .await?,
    )?;
    left(cx, &all, &selector, &[]).await?;
    for version in &versions[..10] {
        discovered(cx, version, false).await?;
    }
    read(cx, &all, name(&made[10])).await?;
    discovered(cx, &versions[10], true).await
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
    let made = read(cx, &all, &name).await?;
    let before = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    cx.expect_eq(
        "spec in /status",
        made["spec"].clone(),
        before["spec"].clone(),
    )?;
    let answer = update(cx, &all, &sub, |object| {
        if let Some(list) = object["status"]["conditions"].as_array_mut() {
            list.push(condition("AssayUpdated"));
        }
    })
    .await?;
    let stored = read(cx, &all, &name).await?;
    for object in [&answer, &stored] {
        cx.expect(
            "the condition of the update",
            has(object, "AssayUpdated"),
            || object["status"].to_string(),
        )?;
    }

    // An addition in place of a list replaces it; the controller puts its own conditions back.
    let patch =
        json!([{"op": "add", "path": "/status/conditions", "value": [condition("AssayPatched")]}]);
    let answer = all.patch(&sub, PatchKind::Json, patch).await?;
    let answer = cx.status("PATCH of /status", 200, answer)?;
    let stored = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    for object in [&answer, &stored] {
        cx.expect(
            "the condition of the patch",
            has(object, "AssayPatched") && !has(object, "AssayUpdated"),
            || object["status"].to_string(),
        )?;
    }
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
    let first = cx.status(
        "create without fields",
        201,
        cx.api().create(&path, make("one", json!({}))).await?,
    )?;
    cx.contains("the defaults at once", &json!({"a": "A", "b": "B"}), &first)?;
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
    newer(cx, "the second thing", &first, &made)?;

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

/// At the end each is made once more: a watch that sees this next has seen nothing of the other in between.
async fn watched(cx: &CheckContext) -> CheckResult {
    let properties = json!({"content": {"type": "string"}});
    let (all, (_, object)) = (cx.everywhere(CRDS), definition("Cluster", properties));
    let group = object["spec"]["group"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let path = serve(cx, &all, object).await?;
    let thing = |name: &str| json!({"apiVersion": format!("{group}/v1"), "kind": "Thing", "metadata": {"name": name}});
    let names = ["a", "b"];
    let mut watches = Vec::new();
    for name in names {
        let selector = format!("metadata.name={name}");
        watches.push(
            cx.watch_path(Request::get(&path).query(&[("fieldSelector", &selector)]))
                .await?,
        );
    }
    let mut made = Vec::new();
    for name in names {
        let created = cx.status("create", 201, cx.api().create(&path, thing(name)).await?)?;
        cx.text("the created thing", &created, "/metadata/uid")?;
        cx.contains("the created thing", &thing(name), &created)?;
        made.push(created);
    }
    let patch = json!([{"op": "add", "path": "/content", "value": "new"}]);
    for name in names {
        let item = format!("{path}/{name}");
        cx.status(
            "patch",
            200,
            cx.api()
                .patch(&item, PatchKind::Json, patch.clone())
                .await?,
        )?;
    }
    for name in names {
        let item = format!("{path}/{name}");
        cx.status("delete", 200, cx.api().delete(&item, &[]).await?)?;
    }
    for name in names {
        cx.status("create", 201, cx.api().create(&path, thing(name)).await?)?;
    }
    for ((name, watch), made) in names.into_iter().zip(&mut watches).zip(made) {
        cx.expect_eq(
            "the thing in the watch",
            made,
            watch.next("ADDED", name).await?,
        )?;
        cx.expect_eq(
            "content after the patch",
            json!("new"),
            watch.next("MODIFIED", name).await?["content"].clone(),
        )?;
        watch.next("DELETED", name).await?;
        watch.next("ADDED", name).await?;
    }
    Ok(())
}
