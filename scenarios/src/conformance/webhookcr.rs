//! Webhooks of admission for custom resources and their definitions.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Method, PatchKind, Request};
use harness::callback::Verdict;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::admitting::definition::Definition;
use super::admitting::{MUTATING, Rule, Scope, VALIDATING, adding, denied};
use super::kinds::CRDS;
use super::steps::read;

const SERVED: &[Requirement] = &[
    Requirement::WEBHOOKS,
    Requirement::Callback,
    Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "webhookcr/denies-custom-resources",
        title: "A webhook denies creation, update and deletion of custom resources, each with its own message; what it allows is done.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should be able to deny custom resource creation, update and deletion",
        ],
        requires: SERVED,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(denies(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhookcr/denies-definitions",
        title: "A webhook denies the creation of a CustomResourceDefinition, which is not stored.",
        official: &["[sig-api-machinery] AdmissionWebhook should deny crd creation"],
        requires: SERVED,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(denies_definitions(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhookcr/mutates-custom-resources",
        title: "Two webhooks change a custom resource one after the other, and that is stored.",
        official: &["[sig-api-machinery] AdmissionWebhook should mutate custom resource"],
        requires: SERVED,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::WEBHOOKS_OUT_OF_ORDER,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(mutates(cx, false)),
        ..Check::BASE
    },
    Check {
        id: "webhookcr/mutations-are-pruned",
        title: "What webhooks add to a custom resource is kept where its schema knows the field, and pruned where not.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should mutate custom resource with pruning",
        ],
        requires: SERVED,
        kills: &[
            mutant::PRUNING_SKIPPED,
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
        ],
        run: |cx| Box::pin(mutates(cx, true)),
        ..Check::BASE
    },
    Check {
        id: "webhookcr/mutates-across-stored-versions",
        title: "A custom resource that was stored in one version is patched and mutated through another after the storage version moved.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should mutate custom resource with different stored version",
        ],
        requires: SERVED,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::STORAGE_VERSION_KEPT,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(across_versions(cx)),
        ..Check::BASE
    },
];

const UNWANTED: &str = "the thing holds what is not wanted";
const KEPT: &str = "the thing is to be kept";

/// A rule for a definition's resource in both its versions, or the one that it has.
fn rule<'r>(
    definition: &'r Definition,
    operations: &'r [&'r str],
    versions: &'r [&'r str],
) -> Rule<'r> {
    Rule {
        operations,
        group: &definition.group,
        versions,
        resource: "things",
    }
}

async fn denies(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/things", |request| {
        let state = |object: &Value| object["data"]["state"].as_str().map(str::to_owned);
        if request["operation"] == "DELETE" {
            // Of a deletion, what is there comes as the old object.
            return match state(&request["oldObject"]).as_deref() {
                Some("keep") => Verdict::Deny(KEPT.to_owned()),
                _ => Verdict::Allow,
            };
        }
        match state(&request["object"]).as_deref() {
            Some("refuse") => Verdict::Deny(UNWANTED.to_owned()),
            _ => Verdict::Allow,
        }
    });
    let definition = Definition::new(&[("v1", Definition::anything())]);
    definition.serve(cx).await?;
    let operations = ["CREATE", "UPDATE", "DELETE"];
    let rule = rule(&definition, &operations, &["v1"]);
    let hook = scope.webhook("things", server.client_config("/things"), &rule);
    scope
        .register(cx, VALIDATING, &unique("things"), vec![hook])
        .await?;
    let (api, path) = (cx.api(), definition.path("v1", &scope.namespace));
    let thing =
        |name: &str, state: &str| definition.thing("v1", name, &json!({"data": {"state": state}}));

    let answer = api.create(&path, thing("refused", "refuse")).await?;
    denied(cx, "creation", "things", UNWANTED, &answer)?;
    let answer = api.create(&path, thing("kept", "keep")).await?;
    let mut object = cx.status("creation of what may be", 201, answer)?;
    let item = format!("{path}/kept");
    object["data"]["state"] = json!("refuse");
    let answer = api.replace(&item, object).await?;
    denied(cx, "update", "things", UNWANTED, &answer)?;
    let answer = api.delete(&item, &[]).await?;
    denied(cx, "deletion", "things", KEPT, &answer)?;

    let mut object = cx.status("get of what was kept", 200, api.get(&item).await?)?;
    cx.expect_eq(
        "what the denied update left",
        json!("keep"),
        object["data"]["state"].clone(),
    )?;
    object["data"]["state"] = json!("release");
    cx.status(
        "update of what may be",
        200,
        api.replace(&item, object).await?,
    )?;
    cx.status(
        "deletion of what may go",
        200,
        api.delete(&item, &[]).await?,
    )?;
    cx.refused(
        "get of what is gone",
        404,
        "NotFound",
        &api.get(&item).await?,
    )
}

async fn denies_definitions(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    let message = "the definition's label is not wanted";
    server.admit("/definitions", move |request| {
        match request["object"]["metadata"]["labels"]["unwanted"].as_str() {
            Some("yes") => Verdict::Deny(message.to_owned()),
            _ => Verdict::Allow,
        }
    });
    let rule = Rule {
        operations: &["CREATE"],
        group: "apiextensions.k8s.io",
        versions: &["*"],
        resource: "customresourcedefinitions",
    };
    let mut hook = scope.webhook("definitions", server.client_config("/definitions"), &rule);
    // Definitions have no namespace: their own label binds them.
    hook["objectSelector"] = json!({"matchLabels": scope.labels()});
    scope
        .register(cx, VALIDATING, &unique("definitions"), vec![hook])
        .await?;
    let all = cx.everywhere(CRDS);
    let mut definition = Definition::new(&[("v1", Definition::anything())]);
    definition.object["metadata"]["labels"] = scope.labels();
    definition.object["metadata"]["labels"]["unwanted"] = json!("yes");
    let answer = all.create(definition.object.clone()).await?;
    denied(cx, "creation", "definitions", message, &answer)?;
    let absent = all.get(&definition.name()).await?;
    cx.refused("get of what was denied", 404, "NotFound", &absent)
}

/// Registers two webhooks, of which the second acts on what the first added.
async fn stages(
    cx: &CheckContext,
    scope: &Scope,
    definition: &Definition,
    both: &[&str],
) -> CheckResult {
    let server = cx.callback().await?;
    server.admit("/one", adding("start", "one"));
    server.admit("/two", adding("one", "two"));
    let (later, created) = (["CREATE", "UPDATE"], ["CREATE"]);
    let hooks = [("one", &later[..]), ("two", &created[..])].map(|(name, operations)| {
        let client = server.client_config(&format!("/{name}"));
        scope.webhook(name, client, &rule(definition, operations, both))
    });
    scope
        .register(cx, MUTATING, &unique("stages"), hooks.to_vec())
        .await
        .map(drop)
}

async fn mutates(cx: &CheckContext, prunes: bool) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let schema = if prunes {
        let known = json!({"start": {"type": "string"}, "one": {"type": "string"}});
        json!({"type": "object", "properties": {"data": {"type": "object", "properties": known}}})
    } else {
        Definition::anything()
    };
    let definition = Definition::new(&[("v1", schema)]);
    definition.serve(cx).await?;
    stages(cx, &scope, &definition, &["v1"]).await?;
    let (api, path) = (cx.api(), definition.path("v1", &scope.namespace));
    let thing = definition.thing("v1", "thing", &json!({"data": {"start": "yes"}}));
    let made = cx.status("creation", 201, api.create(&path, thing).await?)?;
    let mut expected = json!({"start": "yes", "one": "yes"});
    if !prunes {
        expected["two"] = json!("yes");
    }
    cx.expect_eq("data as answered", expected.clone(), made["data"].clone())?;
    let stored = cx.status("get", 200, api.get(&format!("{path}/thing")).await?)?;
    cx.expect_eq("data as stored", expected, stored["data"].clone())
}

async fn across_versions(cx: &CheckContext) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let versions = [
        ("v1", Definition::anything()),
        ("v2", Definition::anything()),
    ];
    let definition = Definition::new(&versions);
    definition.serve(cx).await?;
    stages(cx, &scope, &definition, &["v1", "v2"]).await?;
    let (api, v1) = (cx.api(), definition.path("v1", &scope.namespace));
    let thing = definition.thing("v1", "thing", &json!({"data": {"start": "yes"}}));
    cx.status("creation in v1", 201, api.create(&v1, thing).await?)?;

    let all = cx.everywhere(CRDS);
    let moved = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let answer = all
        .patch(&definition.name(), PatchKind::Json, moved)
        .await?;
    cx.status("move of the storage version", 200, answer)?;
    // The server notes by itself in which versions it may have stored anything.
    let name = definition.name();
    cx.wait("v2 among the stored versions", || async {
        let stored = read(cx, &all, &name).await?["status"]["storedVersions"].clone();
        let both = stored == json!(["v1", "v2"]);
        Ok(Seen::when(both, || stored.to_string()))
    })
    .await?;

    let item = format!("{}/thing", definition.path("v2", &scope.namespace));
    let patch = json!([{"op": "add", "path": "/dummy", "value": "test"}]);
    let request = Request::new(Method::PATCH, &item)
        .content_type(PatchKind::Json.content_type())
        .body(patch);
    let patched = cx.status("patch in v2", 200, api.send(request).await?)?;
    let stored = cx.status("get in v2", 200, api.get(&item).await?)?;
    for (what, thing) in [("answered", patched), ("stored", stored)] {
        let expected = json!({
            "apiVersion": format!("{}/v2", definition.group), "dummy": "test",
            "data": {"start": "yes", "one": "yes", "two": "yes"},
        });
        cx.contains(&format!("the thing as {what}"), &expected, &thing)?;
    }
    Ok(())
}
