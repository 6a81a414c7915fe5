//! Steps with CustomResourceDefinitions, each asserting what it does.

use harness::api::Collection;
use harness::api::deadline::Seen;
use harness::api::namespace::unique;
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use super::steps::{create, read};

/// A definition in a group of its own: its full name and itself.
pub(crate) fn definition(scope: &str, properties: Value) -> (String, Value) {
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

/// Waits until the definition is Established and discovery lists its resource; gives the path of its version.
pub(crate) async fn ready(
    cx: &CheckContext,
    all: &Collection,
    made: &Value,
) -> CheckResult<String> {
    let (name, group) = (
        cx.text("the definition", made, "/metadata/name")?,
        cx.text("the definition", made, "/spec/group")?,
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
    let version = format!("/apis/{group}/v1");
    discovered(cx, &version, true).await?;
    Ok(version)
}

/// Waits until discovery lists the resource, or lists it no longer.
pub(crate) async fn discovered(cx: &CheckContext, version: &str, wanted: bool) -> CheckResult {
    let word = if wanted { "list" } else { "list no longer" };
    cx.wait(&format!("{version} to {word} things"), || async {
        let answer = cx.api().get(version).await?;
        let listed = answer.body["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|entry| entry["name"] == "things" && entry["kind"] == "Thing");
        let seen = matches!(answer.status, 200 | 404) && listed == wanted;
        Ok(Seen::when(seen, || answer.summary()))
    })
    .await
}

/// Makes a definition and waits until its resource is served; gives the resource's cluster-wide path.
pub(crate) async fn serve(
    cx: &CheckContext,
    all: &Collection,
    object: Value,
) -> CheckResult<String> {
    let made = create(cx, all, object).await?;
    let path = format!("{}/things", ready(cx, all, &made).await?);
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
