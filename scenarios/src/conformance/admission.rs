//! The API of webhook configurations, as far as it needs no webhook that answers.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::admitting::{MUTATING, Rule, Scope, VALIDATING};
use super::kinds::CONFIG_MAPS;
use super::steps::{create, read, update};

const SERVED: &[Requirement] = &[Requirement::WEBHOOKS];
const CONDITIONS: &[Requirement] = &[Requirement::WEBHOOKS, Requirement::Since(28)];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "admission/fails-closed",
        title: "A webhook that cannot be called and must not fail refuses every request that it matches, and no other.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should unconditionally reject operations on fail closed webhook",
        ],
        requires: SERVED,
        kills: &[
            mutant::WEBHOOK_FAILURE_ADMITS,
            mutant::WEBHOOK_NOT_CALLED,
            mutant::CREATE_NOT_STORED,
            mutant::FAULT_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(fails_closed(cx)),
        ..Check::BASE
    },
    Check {
        id: "admission/validating-conditions-are-stored",
        title: "The conditions of a validating webhook are stored as they were created and as they were updated.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should be able to create and update validating webhook configurations with match conditions",
        ],
        requires: CONDITIONS,
        kills: &[
            mutant::MATCH_CONDITIONS_IGNORED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::CREATE_NOT_STORED,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(conditions(cx, VALIDATING)),
        ..Check::BASE
    },
    Check {
        id: "admission/mutating-conditions-are-stored",
        title: "The conditions of a mutating webhook are stored as they were created and as they were updated.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should be able to create and update mutating webhook configurations with match conditions",
        ],
        requires: CONDITIONS,
        kills: &[
            mutant::MATCH_CONDITIONS_IGNORED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::CREATE_NOT_STORED,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(conditions(cx, MUTATING)),
        ..Check::BASE
    },
    Check {
        id: "admission/invalid-validating-conditions-are-refused",
        title: "A validating webhook whose condition does not compile is refused as invalid and not stored.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should reject validating webhook configurations with invalid match conditions",
        ],
        requires: CONDITIONS,
        kills: &[
            mutant::MATCH_CONDITIONS_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(invalid(cx, VALIDATING)),
        ..Check::BASE
    },
    Check {
        id: "admission/invalid-mutating-conditions-are-refused",
        title: "A mutating webhook whose condition does not compile is refused as invalid and not stored.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should reject mutating webhook configurations with invalid match conditions",
        ],
        requires: CONDITIONS,
        kills: &[
            mutant::MATCH_CONDITIONS_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(invalid(cx, MUTATING)),
        ..Check::BASE
    },
];

/// A webhook that nothing answers: its Service is not there.
fn dead(scope: &Scope) -> Value {
    let nobody = json!({"service": {"namespace": scope.namespace, "name": "nobody", "path": "/none", "port": 443}});
    scope.webhook("dead", nobody, &Rule::CONFIG_MAPS)
}

async fn fails_closed(cx: &CheckContext) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let mut hook = dead(&scope);
    hook["failurePolicy"] = json!("Fail");
    hook["namespaceSelector"]["matchExpressions"] =
        json!([{"key": "closed", "operator": "In", "values": ["yes"]}]);
    let closed = cx.another_namespace().await?;
    scope.extend(cx, &closed, json!({"closed": "yes"})).await?;
    let object = json!({"metadata": {"name": unique("closed")}, "webhooks": [hook]});
    create(cx, &cx.everywhere(VALIDATING), object).await?;

    let maps = Collection::new(cx.api(), CONFIG_MAPS, Some(&closed));
    let object = json!({"metadata": {"name": "map"}});
    cx.wait(
        "creation to be refused by the webhook that nothing answers",
        || async {
            let answer = maps
                .create_with(object.clone(), &[("dryRun", "All")])
                .await?;
            Ok(Seen::when(answer.status == 500, || answer.summary()))
        },
    )
    .await?;
    let answer = maps.create(object.clone()).await?;
    cx.refused("creation", 500, "InternalError", &answer)?;
    cx.expect(
        "the refusal to name the webhook",
        answer.message().contains("dead.assay.dev"),
        || answer.message().to_owned(),
    )?;
    let absent = maps.get("map").await?;
    cx.refused("get of what was refused", 404, "NotFound", &absent)?;
    // Of the same scope, and not closed.
    let own = cx.collection(CONFIG_MAPS).await?;
    create(cx, &own, object).await.map(drop)
}

async fn conditions(cx: &CheckContext, resource: Resource) -> CheckResult {
    let (scope, all) = (Scope::own(cx).await?, cx.everywhere(resource));
    let condition = |number: u8, namespace: &str| json!({"name": format!("expression-{number}"), "expression": format!("object.metadata.namespace == '{namespace}'")});
    let first = json!([condition(1, "production")]);
    let both = json!([condition(1, "production"), condition(2, "staging")]);
    let mut hook = dead(&scope);
    hook["matchConditions"] = first.clone();
    let name = unique("conditions");
    let object = json!({"metadata": {"name": name}, "webhooks": [hook]});
    create(cx, &all, object).await?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq(
        "conditions as created",
        first,
        stored["webhooks"][0]["matchConditions"].clone(),
    )?;
    update(cx, &all, &name, |object| {
        object["webhooks"][0]["matchConditions"] = both.clone();
    })
    .await?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq(
        "conditions as updated",
        both.clone(),
        stored["webhooks"][0]["matchConditions"].clone(),
    )
}

async fn invalid(cx: &CheckContext, resource: Resource) -> CheckResult {
    let (scope, all) = (Scope::own(cx).await?, cx.everywhere(resource));
    let mut hook = dead(&scope);
    hook["matchConditions"] =
        json!([{"name": "invalid-expression-1", "expression": "... [] bad expression"}]);
    let name = unique("invalid");
    let object = json!({"metadata": {"name": name}, "webhooks": [hook]});
    let answer = all.create(object).await?;
    cx.refused("creation", 422, "Invalid", &answer)?;
    cx.expect(
        "the refusal to say \"compilation failed\"",
        answer.message().contains("compilation failed"),
        || answer.message().to_owned(),
    )?;
    let absent = all.get(&name).await?;
    cx.refused("get of what was refused", 404, "NotFound", &absent)
}
