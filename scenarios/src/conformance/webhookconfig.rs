//! Webhook configurations while they change: what a server does must follow what is stored.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{PatchKind, Resource};
use harness::callback::Verdict;
use harness::check::{Check, CheckContext, CheckResult};
use serde_json::{Value, json};

use super::admitting::{CALLED, MUTATING, Rule, Scope, VALIDATING, adding, refusing};
use super::kinds::CONFIG_MAPS;
use super::steps::{delete, read, update};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "webhookconfig/validating-follows-changes",
        title: "A validating webhook stops to deny creation when an update takes it out of its rules, and denies again when a patch puts it back.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook patching/updating a validating webhook should work",
        ],
        requires: CALLED,
        kills: CHANGES,
        run: |cx| Box::pin(follows(cx, VALIDATING)),
        ..Check::BASE
    },
    Check {
        id: "webhookconfig/mutating-follows-changes",
        title: "A mutating webhook stops to change what is created when an update takes creation out of its rules, and does again when a patch puts it back.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook patching/updating a mutating webhook should work",
        ],
        requires: CALLED,
        kills: CHANGES,
        run: |cx| Box::pin(follows(cx, MUTATING)),
        ..Check::BASE
    },
    Check {
        id: "webhookconfig/validating-collections-are-deleted",
        title: "Ten labelled validating configurations are listed and deny; deletecollection removes just those, and nothing is denied any more.",
        official: &["[sig-api-machinery] AdmissionWebhook listing validating webhooks should work"],
        requires: CALLED,
        kills: COLLECTIONS,
        run: |cx| Box::pin(collections(cx, VALIDATING)),
        ..Check::BASE
    },
    Check {
        id: "webhookconfig/mutating-collections-are-deleted",
        title: "Ten labelled mutating configurations are listed and change what is created; deletecollection removes just those, and nothing is changed any more.",
        official: &["[sig-api-machinery] AdmissionWebhook listing mutating webhooks should work"],
        requires: CALLED,
        kills: COLLECTIONS,
        run: |cx| Box::pin(collections(cx, MUTATING)),
        ..Check::BASE
    },
    Check {
        id: "webhookconfig/are-out-of-reach-of-webhooks",
        title: "Webhooks for webhook configurations are never called: such objects are neither changed nor kept from deletion.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should not be able to mutate or prevent deletion of webhook configuration objects",
        ],
        requires: CALLED,
        kills: &[
            mutant::CONFIGURATION_MUTATED,
            mutant::DELETE_IGNORED,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(out_of_reach(cx)),
        ..Check::BASE
    },
];

const CHANGES: &[Mutant] = &[
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::WEBHOOK_NOT_CALLED,
    mutant::WEBHOOK_ANSWER_IGNORED,
    mutant::VERSION_DECREASING,
];
const COLLECTIONS: &[Mutant] = &[
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::WEBHOOK_NOT_CALLED,
    mutant::WEBHOOK_ANSWER_IGNORED,
];

const DENIED: &str = "not wanted while this webhook acts";

/// The webhook of a kind, which denies or adds, for each creation of a ConfigMap that it would act on.
async fn acting(cx: &CheckContext, scope: &Scope, resource: Resource) -> CheckResult<Value> {
    let server = cx.callback().await?;
    if resource == VALIDATING {
        server.admit("/act", refusing(DENIED));
    } else {
        server.admit("/act", adding("start", "one"));
    }
    Ok(scope.webhook("act", server.client_config("/act"), &Rule::CONFIG_MAPS))
}

/// Waits until the webhook acts on creations, or does so no longer. Dry runs: nothing has to be removed in between.
async fn acts(cx: &CheckContext, resource: Resource, wanted: bool) -> CheckResult {
    let maps = &cx.collection(CONFIG_MAPS).await?;
    let object = &json!({"metadata": {"generateName": "map-"}, "data": {"start": "yes", "unwanted": "refuse"}});
    let what = if wanted { "to act" } else { "to act no longer" };
    cx.wait(
        &format!(
            "the webhook of a {} {what} on what is created",
            resource.kind
        ),
        || async move {
            let answer = maps
                .create_with(object.clone(), &[("dryRun", "All")])
                .await?;
            let acted = if resource == VALIDATING {
                match answer.status {
                    201 => Some(false),
                    403 if answer.message().contains(DENIED) => Some(true),
                    _ => None,
                }
            } else {
                match (answer.status, answer.body["data"]["one"].as_str()) {
                    (201, Some("yes")) => Some(true),
                    (201, None) => Some(false),
                    _ => None,
                }
            };
            Ok(Seen::when(acted == Some(wanted), || {
                format!("{} {}", answer.summary(), answer.body["data"])
            }))
        },
    )
    .await
}

async fn follows(cx: &CheckContext, resource: Resource) -> CheckResult {
    let (scope, all) = (Scope::own(cx).await?, cx.everywhere(resource));
    let (hook, name) = (acting(cx, &scope, resource).await?, unique("follows"));
    let made = scope.register(cx, resource, &name, vec![hook]).await?;
    acts(cx, resource, true).await?;

    update(cx, &all, &name, |object| {
        object["webhooks"][0]["rules"][0]["operations"] = json!(["UPDATE"]);
    })
    .await?;
    acts(cx, resource, false).await?;

    let before = cx.status("get before the patch", 200, all.get(&name).await?)?;
    let patch =
        json!([{"op": "replace", "path": "/webhooks/0/rules/0/operations", "value": ["CREATE"]}]);
    let answer = all.patch(&name, PatchKind::Json, patch).await?;
    let patched = cx.status("patch", 200, answer)?;
    acts(cx, resource, true).await?;
    let version = |object: &Value| {
        let text = object["metadata"]["resourceVersion"].as_str();
        text.and_then(|text| text.parse::<u64>().ok())
    };
    let versions = [&made, &before, &patched].map(version);
    cx.expect(
        "each change to have a greater resourceVersion",
        versions.iter().all(Option::is_some) && versions.is_sorted_by(|a, b| a < b),
        || format!("{versions:?}"),
    )
}

async fn collections(cx: &CheckContext, resource: Resource) -> CheckResult {
    let (scope, all) = (Scope::own(cx).await?, cx.everywhere(resource));
    let hook = acting(cx, &scope, resource).await?;
    let names: Vec<String> = (0..10).map(|_| unique("listed")).collect();
    for name in &names {
        scope
            .store(cx, resource, name, vec![hook.clone()], scope.labels())
            .await?;
    }
    // One of another label, which acts on nothing, must stay.
    let (mut idle, other) = (hook.clone(), unique("other"));
    idle["rules"][0]["resources"] = json!(["invalid"]);
    scope
        .store(cx, resource, &other, vec![idle], json!({}))
        .await?;

    let labels = scope.labels();
    let label = labels.as_object().into_iter().flatten().next();
    let selector =
        label.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()));
    let selector = selector.unwrap_or_default();
    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
    let answer = all.list(&[("labelSelector", &selector)]).await?;
    cx.only("list by label", &listed, answer)?;
    for name in &names {
        scope.honoured(cx, name).await?;
    }
    acts(cx, resource, true).await?;

    let answer = all
        .delete_collection(&[("labelSelector", &selector)])
        .await?;
    cx.status("deletecollection", 200, answer)?;
    acts(cx, resource, false).await?;
    let answer = all.list(&[("labelSelector", &selector)]).await?;
    cx.only("list after deletecollection", &[], answer)?;
    cx.status("get of the other", 200, all.get(&other).await?)
        .map(drop)
}

async fn out_of_reach(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/keep", |_| {
        Verdict::Deny("no configuration may go".to_owned())
    });
    server.admit("/label", |_| {
        Verdict::Patch(json!([{"op": "add", "path": "/metadata/labels/added", "value": "yes"}]))
    });
    // Bound to the scope's objects: those to come carry its label.
    let hook = |name: &str, operation: &'static [&'static str]| {
        let rules = [
            "validatingwebhookconfigurations",
            "mutatingwebhookconfigurations",
        ];
        let mut hook = scope.webhook(
            name,
            server.client_config(&format!("/{name}")),
            &Rule::CONFIG_MAPS,
        );
        hook["rules"] = json!([{"operations": operation, "apiGroups": ["admissionregistration.k8s.io"],
            "apiVersions": ["*"], "resources": rules}]);
        hook["objectSelector"] = json!({"matchLabels": scope.labels()});
        hook
    };
    scope
        .register(
            cx,
            VALIDATING,
            &unique("keep"),
            vec![hook("keep", &["DELETE"])],
        )
        .await?;
    scope
        .register(
            cx,
            MUTATING,
            &unique("label"),
            vec![hook("label", &["CREATE"])],
        )
        .await?;
    for resource in [VALIDATING, MUTATING] {
        let (all, name) = (cx.everywhere(resource), unique("target"));
        let nothing = Rule {
            resource: "invalid",
            ..Rule::CONFIG_MAPS
        };
        let mut idle = scope.webhook("idle", server.client_config("/none"), &nothing);
        idle["failurePolicy"] = json!("Ignore");
        let made = scope
            .store(cx, resource, &name, vec![idle], scope.labels())
            .await?;
        let stored = read(cx, &all, &name).await?;
        for (what, object) in [("answered", &made), ("stored", &stored)] {
            let added = &object["metadata"]["labels"]["added"];
            cx.expect(
                &format!("{} as {what} to be unchanged", resource.kind),
                added.is_null(),
                || added.to_string(),
            )?;
        }
        scope.honoured(cx, &name).await?;
        delete(cx, &all, &name).await?;
    }
    for path in ["/keep", "/label"] {
        cx.expect_eq(&format!("calls of {path}"), 0, server.calls(path).len())?;
    }
    Ok(())
}
