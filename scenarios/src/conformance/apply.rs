//! Server-side apply: who owns a field, and what that means. Upstream has integration tests of it and no conformance test.

use harness::api::mutant::families as mutant;
use harness::api::{Collection, Method, PatchKind, Request, Response};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::CONFIG_MAPS;
use super::steps::{read, update};

/// Generally available since 1.22, and served by default since 1.16.
const NEEDS: &[Requirement] = &[
    Requirement::Resource("v1", "configmaps"),
    Requirement::Behaviour("server-side-apply"),
];
const NAME: &str = "applied";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "apply/conflicts-name-field-and-owner",
        title: "An apply that changes another manager's field is refused, names field and owner, and changes nothing.",
        requires: NEEDS,
        kills: &[
            mutant::APPLY_ALWAYS_FORCED,
            mutant::APPLY_MANAGERS_MERGED,
            mutant::CONFLICT_WITHOUT_CAUSES,
            mutant::CONFLICT_BECOMES_SUCCESS,
            mutant::MANAGED_FIELDS_LOST,
        ],
        run: |cx| Box::pin(conflicts(cx)),
        ..Check::BASE
    },
    Check {
        id: "apply/force-moves-ownership",
        title: "A forced apply takes the field and its ownership; the former owner now meets the conflict.",
        requires: NEEDS,
        kills: &[
            mutant::APPLY_FORCE_IGNORED,
            mutant::APPLY_AS_MERGE,
            mutant::MANAGED_FIELDS_LOST,
            mutant::PATCH_NOT_APPLIED,
        ],
        run: |cx| Box::pin(force(cx)),
        ..Check::BASE
    },
    Check {
        id: "apply/shared-fields-stay-until-the-last-owner",
        title: "A field that two managers apply alike is owned by both, and goes only when the second gives it up.",
        requires: NEEDS,
        kills: &[
            mutant::APPLY_AS_MERGE,
            mutant::APPLY_MANAGERS_MERGED,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(shared(cx)),
        ..Check::BASE
    },
    Check {
        id: "apply/updates-take-ownership",
        title: "An update moves the ownership of just what it changes, and a later apply of the old value conflicts.",
        requires: NEEDS,
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::APPLY_ALWAYS_FORCED,
            mutant::MANAGED_FIELDS_LOST,
        ],
        run: |cx| Box::pin(updates(cx)),
        ..Check::BASE
    },
    Check {
        id: "apply/wants-a-manager",
        title: "An apply without a manager, one with managedFields, and a force that is no apply are refused.",
        requires: NEEDS,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::APPLY_AS_MERGE],
        run: |cx| Box::pin(refusals(cx)),
        ..Check::BASE
    },
];

/// Applies `data` as `manager`.
async fn apply(
    all: &Collection,
    cx: &CheckContext,
    manager: &str,
    data: Value,
    force: bool,
) -> CheckResult<Response> {
    let object = all.labelled(json!({"metadata": {"name": NAME}, "data": data}));
    let mut request = Request::new(Method::PATCH, all.item(NAME))
        .content_type(PatchKind::Apply.content_type())
        .query(&[("fieldManager", manager)])
        .body(object);
    if force {
        request = request.query(&[("force", "true")]);
    }
    Ok(cx.api().send(request).await?)
}

/// The stored object has exactly this data.
async fn stored(cx: &CheckContext, all: &Collection, data: Value) -> CheckResult<Value> {
    let object = read(cx, all, NAME).await?;
    cx.expect_eq("the stored data", data, object["data"].clone())?;
    Ok(object)
}

/// The entries of `data` that a manager owns by this operation, sorted.
fn owned(object: &Value, manager: &str, operation: &str) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array();
    let own = entries
        .into_iter()
        .flatten()
        .filter(|entry| entry["manager"] == manager && entry["operation"] == operation);
    let mut names = own
        .filter_map(|entry| entry["fieldsV1"]["f:data"].as_object())
        .flat_map(|fields| fields.keys())
        .filter_map(|field| field.strip_prefix("f:").map(str::to_owned))
        .collect::<Vec<_>>();
    names.sort();
    names
}

fn owns(
    cx: &CheckContext,
    object: &Value,
    manager: &str,
    operation: &str,
    fields: &[&str],
) -> CheckResult {
    cx.expect_eq(
        &format!("data that {manager} owns by {operation}"),
        fields,
        owned(object, manager, operation).as_slice(),
    )
}

async fn conflicts(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let data = json!({"a": "1", "b": "1"});
    let answer = apply(&all, cx, "one", data.clone(), false).await?;
    let made = cx.status("the first apply", 201, answer)?;
    owns(cx, &made, "one", "Apply", &["a", "b"])?;

    let answer = apply(&all, cx, "two", json!({"a": "2", "c": "2"}), false).await?;
    cx.refused("an apply of another's field", 409, "Conflict", &answer)?;
    let causes = answer.body["details"]["causes"].as_array();
    let named = causes.into_iter().flatten().any(|cause| {
        cause["reason"] == "FieldManagerConflict"
            && cause["field"] == ".data.a"
            && cause["message"]
                .as_str()
                .is_some_and(|text| text.contains("\"one\""))
    });
    cx.expect(
        "the conflict to name the field .data.a and its manager one",
        named,
        || answer.body["details"].to_string(),
    )?;
    let object = stored(cx, &all, data).await?;
    owns(cx, &object, "two", "Apply", &[])
}

async fn force(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let first = json!({"a": "1", "b": "1"});
    let answer = apply(&all, cx, "one", first.clone(), false).await?;
    cx.status("the first apply", 201, answer)?;
    let answer = apply(&all, cx, "two", json!({"a": "2"}), true).await?;
    cx.status("a forced apply", 200, answer)?;
    let object = stored(cx, &all, json!({"a": "2", "b": "1"})).await?;
    owns(cx, &object, "one", "Apply", &["b"])?;
    owns(cx, &object, "two", "Apply", &["a"])?;
    let answer = apply(&all, cx, "one", first, false).await?;
    cx.refused("an apply of what was taken", 409, "Conflict", &answer)
}

/// Each keeps a field of its own, so that neither applies an empty map: 1.21 leaves what is in a map that nobody fills.
async fn shared(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let answer = apply(&all, cx, "one", json!({"a": "1", "b": "1"}), false).await?;
    cx.status("the first apply", 201, answer)?;
    let answer = apply(&all, cx, "two", json!({"a": "1", "c": "1"}), false).await?;
    cx.status("an apply of the same value", 200, answer)?;
    let object = stored(cx, &all, json!({"a": "1", "b": "1", "c": "1"})).await?;
    for (manager, fields) in [("one", &["a", "b"]), ("two", &["a", "c"])] {
        owns(cx, &object, manager, "Apply", fields)?;
    }
    let answer = apply(&all, cx, "one", json!({"b": "1"}), false).await?;
    cx.status("an apply without the shared field", 200, answer)?;
    let object = stored(cx, &all, json!({"a": "1", "b": "1", "c": "1"})).await?;
    owns(cx, &object, "one", "Apply", &["b"])?;
    let answer = apply(&all, cx, "two", json!({"c": "1"}), false).await?;
    cx.status("the last owner's apply without it", 200, answer)?;
    stored(cx, &all, json!({"b": "1", "c": "1"}))
        .await
        .map(drop)
}

async fn updates(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let first = json!({"a": "1", "b": "1"});
    let answer = apply(&all, cx, "one", first.clone(), false).await?;
    cx.status("the first apply", 201, answer)?;
    update(cx, &all, NAME, |object| object["data"]["b"] = json!("2")).await?;
    let object = stored(cx, &all, json!({"a": "1", "b": "2"})).await?;
    owns(cx, &object, "one", "Apply", &["a"])?;
    // The update's manager is what the client calls itself, which is the client library's affair.
    let entries = object["metadata"]["managedFields"].as_array();
    let moved = entries.into_iter().flatten().any(|entry| {
        entry["operation"] == "Update" && entry["fieldsV1"]["f:data"] == json!({"f:b": {}})
    });
    cx.expect("an Update to own just b", moved, || {
        object["metadata"]["managedFields"].to_string()
    })?;
    let answer = apply(&all, cx, "one", first, false).await?;
    cx.refused("an apply of the former value", 409, "Conflict", &answer)
}

async fn refusals(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let object = all.labelled(json!({"metadata": {"name": NAME}, "data": {"a": "1"}}));
    let patch = |kind: PatchKind, query: &[(&str, &str)], object: &Value| {
        Request::new(Method::PATCH, all.item(NAME))
            .content_type(kind.content_type())
            .query(query)
            .body(object.clone())
    };
    let manager = ("fieldManager", "one");
    let send =
        async |request: Request| Ok::<_, harness::check::CheckFault>(cx.api().send(request).await?);
    let answer = send(patch(PatchKind::Apply, &[], &object)).await?;
    cx.expect(
        "an apply without a manager to be refused",
        refused(&answer),
        || answer.summary(),
    )?;
    let mut managed = object.clone();
    managed["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}}]);
    let answer = send(patch(PatchKind::Apply, &[manager], &managed)).await?;
    cx.expect(
        "an apply with managedFields to be refused",
        refused(&answer),
        || answer.summary(),
    )?;
    let none = all.get(NAME).await?;
    cx.refused("get of what was refused", 404, "NotFound", &none)?;
    let answer = send(patch(PatchKind::Apply, &[manager], &object)).await?;
    cx.status("a sound apply", 201, answer)?;
    let forced = [manager, ("force", "true")];
    let answer = send(patch(PatchKind::Merge, &forced, &object)).await?;
    cx.expect(
        "a force that is no apply to be refused",
        refused(&answer),
        || answer.summary(),
    )
}

/// 400 or 422: releases differ in which.
fn refused(answer: &Response) -> bool {
    matches!(answer.status, 400 | 422) && answer.body["kind"] == "Status"
}
