//! OpenAPI v3 against what is served: an index of documents, one a group version.

use harness::api::deadline::Seen;
use harness::check::{CheckContext, CheckFault, CheckResult};
use serde_json::{Value, json};

use super::custom::Custom;
use super::discovery::UPSTREAM;
use super::openapi::shelf;
use super::steps::delete;

/// Verbs of discovery, the operation that each is, and whether it is on an object.
const OPERATIONS: [(&str, &str, bool); 7] = [
    ("list", "get", false),
    ("create", "post", false),
    ("deletecollection", "delete", false),
    ("get", "get", true),
    ("update", "put", true),
    ("patch", "patch", true),
    ("delete", "delete", true),
];

fn root(group_version: &str) -> String {
    if group_version.contains('/') {
        format!("apis/{group_version}")
    } else {
        format!("api/{group_version}")
    }
}

/// Where the index says that a group version's document is; `None` where it is not listed.
async fn place(cx: &CheckContext, group_version: &str) -> CheckResult<Option<String>> {
    let index = cx.status("/openapi/v3", 200, cx.api().get("/openapi/v3").await?)?;
    let Some(paths) = index["paths"].as_object() else {
        return Err(CheckFault::Failed(format!(
            "/openapi/v3: expected paths; seen: {index}"
        )));
    };
    let entry = paths.get(&root(group_version));
    Ok(entry.and_then(|entry| entry["serverRelativeURL"].as_str().map(str::to_owned)))
}

/// The document at such a place, with the hash that the place names.
async fn document(cx: &CheckContext, place: &str) -> CheckResult<Value> {
    let (path, query) = place.split_once('?').unwrap_or((place, ""));
    let (key, hash) = query.split_once('=').unwrap_or_default();
    cx.expect(
        &format!("{place} to name the document's hash"),
        key == "hash" && !hash.is_empty(),
        || query.to_owned(),
    )?;
    let document = cx.status(path, 200, cx.api().list(path, &[(key, hash)]).await?)?;
    let version = document["openapi"].as_str().unwrap_or_default();
    cx.expect(
        &format!("{path} to be of OpenAPI 3"),
        version.starts_with("3."),
        || version.to_owned(),
    )?;
    // A client that comes with an old hash is sent to the new one.
    let answer = cx.api().list(path, &[(key, "0")]).await?;
    cx.expect_eq(
        &format!("status of {path} with another hash"),
        301,
        answer.status,
    )?;
    cx.expect_eq("where it is sent to", place, answer.header("location"))?;
    Ok(document)
}

fn defines(document: &Value, group_version: &str, kind: &str) -> bool {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let wanted = json!({"group": group, "version": version, "kind": kind});
    let schemas = document["components"]["schemas"].as_object();
    schemas.into_iter().flat_map(|all| all.values()).any(|one| {
        let kinds = one["x-kubernetes-group-version-kind"].as_array();
        kinds.into_iter().flatten().any(|kind| *kind == wanted)
    })
}

/// What discovery lists of a group version its document describes: the kind's schema, and an operation for each verb.
async fn described(cx: &CheckContext, group_version: &str, document: &Value) -> CheckResult {
    let root = format!("/{}", root(group_version));
    let list = cx.status(&root, 200, cx.api().get(&root).await?)?;
    for entry in list["resources"].as_array().into_iter().flatten() {
        let plural = entry["name"].as_str().unwrap_or_default();
        if plural.contains('/') {
            continue;
        }
        let kind = entry["kind"].as_str().unwrap_or_default();
        cx.expect(
            &format!("the document of {group_version} to define {kind}"),
            defines(document, group_version, kind),
            || "no such schema".to_owned(),
        )?;
        let verbs = entry["verbs"].as_array().into_iter().flatten();
        let verbs = verbs.filter_map(Value::as_str).collect::<Vec<_>>();
        // Reviews of a namespace are created in it, like all that lives in one.
        let collection = if entry["namespaced"] == true {
            format!("{root}/namespaces/{{namespace}}/{plural}")
        } else {
            format!("{root}/{plural}")
        };
        for (verb, operation, on_object) in OPERATIONS {
            let path = if on_object {
                format!("{collection}/{{name}}")
            } else {
                collection.clone()
            };
            let described = document["paths"][&path][operation].is_object();
            cx.expect(
                &format!("the document to describe {operation} of {path}, for the verb {verb}"),
                described || !verbs.contains(&verb),
                || "no such operation".to_owned(),
            )?;
        }
    }
    Ok(())
}

pub(crate) async fn built_in(cx: &CheckContext) -> CheckResult {
    for (group_version, plural) in UPSTREAM {
        let served = harness::check::Requirement::Resource(group_version, plural);
        if !cx.offer().meets(served) {
            continue;
        }
        let Some(place) = place(cx, group_version).await? else {
            return Err(CheckFault::Failed(format!(
                "/openapi/v3: expected {group_version} among its paths; seen: no such path"
            )));
        };
        let document = document(cx, &place).await?;
        described(cx, group_version, &document).await?;
    }
    Ok(())
}

pub(crate) async fn follows(cx: &CheckContext) -> CheckResult {
    let custom = Custom::new("shelf", vec![("v1", shelf())]);
    let group_version = custom.api_version("v1");
    let before = place(cx, &group_version).await?;
    cx.expect_eq("its place before it is defined", None::<String>, before)?;
    let all = custom.define(cx).await?;
    let what = format!(
        "/openapi/v3 to list {group_version} and define {}",
        custom.kind
    );
    cx.wait(&what, || async {
        let Some(place) = place(cx, &group_version).await? else {
            return Ok(Seen::Not("no such path".to_owned()));
        };
        let path = place.split('?').next().unwrap_or_default();
        let answer = cx.api().get(path).await?;
        let schemas = &answer.body["components"]["schemas"];
        let own = schemas.as_object().into_iter().flat_map(|all| all.values());
        let found = own.filter(|one| one["description"] == shelf()["description"]);
        let whole = found
            .into_iter()
            .any(|one| one["properties"]["spec"] == shelf()["properties"]["spec"]);
        Ok(Seen::when(
            whole && defines(&answer.body, &group_version, &custom.kind),
            || answer.summary(),
        ))
    })
    .await?;
    delete(cx, &all, &custom.name()).await?;
    cx.wait(
        &format!("/openapi/v3 to list {group_version} no longer"),
        || async {
            let left = place(cx, &group_version).await?;
            Ok(Seen::when(left.is_none(), || format!("{left:?}")))
        },
    )
    .await
}
