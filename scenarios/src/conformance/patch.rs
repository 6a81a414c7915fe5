//! Patches and optimistic concurrency. No official test has these as its subject; many rely on them.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::{CONFIG_MAPS, SERVICES};
use super::steps::{create, read};

const MAPS: &[Requirement] = &[Requirement::Resource("v1", "configmaps")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "patch/json-patch-applies-its-operations",
        title: "A JSON patch adds, replaces, moves and removes; a failing test or a missing place refuses all of it.",
        requires: MAPS,
        kills: &[
            mutant::PATCH_NOT_APPLIED,
            mutant::JSON_PATCH_TEST_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::DATA_LOST,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(json_patch(cx)),
        ..Check::BASE
    },
    Check {
        id: "patch/merge-patch-merges-and-removes",
        title: "A merge patch sets what it names, removes what it names null and leaves the rest.",
        requires: MAPS,
        kills: &[
            mutant::PATCH_NOT_APPLIED,
            mutant::DATA_LOST,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(merge_patch(cx)),
        ..Check::BASE
    },
    Check {
        id: "patch/strategic-patch-merges-lists-by-key",
        title: "A strategic patch merges a Service's ports by their key, and removes one by $patch: delete.",
        requires: &[
            Requirement::Resource("v1", "services"),
            Requirement::Behaviour("strategic-merge"),
        ],
        kills: &[
            mutant::STRATEGIC_AS_MERGE,
            mutant::PATCH_NOT_APPLIED,
            mutant::SPEC_LOST,
        ],
        run: |cx| Box::pin(strategic_patch(cx)),
        ..Check::BASE
    },
    Check {
        id: "patch/unknown-patch-type-is-refused",
        title: "A patch of an unknown media type is refused as unsupported, and changes nothing.",
        requires: MAPS,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(unknown_type(cx)),
        ..Check::BASE
    },
    Check {
        id: "patch/stale-update-conflicts",
        title: "An update or patch with a stale resourceVersion is a conflict and loses; the newer object stays.",
        requires: MAPS,
        kills: &[
            mutant::CONFLICT_OVERWRITES,
            mutant::CONFLICT_BECOMES_SUCCESS,
            mutant::UPDATE_NOT_APPLIED,
            mutant::VERSION_CONSTANT,
            mutant::VERSION_MISSING,
        ],
        run: |cx| Box::pin(conflict(cx)),
        ..Check::BASE
    },
];

async fn json_patch(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "map"}, "data": {"a": "1", "b": "2", "c": "3"}}),
    )
    .await?;
    let patch = json!([
        {"op": "test", "path": "/data/a", "value": "1"},
        {"op": "replace", "path": "/data/a", "value": "one"},
        {"op": "add", "path": "/metadata/annotations", "value": {}},
        {"op": "add", "path": "/metadata/annotations/assay.dev~1key", "value": "escaped"},
        {"op": "move", "from": "/data/b", "path": "/data/d"},
        {"op": "remove", "path": "/data/c"},
    ]);
    cx.status(
        "patch",
        200,
        all.patch("map", PatchKind::Json, patch).await?,
    )?;
    let stored = read(cx, &all, "map").await?;
    cx.expect_eq(
        "data",
        json!({"a": "one", "d": "2"}),
        stored["data"].clone(),
    )?;
    cx.expect_eq(
        "the escaped annotation",
        json!("escaped"),
        stored["metadata"]["annotations"]["assay.dev/key"].clone(),
    )?;

    let failing = json!([{"op": "test", "path": "/data/a", "value": "1"}, {"op": "replace", "path": "/data/a", "value": "two"}]);
    let nowhere = json!([{"op": "replace", "path": "/data/a", "value": "two"}, {"op": "remove", "path": "/data/none"}]);
    for (what, patch) in [
        ("a patch whose test fails", failing),
        ("a patch of a missing place", nowhere),
    ] {
        let answer = all.patch("map", PatchKind::Json, patch).await?;
        cx.refused(what, 422, "Invalid", &answer)?;
        cx.expect_eq(
            &format!("the object after {what}"),
            stored.clone(),
            read(cx, &all, "map").await?,
        )?;
    }
    Ok(())
}

async fn merge_patch(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    create(cx, &all, json!({"metadata": {"name": "map", "labels": {"l": "1"}}, "data": {"a": "1", "b": "2", "c": "3"}})).await?;
    let patch = json!({"data": {"a": "one", "b": null, "d": "4"}});
    cx.status(
        "patch",
        200,
        all.patch("map", PatchKind::Merge, patch).await?,
    )?;
    let stored = read(cx, &all, "map").await?;
    cx.expect_eq(
        "data",
        json!({"a": "one", "c": "3", "d": "4"}),
        stored["data"].clone(),
    )?;
    cx.expect_eq(
        "label",
        json!("1"),
        stored["metadata"]["labels"]["l"].clone(),
    )
}

async fn strategic_patch(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SERVICES).await?;
    let ports = json!([{"name": "http", "port": 80, "protocol": "TCP"}, {"name": "https", "port": 443, "protocol": "TCP"}]);
    create(
        cx,
        &all,
        json!({"metadata": {"name": "service"}, "spec": {"ports": ports}}),
    )
    .await?;
    let patch = json!({"spec": {"ports": [{"port": 80, "targetPort": 8080}, {"name": "admin", "port": 9000}]}});
    cx.status(
        "patch",
        200,
        all.patch("service", PatchKind::Strategic, patch).await?,
    )?;
    let stored = read(cx, &all, "service").await?;
    let port = |number: u16| {
        stored["spec"]["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|port| port["port"] == number)
            .cloned()
            .unwrap_or_default()
    };
    cx.expect_eq(
        "number of ports",
        Some(3),
        stored["spec"]["ports"].as_array().map(Vec::len),
    )?;
    cx.contains(
        "the merged port",
        &json!({"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}),
        &port(80),
    )?;
    cx.contains(
        "the untouched port",
        &json!({"name": "https", "port": 443, "targetPort": 443}),
        &port(443),
    )?;
    cx.contains(
        "the new port",
        &json!({"name": "admin", "port": 9000}),
        &port(9000),
    )?;

    let patch = json!({"spec": {"ports": [{"port": 443, "$patch": "delete"}]}});
    cx.status(
        "patch that deletes",
        200,
        all.patch("service", PatchKind::Strategic, patch).await?,
    )?;
    let stored = read(cx, &all, "service").await?;
    let mut left = stored["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|port| port["port"].as_u64())
        .collect::<Vec<_>>();
    left.sort_unstable();
    cx.expect_eq("ports left", vec![80, 9000], left)
}

async fn unknown_type(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "map"}, "data": {"a": "1"}}),
    )
    .await?;
    let request = harness::api::Request::new(harness::api::Method::PATCH, all.item("map"))
        .content_type("application/assay-patch+json")
        .body(json!({"data": {"a": "2"}}));
    cx.refused(
        "a patch of an unknown type",
        415,
        "UnsupportedMediaType",
        &cx.api().send(request).await?,
    )?;
    cx.expect_eq("the object afterwards", made, read(cx, &all, "map").await?)
}

async fn conflict(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(CONFIG_MAPS).await?;
    let stale = create(
        cx,
        &all,
        json!({"metadata": {"name": "map"}, "data": {"by": "nobody"}}),
    )
    .await?;
    let version = cx
        .text("create", &stale, "/metadata/resourceVersion")?
        .to_owned();
    let mut first = stale.clone();
    first["data"] = json!({"by": "first"});
    let won = cx.status("the first update", 200, all.replace("map", first).await?)?;
    cx.expect(
        "another resourceVersion after the update",
        won["metadata"]["resourceVersion"] != version.as_str(),
        || version.clone(),
    )?;

    let mut second = stale;
    second["data"] = json!({"by": "second"});
    cx.refused(
        "an update from the stale object",
        409,
        "Conflict",
        &all.replace("map", second).await?,
    )?;
    let patch = json!({"metadata": {"resourceVersion": version}, "data": {"by": "third"}});
    cx.refused(
        "a patch with the stale version",
        409,
        "Conflict",
        &all.patch("map", PatchKind::Merge, patch).await?,
    )?;
    cx.expect_eq("the object afterwards", won, read(cx, &all, "map").await?)
}
