//! What OpenAPI publishes of custom resources, as it follows their definitions.
//!
//! Upstream asks ten times in a row, so as to meet each of several API servers; here one answer is taken, for assay looks at
//! one server.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::custom::{Custom, Published};
use super::openapiv3;
use super::steps::{delete, update};

const SERVED: &[Requirement] = &[Requirement::Resource(
    "apiextensions.k8s.io/v1",
    "customresourcedefinitions",
)];
const PUBLISHED: &[Mutant] = &[
    mutant::OPENAPI_STALE,
    mutant::OPENAPI_SCHEMA_LOST,
    mutant::OPENAPI_KEEPS_REMOVED,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "openapi/groups-are-published",
        title: "Two custom resources in two groups are published with their schemas, and no longer once deleted.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of different groups",
        ],
        requires: SERVED,
        kills: PUBLISHED,
        run: |cx| Box::pin(groups(cx)),
        ..Check::BASE
    },
    Check {
        id: "openapi/versions-are-published",
        title: "Two versions in one group, of one definition and of two, are each published with their own schema.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of same group but different versions",
        ],
        requires: SERVED,
        kills: PUBLISHED,
        run: |cx| Box::pin(versions(cx)),
        ..Check::BASE
    },
    Check {
        id: "openapi/kinds-are-published",
        title: "Two kinds in one group and version are each published with their own schema.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI works for multiple CRDs of same group and version but different kinds",
        ],
        requires: SERVED,
        kills: PUBLISHED,
        run: |cx| Box::pin(kinds(cx)),
        ..Check::BASE
    },
    Check {
        id: "openapi/a-renamed-version-is-republished",
        title: "A version that is renamed is published under its new name and no longer under the old; the other stays.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI updates the published spec when one version gets renamed",
        ],
        requires: SERVED,
        kills: &[
            mutant::OPENAPI_STALE,
            mutant::OPENAPI_KEEPS_REMOVED,
            mutant::PATCH_NOT_APPLIED,
        ],
        run: |cx| Box::pin(renamed(cx)),
        ..Check::BASE
    },
    Check {
        id: "openapi/an-unserved-version-is-withdrawn",
        title: "A version that is served no longer is published no longer; the other stays.",
        official: &[
            "[sig-api-machinery] CustomResourcePublishOpenAPI removes definition from spec when one version gets changed to not be served",
        ],
        requires: SERVED,
        kills: &[
            mutant::OPENAPI_STALE,
            mutant::OPENAPI_KEEPS_REMOVED,
            mutant::UPDATE_NOT_APPLIED,
        ],
        run: |cx| Box::pin(unserved(cx)),
        ..Check::BASE
    },
    // No official test: version 3 has none.
    Check {
        id: "openapi/v3-describes-what-is-served",
        title: "OpenAPI v3 describes each built-in resource with its schema and an operation for each verb of discovery.",
        requires: V3,
        kills: &[
            mutant::OPENAPI_EMPTY,
            mutant::OPENAPI_PATHS_MISSING,
            mutant::WRONG_KIND,
        ],
        run: |cx| Box::pin(openapiv3::built_in(cx)),
        ..Check::BASE
    },
    Check {
        id: "openapi/v3-follows-custom-resources",
        title: "OpenAPI v3 gains a document with a custom resource's schema when it is defined, and loses it again.",
        requires: V3_CUSTOM,
        kills: &[
            mutant::OPENAPI_STALE,
            mutant::OPENAPI_SCHEMA_LOST,
            mutant::OPENAPI_EMPTY,
        ],
        run: |cx| Box::pin(openapiv3::follows(cx)),
        ..Check::BASE
    },
];

/// Served by default since 1.24.
const V3: &[Requirement] = &[Requirement::Since(24), Requirement::Behaviour("openapi")];
const V3_CUSTOM: &[Requirement] = &[
    Requirement::Since(24),
    Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
];

/// A schema of objects, arrays, required and enumerated fields and a pattern: what is published must not lose any.
pub(crate) fn shelf() -> Value {
    json!({
        "description": "Shelf for checks", "type": "object",
        "properties": {
            "spec": {
                "description": "What is wanted of the shelf", "type": "object",
                "properties": {"books": {
                    "description": "List of books and their states.", "type": "array",
                    "items": {
                        "type": "object", "required": ["name"],
                        "properties": {
                            "name": {"description": "Name of the book.", "type": "string"},
                            "age": {"description": "Age of the book.", "type": "string"},
                            "mood": {"description": "How it reads.", "type": "string", "enum": ["Great", "Dull"]},
                            "marks": {"description": "List of marks.", "type": "array", "items": {"type": "string"}},
                        },
                    },
                }},
            },
            "status": {
                "description": "What is seen of the shelf", "type": "object",
                "properties": {"books": {
                    "type": "array",
                    "items": {"type": "object", "properties": {
                        "lent": {"type": "boolean"},
                        "place": {"type": "string", "pattern": "upper|lower"},
                    }},
                }},
            },
        },
    })
}

fn lamp() -> Value {
    json!({
        "description": "Lamp for checks", "type": "object",
        "properties": {"spec": {
            "description": "What is wanted of the lamp", "type": "object",
            "properties": {"colour": {"description": "Its colour.", "type": "object"}},
        }},
    })
}

/// Before its definition is made nothing is published of it; afterwards each version is, with its schema and its kind.
async fn publish(
    cx: &CheckContext,
    published: &Published<'_>,
    custom: &Custom,
) -> CheckResult<Collection> {
    for (version, _) in &custom.versions {
        let name = custom.published_as(version);
        let before = published.definition(&name).await?;
        cx.expect(
            &format!("no definition {name} before it is made"),
            before.is_none(),
            || "a definition".to_owned(),
        )?;
    }
    let all = custom.define(cx).await?;
    for (version, schema) in &custom.versions {
        let found = published.has(custom, version, schema).await?;
        let kind = json!([{"group": custom.group, "version": version, "kind": custom.kind}]);
        cx.contains(
            "the published group, version and kind",
            &kind,
            &found["x-kubernetes-group-version-kind"],
        )?;
    }
    Ok(all)
}

async fn withdraw(
    cx: &CheckContext,
    published: &Published<'_>,
    all: &Collection,
    customs: &[&Custom],
) -> CheckResult {
    for custom in customs {
        delete(cx, all, &custom.name()).await?;
    }
    for custom in customs {
        for (version, _) in &custom.versions {
            published.lacks(custom, version).await?;
        }
    }
    Ok(())
}

async fn groups(cx: &CheckContext) -> CheckResult {
    let published = Published::new(cx);
    let one = Custom::new("shelf", vec![("v1", shelf())]);
    let two = Custom::new("lamp", vec![("v1beta1", lamp())]);
    let all = publish(cx, &published, &one).await?;
    publish(cx, &published, &two).await?;
    published.has(&one, "v1", &shelf()).await?;
    withdraw(cx, &published, &all, &[&one, &two]).await
}

async fn versions(cx: &CheckContext) -> CheckResult {
    let published = Published::new(cx);
    let both = Custom::new("shelf", vec![("v2", shelf()), ("v3", shelf())]);
    let all = publish(cx, &published, &both).await?;
    let other = both.beside("lamp", vec![("v4", lamp())]);
    publish(cx, &published, &other).await?;
    for version in ["v2", "v3"] {
        published.has(&both, version, &shelf()).await?;
    }
    withdraw(cx, &published, &all, &[&both, &other]).await
}

async fn kinds(cx: &CheckContext) -> CheckResult {
    let published = Published::new(cx);
    let one = Custom::new("shelf", vec![("v6", shelf())]);
    let two = one.beside("lamp", vec![("v6", lamp())]);
    let all = publish(cx, &published, &one).await?;
    publish(cx, &published, &two).await?;
    published.has(&one, "v6", &shelf()).await?;
    withdraw(cx, &published, &all, &[&one, &two]).await
}

async fn renamed(cx: &CheckContext) -> CheckResult {
    let published = Published::new(cx);
    let mut custom = Custom::new("shelf", vec![("v2", shelf()), ("v3", shelf())]);
    let all = publish(cx, &published, &custom).await?;
    let patch = json!([
        {"op": "test", "path": "/spec/versions/1/name", "value": "v3"},
        {"op": "replace", "path": "/spec/versions/1/name", "value": "v4"},
    ]);
    let answer = all.patch(&custom.name(), PatchKind::Json, patch).await?;
    cx.status("rename of v3 to v4", 200, answer)?;
    published.has(&custom, "v4", &shelf()).await?;
    published.lacks(&custom, "v3").await?;
    published.has(&custom, "v2", &shelf()).await?;
    custom.versions[1].0 = "v4";
    withdraw(cx, &published, &all, &[&custom]).await
}

async fn unserved(cx: &CheckContext) -> CheckResult {
    let published = Published::new(cx);
    let custom = Custom::new("shelf", vec![("v5", shelf()), ("v6alpha1", shelf())]);
    let all = publish(cx, &published, &custom).await?;
    update(cx, &all, &custom.name(), |object| {
        object["spec"]["versions"][1]["served"] = json!(false);
    })
    .await?;
    published.lacks(&custom, "v6alpha1").await?;
    published.has(&custom, "v5", &shelf()).await?;
    withdraw(cx, &published, &all, &[&custom]).await
}
