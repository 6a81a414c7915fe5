//! Admission policies and their bindings as data.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{PatchKind, Resource};
use harness::check::{Check, CheckContext, CheckResult};
use serde_json::{Value, json};

use super::policy::{
    MUTATES, MUTATING, MUTATING_BINDINGS, VALIDATES, VALIDATING, VALIDATING_BINDINGS, deployments,
};
use super::steps::{create, read, update};
use super::walk::{self, Subject, subresources};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "policyapi/validating-serves-every-verb",
        title: "ValidatingAdmissionPolicies are discovered, created, read, listed, watched, patched, updated and deleted; their status apart.",
        official: &[
            "[sig-api-machinery] ValidatingAdmissionPolicy should support ValidatingAdmissionPolicy API operations",
        ],
        requires: VALIDATES,
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(async {
                let fields = [
                    json!({"failurePolicy": "Ignore"}),
                    json!({"failurePolicy": "Fail"}),
                ];
                served(cx, VALIDATING, validating_body, fields).await?;
                status(cx).await
            })
        },
        ..Check::BASE
    },
    Check {
        id: "policyapi/validating-bindings-serve-every-verb",
        title: "ValidatingAdmissionPolicyBindings are discovered, created, read, listed, watched, patched, updated and deleted.",
        official: &[
            "[sig-api-machinery] ValidatingAdmissionPolicy should support ValidatingAdmissionPolicyBinding API operations",
        ],
        requires: VALIDATES,
        kills: walk::KILLS,
        run: |cx| {
            Box::pin(async {
                let body = || json!({"spec": {"policyName": "assay-none.example.com", "validationActions": ["Deny"]}});
                let fields = [
                    json!({"validationActions": ["Warn"]}),
                    json!({"validationActions": ["Deny"]}),
                ];
                served(cx, VALIDATING_BINDINGS, body, fields).await
            })
        },
        ..Check::BASE
    },
    Check {
        id: "policyapi/mutating-serves-every-verb",
        title: "MutatingAdmissionPolicies are discovered, created, read, listed, watched, patched, updated and deleted.",
        official: &[
            "[sig-api-machinery] MutatingAdmissionPolicy should support MutatingAdmissionPolicy API operations",
        ],
        requires: MUTATES,
        kills: walk::KILLS,
        run: |cx| {
            Box::pin(async {
                let fields = [
                    json!({"failurePolicy": "Ignore"}),
                    json!({"failurePolicy": "Fail"}),
                ];
                served(cx, MUTATING, mutating_body, fields).await
            })
        },
        ..Check::BASE
    },
    Check {
        id: "policyapi/mutating-bindings-serve-every-verb",
        title: "MutatingAdmissionPolicyBindings are discovered, created, read, listed, watched, patched, updated and deleted.",
        official: &[
            "[sig-api-machinery] MutatingAdmissionPolicy should support MutatingAdmissionPolicyBinding API operations",
        ],
        requires: MUTATES,
        kills: walk::KILLS,
        run: |cx| {
            Box::pin(async {
                let body = || json!({"spec": {"policyName": "assay-none.example.com"}});
                let fields = [
                    json!({"policyName": "assay-new.example.com"}),
                    json!({"policyName": "assay-none.example.com"}),
                ];
                served(cx, MUTATING_BINDINGS, body, fields).await
            })
        },
        ..Check::BASE
    },
];

const WITH_STATUS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::DROPS_MODIFIED,
    mutant::DROPS_DELETED,
    mutant::WATCH_IGNORES_SELECTOR,
    mutant::STATUS_NOT_APPLIED,
    mutant::STATUS_MISSING,
    mutant::VERSION_DECREASING,
];

/// No namespace has this: a policy of these objects, bound by mistake, would still match nothing.
fn nothing() -> Value {
    deployments(json!({"matchLabels": {"assay.dev/scope": "none"}}))
}

fn validating_body() -> Value {
    json!({"spec": {"matchConstraints": nothing(), "validations": [{"expression": "object.spec.replicas <= 100"}]}})
}

fn mutating_body() -> Value {
    let expression = "Object{metadata: Object.metadata{annotations: {\"a\": \"b\"}}}";
    json!({"spec": {"matchConstraints": nothing(), "reinvocationPolicy": "Never", "mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]}})
}

/// The walk over every verb, and changes of the spec.
async fn served(
    cx: &CheckContext,
    resource: Resource,
    body: fn() -> Value,
    [first, second]: [Value; 2],
) -> CheckResult {
    let mut subject = Subject::new(resource, body());
    // A controller writes what it found of a policy's types into its status.
    subject.shared = resource == VALIDATING;
    walk::walk_over(cx, &subject).await?;
    let (all, name) = (cx.everywhere(resource), unique("changed"));
    let mut object = body();
    object["metadata"] = json!({"name": name});
    let made = create(cx, &all, object).await?;
    let answer = all
        .patch(&name, PatchKind::Merge, json!({"spec": first}))
        .await?;
    let patched = cx.status("patch of the spec", 200, answer)?;
    cx.contains("the spec as patched", &first, &patched["spec"])?;
    let version = |object: &Value| {
        let text = object["metadata"]["resourceVersion"].as_str();
        text.and_then(|text| text.parse::<u64>().ok())
    };
    let versions = [version(&made), version(&patched)];
    cx.expect(
        "the patch to have a greater resourceVersion",
        versions.iter().all(Option::is_some) && versions[0] < versions[1],
        || format!("{versions:?}"),
    )?;
    update(cx, &all, &name, |object| {
        for (field, value) in second.as_object().into_iter().flatten() {
            object["spec"][field] = value.clone();
        }
    })
    .await?;
    let stored = read(cx, &all, &name).await?;
    cx.contains("the spec as updated", &second, &stored["spec"])
}

async fn status(cx: &CheckContext) -> CheckResult {
    subresources(cx, VALIDATING, &["status"]).await?;
    let (all, name) = (cx.everywhere(VALIDATING), unique("status"));
    let mut object = validating_body();
    object["metadata"] = json!({"name": name});
    let made = create(cx, &all, object).await?;
    let sub = format!("{name}/status");
    let read_status = read(cx, &all, &sub).await?;
    let expected =
        json!({"kind": "ValidatingAdmissionPolicy", "metadata": {"uid": made["metadata"]["uid"]}});
    cx.contains("what /status gives", &expected, &read_status)?;
    let condition = |kind: &str| {
        json!({"type": kind, "status": "False", "reason": "assay", "message": "set by assay",
            "lastTransitionTime": "2024-01-01T00:00:00Z"})
    };
    let has = |object: &Value, kind: &str| {
        let list = object["status"]["conditions"].as_array();
        list.into_iter().flatten().any(|one| one["type"] == kind)
    };
    let patch = json!({"status": {"conditions": [condition("Patched")]}});
    let answer = all.patch(&sub, PatchKind::Merge, patch).await?;
    let patched = cx.status("patch of /status", 200, answer)?;
    update(cx, &all, &sub, |object| {
        let list = object["status"]["conditions"].as_array_mut();
        list.into_iter()
            .for_each(|list| list.push(condition("Updated")));
    })
    .await?;
    let stored = read(cx, &all, &name).await?;
    for (what, object, kind) in [
        ("answered", &patched, "Patched"),
        ("stored", &stored, "Patched"),
        ("stored", &stored, "Updated"),
    ] {
        let seen = || object["status"].to_string();
        cx.expect(
            &format!("the condition {kind} as {what}"),
            has(object, kind),
            seen,
        )?;
    }
    Ok(())
}
