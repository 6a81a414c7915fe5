//! Secrets, and immutability, which they share with ConfigMaps.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{PatchKind, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CONFIG_MAPS, SECRETS};
use super::steps::{create, delete, newer, read};

const SERVED: &[Requirement] = &[Requirement::Resource("v1", "secrets")];
const IMMUTABLE: &[Mutant] = &[
    mutant::ERROR_BECOMES_SUCCESS,
    mutant::ERROR_WRONG_REASON,
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::DELETE_IGNORED,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "secret/empty-key-is-refused",
        title: "A Secret with an empty key is refused as invalid and not stored.",
        official: &["[sig-node] Secrets should fail to create secret due to empty secret key"],
        requires: SERVED,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(empty_key(cx)),
        ..Check::BASE
    },
    Check {
        id: "secret/lives-through-its-lifecycle",
        title: "A Secret is created, patched, found in all namespaces by its label with its new data, and deleted by collection.",
        official: &["[sig-node] Secrets should patch a secret"],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::DATA_LOST,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::STALE_LIST,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    // No official test of its own: others rely on it.
    Check {
        id: "secret/string-data-becomes-data",
        title: "stringData is merged into data in base64, wins over it and is not shown; the type is Opaque by default.",
        requires: &[
            Requirement::Resource("v1", "secrets"),
            Requirement::Behaviour("defaulting"),
        ],
        kills: &[
            mutant::DATA_LOST,
            mutant::DEFAULTING_SKIPPED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(string_data(cx)),
        ..Check::BASE
    },
    Check {
        id: "secret/immutable-stays-as-it-is",
        title: "An immutable Secret's data and immutability cannot be changed; its labels can, and it can be deleted.",
        official: &["[sig-storage] Secrets should be immutable if `immutable` field is set"],
        requires: &[
            Requirement::Resource("v1", "secrets"),
            Requirement::Behaviour("immutable"),
        ],
        kills: IMMUTABLE,
        run: |cx| {
            Box::pin(immutable(
                cx,
                SECRETS,
                json!({"key": "dmFsdWU="}),
                json!({"key": "b3RoZXI="}),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "secret/immutable-configmap-stays-as-it-is",
        title: "An immutable ConfigMap's data and immutability cannot be changed; its labels can, and it can be deleted.",
        official: &["[sig-storage] ConfigMap should be immutable if `immutable` field is set"],
        requires: &[
            Requirement::Resource("v1", "configmaps"),
            Requirement::Behaviour("immutable"),
        ],
        kills: IMMUTABLE,
        run: |cx| {
            Box::pin(immutable(
                cx,
                CONFIG_MAPS,
                json!({"key": "value"}),
                json!({"key": "other"}),
            ))
        },
        ..Check::BASE
    },
];

async fn empty_key(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SECRETS).await?;
    let answer = all
        .create(json!({"metadata": {"name": "secret"}, "data": {"": "dmFsdWU="}}))
        .await?;
    cx.refused("create with an empty key", 422, "Invalid", &answer)?;
    cx.refused(
        "get of what was refused",
        404,
        "NotFound",
        &all.get("secret").await?,
    )
}

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (all, mark) = (cx.collection(SECRETS).await?, unique("secret"));
    let mut made = Value::Null;
    for (name, constant) in [("second", "other"), ("first", mark.as_str())] {
        let body = json!({"metadata": {"name": name, "labels": {"constant": constant}}, "data": {"key": "dmFsdWU="}, "type": "Opaque"});
        made = create(cx, &all, body).await?;
    }
    let selector = format!("constant={mark}");
    cx.only(
        "list in all namespaces",
        &["first"],
        cx.everywhere(SECRETS)
            .list(&[("labelSelector", &selector)])
            .await?,
    )?;
    let patch = json!({"metadata": {"labels": {"patched": "yes"}}, "data": {"key": "dmFsdWUx"}});
    cx.status(
        "patch",
        200,
        all.patch("first", PatchKind::Strategic, patch.clone())
            .await?,
    )?;
    let patched = read(cx, &all, "first").await?;
    cx.contains("the patched Secret", &patch, &patched)?;
    newer(cx, "the patched Secret", &made, &patched)?;
    let selected = format!("constant={mark},patched=yes");
    let found = cx.items(
        "list by both labels",
        cx.everywhere(SECRETS)
            .list(&[("labelSelector", &selected)])
            .await?,
    )?;
    cx.expect_eq("Secrets with both labels", 1, found.len())?;
    cx.contains("the Secret in the list", &patch, &found[0])?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", &selected)])
            .await?,
    )?;
    cx.only(
        "list afterwards",
        &[],
        cx.everywhere(SECRETS)
            .list(&[("labelSelector", &selector)])
            .await?,
    )?;
    read(cx, &all, "second").await.map(drop)
}

async fn string_data(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SECRETS).await?;
    let body = json!({"metadata": {"name": "secret"}, "data": {"a": "b2xk", "b": "a2VwdA=="}, "stringData": {"a": "new"}});
    create(cx, &all, body).await?;
    let stored = read(cx, &all, "secret").await?;
    cx.expect_eq(
        "data",
        json!({"a": "bmV3", "b": "a2VwdA=="}),
        stored["data"].clone(),
    )?;
    cx.expect("no stringData", stored["stringData"].is_null(), || {
        "stringData".to_owned()
    })?;
    cx.expect_eq("type", json!("Opaque"), stored["type"].clone())?;
    let answer = all
        .create(json!({"metadata": {"name": "bad"}, "data": {"a": "not base64!"}}))
        .await?;
    cx.expect(
        "data that is no base64 to be refused",
        (400..500).contains(&answer.status),
        || answer.summary(),
    )
}

/// Upstream's steps: change the data, make it mutable again, change both: all refused; then change metadata and delete.
async fn immutable(
    cx: &CheckContext,
    resource: Resource,
    data: Value,
    other: Value,
) -> CheckResult {
    let all = cx.collection(resource).await?;
    let mut object = create(
        cx,
        &all,
        json!({"metadata": {"name": "object"}, "data": data}),
    )
    .await?;
    object["data"] = other.clone();
    object = cx.status(
        "change while mutable",
        200,
        all.replace("object", object).await?,
    )?;
    object["immutable"] = json!(true);
    object = cx.status(
        "make it immutable",
        200,
        all.replace("object", object).await?,
    )?;
    let changes = [
        ("the data", json!({"data": data})),
        ("its immutability", json!({"immutable": false})),
        ("its immutability to nothing", json!({"immutable": null})),
        ("both", json!({"immutable": false, "data": data})),
    ];
    for (what, change) in changes {
        let mut wanted = object.clone();
        for (field, value) in change.as_object().into_iter().flatten() {
            wanted[field] = value.clone();
        }
        let answers = [
            all.replace("object", wanted).await?,
            all.patch("object", PatchKind::Merge, change).await?,
        ];
        for answer in answers {
            cx.refused(&format!("change of {what}"), 422, "Invalid", &answer)?;
        }
        cx.expect_eq(
            "the object afterwards",
            object.clone(),
            read(cx, &all, "object").await?,
        )?;
    }
    for value in ["updated", "patched"] {
        let patch = json!({"metadata": {"labels": {"label": value}}});
        let answer = if value == "updated" {
            object["metadata"]["labels"]["label"] = json!(value);
            all.replace("object", object.clone()).await?
        } else {
            all.patch("object", PatchKind::Merge, patch.clone()).await?
        };
        cx.status("change of a label", 200, answer)?;
        cx.contains("the label", &patch, &read(cx, &all, "object").await?)?;
    }
    delete(cx, &all, "object").await
}
