//! Custom resources of several versions, converted by a webhook.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Api, PatchKind, Request};
use harness::callback::CallbackServer;
use harness::check::{Check, CheckContext, CheckResult, Requirement, Watching, name};
use serde_json::{Value, json};

use super::admitting::definition::Definition;
use super::kinds::CRDS;

const CRD: Requirement =
    Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions");
const SERVED: &[Requirement] = &[Requirement::Callback, CRD];
const SELECTABLE: &[Requirement] = &[Requirement::Callback, CRD, Requirement::Since(32)];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "conversion/objects-are-converted",
        title: "A custom resource that was written in one version is read in the other as its webhook converts it, and back.",
        official: &[
            "[sig-api-machinery] CustomResourceConversionWebhook should be able to convert from CR v1 to CR v2",
        ],
        requires: SERVED,
        kills: &[
            mutant::CONVERSION_SKIPPED,
            mutant::CREATE_NOT_STORED,
            mutant::KIND_MISSING,
        ],
        run: |cx| Box::pin(objects(cx)),
        ..Check::BASE
    },
    Check {
        id: "conversion/mixed-lists-are-converted",
        title: "Custom resources that are stored in two versions are listed in either, each converted.",
        official: &[
            "[sig-api-machinery] CustomResourceConversionWebhook should be able to convert a non homogeneous list of CRs",
        ],
        requires: SERVED,
        kills: &[
            mutant::CONVERSION_SKIPPED,
            mutant::LIST_LOSES_ITEM,
            mutant::LIST_REPEATS_ITEM,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(mixed(cx)),
        ..Check::BASE
    },
    Check {
        id: "conversion/fields-select-in-each-version",
        title: "Lists, watches and deletions of custom resources with field selectors concern just what matches, in each version by its own fields.",
        official: &[
            "[sig-api-machinery] CustomResourceFieldSelectors CustomResourceFieldSelectors MUST list and watch custom resources matching the field selector",
        ],
        requires: SELECTABLE,
        kills: &[
            mutant::FIELD_SELECTOR_IGNORED,
            mutant::WATCH_IGNORES_SELECTOR,
            mutant::CONVERSION_SKIPPED,
            mutant::LIST_LOSES_ITEM,
            mutant::DROPS_ADDED,
            mutant::DROPS_DELETED,
            mutant::DELETED_AS_MODIFIED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
        ],
        run: |cx| Box::pin(selected(cx)),
        ..Check::BASE
    },
];

const CONVERT: &str = "/convert";

/// v1 has `hostPort`, v2 has `host` and `port`.
fn convert(mut object: Value, wanted: &str) -> Result<Value, String> {
    let fields = object.as_object_mut().ok_or("an object without fields")?;
    let text = |value: Option<Value>| value.and_then(|value| value.as_str().map(str::to_owned));
    if wanted.ends_with("/v2") {
        if let Some(both) = text(fields.remove("hostPort")) {
            let (host, port) = both.split_once(':').ok_or("a hostPort without a port")?;
            fields.insert("host".to_owned(), json!(host));
            fields.insert("port".to_owned(), json!(port));
        }
    } else {
        let (host, port) = (text(fields.remove("host")), text(fields.remove("port")));
        if let Some(host) = host {
            let both = format!("{host}:{}", port.unwrap_or_default());
            fields.insert("hostPort".to_owned(), json!(both));
        }
    }
    Ok(object)
}

/// A definition with both versions, the first stored, and their webhook; and the server of that.
async fn served(
    cx: &CheckContext,
    change: impl FnOnce(&mut Definition),
) -> CheckResult<(Definition, &CallbackServer)> {
    let server = cx.callback().await?;
    server.convert(CONVERT, convert);
    let text = json!({"type": "string"});
    let v1 = json!({"type": "object", "properties": {"hostPort": text}});
    let v2 = json!({"type": "object", "properties": {"host": text, "port": text}});
    let mut definition = Definition::new(&[("v1", v1), ("v2", v2)]);
    definition.converted_by(server.client_config(CONVERT));
    change(&mut definition);
    definition.serve(cx).await?;
    let clean = cx.api().clean();
    let path = definition.path("v2", cx.namespace().await?);
    let stub = definition.thing("v2", "stub", &json!({}));
    cx.wait(
        "a thing to be taken in the version that is not stored",
        || async {
            let answer = clean.send(dry(&path, &stub)).await?;
            Ok(Seen::when(answer.status == 201, || answer.summary()))
        },
    )
    .await?;
    Ok((definition, server))
}

fn dry(path: &str, object: &Value) -> Request {
    Request::new(harness::api::Method::POST, path)
        .query(&[("dryRun", "All")])
        .body(object.clone())
}

/// The thing is of the first version, and has nothing of the second.
fn is_v1(cx: &CheckContext, definition: &Definition, thing: &Value) -> CheckResult {
    let expected = json!({"apiVersion": format!("{}/v1", definition.group), "kind": "Thing",
        "hostPort": "localhost:8080", "host": null, "port": null});
    cx.contains("the thing in v1", &expected, thing)
}

/// The other way round.
fn is_v2(cx: &CheckContext, definition: &Definition, thing: &Value) -> CheckResult {
    let expected = json!({"apiVersion": format!("{}/v2", definition.group), "kind": "Thing",
        "hostPort": null, "host": "localhost", "port": "8080"});
    cx.contains("the thing in v2", &expected, thing)
}

async fn make(
    api: &Api,
    cx: &CheckContext,
    definition: &Definition,
    thing: &str,
) -> CheckResult<Value> {
    let path = definition.path("v1", cx.namespace().await?);
    let object = definition.thing("v1", thing, &json!({"hostPort": "localhost:8080"}));
    cx.status(
        &format!("creation of {thing} in v1"),
        201,
        api.create(&path, object).await?,
    )
}

async fn objects(cx: &CheckContext) -> CheckResult {
    let (definition, _) = served(cx, |_| {}).await?;
    let (api, namespace) = (cx.api(), cx.namespace().await?);
    is_v1(cx, &definition, &make(api, cx, &definition, "one").await?)?;
    let [v1, v2] = ["v1", "v2"].map(|version| definition.path(version, namespace));
    let thing = cx.status("get in v2", 200, api.get(&format!("{v2}/one")).await?)?;
    is_v2(cx, &definition, &thing)?;
    // And written in v2: stored in v1, read in either.
    let object = definition.thing("v2", "two", &json!({"host": "localhost", "port": "8080"}));
    let made = cx.status("creation in v2", 201, api.create(&v2, object).await?)?;
    is_v2(cx, &definition, &made)?;
    let thing = cx.status("get in v1", 200, api.get(&format!("{v1}/two")).await?)?;
    is_v1(cx, &definition, &thing)
}

async fn mixed(cx: &CheckContext) -> CheckResult {
    let (definition, server) = served(cx, |_| {}).await?;
    let api = cx.api();
    make(api, cx, &definition, "one").await?;
    let moved = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let answer = cx
        .everywhere(CRDS)
        .patch(&definition.name(), PatchKind::Json, moved)
        .await?;
    cx.status("move of the storage version", 200, answer)?;
    // Only then is a thing that is written in v1 converted to be stored.
    let (clean, path) = (api.clean(), definition.path("v1", cx.namespace().await?));
    let probe = definition.thing("v1", "probe", &json!({"hostPort": "localhost:8080"}));
    let stored_as = format!("{}/v2", definition.group);
    cx.wait("things to be stored in v2", || async {
        // The server may cut off what it serves while it changes over.
        let answer = clean.send(dry(&path, &probe)).await?;
        let converted = server.calls(CONVERT).iter().any(|call| {
            let request = &call["request"];
            request["desiredAPIVersion"] == stored_as.as_str()
                && request["objects"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .any(|one| name(one) == "probe")
        });
        Ok(Seen::when(answer.status == 201 && converted, || {
            answer.summary()
        }))
    })
    .await?;
    make(api, cx, &definition, "two").await?;
    for version in ["v1", "v2"] {
        let path = definition.path(version, cx.namespace().await?);
        let answer = api.get(&path).await?;
        let what = format!("list in {version}");
        cx.only(&what, &["one", "two"], answer.clone())?;
        for thing in &cx.items(&what, answer)? {
            if version == "v1" {
                is_v1(cx, &definition, thing)?;
            } else {
                is_v2(cx, &definition, thing)?;
            }
        }
    }
    Ok(())
}

async fn selected(cx: &CheckContext) -> CheckResult {
    let (definition, _) = served(cx, |definition| {
        let versions = &mut definition.object["spec"]["versions"];
        versions[0]["selectableFields"] = json!([{"jsonPath": ".hostPort"}]);
        versions[1]["selectableFields"] = json!([{"jsonPath": ".host"}, {"jsonPath": ".port"}]);
    })
    .await?;
    let (api, namespace) = (cx.api(), cx.namespace().await?);
    let [v1, v2] = ["v1", "v2"].map(|version| definition.path(version, namespace));
    let views = [
        (&v2, "host=host1"),
        (&v2, "host=host1,port=80"),
        (&v1, "hostPort=host1:80"),
    ];
    let names = [unique("first"), unique("second"), unique("third")];
    let [first, second, third] = names.each_ref().map(String::as_str);

    // Watches from the present on, and such as an informer opens: from the version of a list.
    let mut watches: Vec<(Watching<'_>, bool)> = Vec::new();
    for (path, selector) in views {
        watches.push((
            view(cx, path, selector, None).await?,
            selector == "host=host1",
        ));
        let list = api.list(path, &[("fieldSelector", selector)]).await?;
        let version = cx
            .text("list", &list.body, "/metadata/resourceVersion")?
            .to_owned();
        let informer = view(cx, path, selector, Some(&version)).await?;
        watches.push((informer, selector == "host=host1"));
    }
    for (thing, fields) in [
        (first, json!({"host": "host1", "port": "80"})),
        (second, json!({"host": "host1", "port": "8080"})),
        (third, json!({"host": "host2"})),
    ] {
        let answer = api
            .create(&v2, definition.thing("v2", thing, &fields))
            .await?;
        cx.status(&format!("creation of {thing}"), 201, answer)?;
    }
    let other = (&v1, "hostPort=host1:8080");
    for ((path, selector), expected) in
        views
            .into_iter()
            .chain([other])
            .zip([&[first, second][..], &[first], &[first], &[second]])
    {
        let answer = api.list(path, &[("fieldSelector", selector)]).await?;
        cx.only(&format!("{path} with {selector}"), expected, answer)?;
    }
    for (watch, both) in &mut watches {
        watch.next("ADDED", first).await?;
        if *both {
            watch.next("ADDED", second).await?;
        }
    }

    let answer = api
        .delete(&v2, &[("fieldSelector", "host=host1,port=80")])
        .await?;
    cx.status("deletecollection", 200, answer)?;
    let item = format!("{v2}/{second}");
    let mut thing = cx.status("get", 200, api.get(&item).await?)?;
    thing["host"] = json!("host2");
    cx.status("update", 200, api.replace(&item, thing).await?)?;
    for (path, selector) in views {
        let answer = api.list(path, &[("fieldSelector", selector)]).await?;
        cx.only(&format!("{path} with {selector} afterwards"), &[], answer)?;
    }
    for (watch, both) in &mut watches {
        watch.next("DELETED", first).await?;
        // It is still there, and none of this view any more.
        if *both {
            watch.next("DELETED", second).await?;
        }
    }
    let answer = api.get(&v2).await?;
    cx.only("things that are left", &[second, third], answer)
}

async fn view<'c>(
    cx: &'c CheckContext,
    path: &str,
    selector: &str,
    version: Option<&str>,
) -> CheckResult<Watching<'c>> {
    let mut query = vec![("fieldSelector", selector)];
    query.extend(version.map(|version| ("resourceVersion", version)));
    cx.watch_path(Request::get(path).query(&query)).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conversion_goes_both_ways() {
        let v1 = json!({"hostPort": "a:80"});
        let v2 = convert(v1.clone(), "g/v2").unwrap();
        assert_eq!(v2, json!({"host": "a", "port": "80"}));
        assert_eq!(convert(v2, "g/v1").unwrap(), v1);
        assert_eq!(convert(json!({}), "g/v1").unwrap(), json!({}));
    }
}
