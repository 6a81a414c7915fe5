//! Admission policies: expressions that the server evaluates itself.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::admitting::Scope;
use super::kinds::{DEPLOYMENTS, REPLICA_SETS};
use super::steps::{create, read, template};

pub(crate) const GROUP: &str = "admissionregistration.k8s.io/v1";
pub(crate) const VALIDATING: Resource = Resource::cluster(
    GROUP,
    "validatingadmissionpolicies",
    "ValidatingAdmissionPolicy",
);
pub(crate) const VALIDATING_BINDINGS: Resource = Resource::cluster(
    GROUP,
    "validatingadmissionpolicybindings",
    "ValidatingAdmissionPolicyBinding",
);
pub(crate) const MUTATING: Resource = Resource::cluster(
    GROUP,
    "mutatingadmissionpolicies",
    "MutatingAdmissionPolicy",
);
pub(crate) const MUTATING_BINDINGS: Resource = Resource::cluster(
    GROUP,
    "mutatingadmissionpolicybindings",
    "MutatingAdmissionPolicyBinding",
);
pub(crate) const VALIDATES: &[Requirement] = &[
    Requirement::Resource(GROUP, "validatingadmissionpolicies"),
    Requirement::Resource(GROUP, "validatingadmissionpolicybindings"),
    Requirement::Resource("apps/v1", "deployments"),
];
pub(crate) const MUTATES: &[Requirement] = &[
    Requirement::Resource(GROUP, "mutatingadmissionpolicies"),
    Requirement::Resource(GROUP, "mutatingadmissionpolicybindings"),
    Requirement::Resource("apps/v1", "deployments"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "policy/validates-deployments",
        title: "A bound policy refuses a Deployment that does not satisfy it, with the policy's message, and admits others and other kinds.",
        official: &[
            "[sig-api-machinery] ValidatingAdmissionPolicy should validate against a Deployment",
        ],
        requires: VALIDATES,
        kills: &[
            mutant::POLICY_NOT_ENFORCED,
            mutant::POLICY_REFUSES_ALL,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(validates(cx)),
        ..Check::BASE
    },
    Check {
        id: "policy/variables-are-evaluated",
        title: "The expressions of a policy use its variables, of which one may use another.",
        official: &[
            "[sig-api-machinery] ValidatingAdmissionPolicy should allow expressions to refer variables.",
        ],
        requires: VALIDATES,
        kills: &[
            mutant::POLICY_NOT_ENFORCED,
            mutant::POLICY_REFUSES_ALL,
            mutant::POLICY_VARIABLE_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(variables(cx)),
        ..Check::BASE
    },
    Check {
        id: "policy/mutates-deployments",
        title: "A bound mutating policy sets a field of the spec of each Deployment, and that is stored.",
        official: &["[sig-api-machinery] MutatingAdmissionPolicy should mutate a Deployment"],
        requires: MUTATES,
        kills: &[
            mutant::POLICY_NOT_ENFORCED,
            mutant::SPEC_LOST,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| {
            Box::pin(async {
                let expression = "Object{spec: Object.spec{replicas: 1337}}";
                mutates(cx, expression, &json!({"spec": {"replicas": 1337}})).await
            })
        },
        ..Check::BASE
    },
    Check {
        id: "policy/annotates-deployments",
        title: "A bound mutating policy adds an annotation to each Deployment, and that is stored.",
        official: &[
            "[sig-api-machinery] MutatingAdmissionPolicy should mutate a Deployment with annotations",
        ],
        requires: MUTATES,
        kills: &[
            mutant::POLICY_NOT_ENFORCED,
            mutant::ANNOTATIONS_LOST,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| {
            Box::pin(async {
                let expression =
                    "Object{metadata: Object.metadata{annotations: {\"mutated-by\": \"policy\"}}}";
                let expected = json!({"metadata": {"annotations": {"mutated-by": "policy"}}});
                mutates(cx, expression, &expected).await
            })
        },
        ..Check::BASE
    },
];

/// Creations of Deployments.
pub(crate) fn deployments(selector: Value) -> Value {
    let rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]});
    json!({"resourceRules": [rule], "namespaceSelector": selector})
}

fn deployment(name: &str, replicas: u32) -> Value {
    json!({"metadata": {"name": name}, "spec": {"replicas": replicas,
        "selector": {"matchLabels": {"app": "policy"}}, "template": template("policy")}})
}

/// Stores a policy and its binding, both bound to the check's own namespace.
async fn bind(
    cx: &CheckContext,
    scope: &Scope,
    (policies, bindings): (Resource, Resource),
    mut spec: Value,
    mut binding: Value,
) -> CheckResult {
    let name = unique("policy");
    spec["matchConstraints"] = deployments(scope.selector());
    let object = json!({"metadata": {"name": name}, "spec": spec});
    create(cx, &cx.everywhere(policies), object).await?;
    binding["policyName"] = json!(name);
    binding["matchResources"] = json!({"namespaceSelector": scope.selector()});
    let object = json!({"metadata": {"name": name}, "spec": binding});
    create(cx, &cx.everywhere(bindings), object).await.map(drop)
}

/// Waits until the policy refuses a Deployment of one replica.
async fn enforced(cx: &CheckContext, all: &Collection) -> CheckResult {
    cx.wait("the policy to refuse one replica", || async {
        let marker = deployment("marker", 1);
        let answer = all.create_with(marker, &[("dryRun", "All")]).await?;
        Ok(Seen::when(answer.status == 422, || answer.summary()))
    })
    .await
}

/// Refused for good: as invalid, with these words, and not stored.
async fn refuses(cx: &CheckContext, all: &Collection, replicas: u32, words: &str) -> CheckResult {
    let answer = all.create(deployment("refused", replicas)).await?;
    let what = format!("creation with {replicas} replicas");
    cx.refused(&what, 422, "Invalid", &answer)?;
    cx.expect(
        &format!("the refusal to say {words:?}"),
        answer.message().contains(words),
        || answer.message().to_owned(),
    )?;
    let absent = all.get("refused").await?;
    cx.refused("get of what was refused", 404, "NotFound", &absent)
}

async fn others_pass(cx: &CheckContext) -> CheckResult {
    let mut object = deployment("small", 1);
    object["spec"]["template"] = template("policy");
    let sets = cx.collection(REPLICA_SETS).await?;
    create(cx, &sets, object).await.map(drop)
}

async fn validates(cx: &CheckContext) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let own = format!("namespaceObject.metadata.name == '{}'", scope.namespace);
    let spec = json!({"validations": [
        {"expression": "object.spec.replicas > 1", "messageExpression": "'wants more than 1, got ' + string(object.spec.replicas)"},
        {"expression": own, "message": "of another namespace"},
    ]});
    let deny = json!({"validationActions": ["Deny"]});
    bind(cx, &scope, (VALIDATING, VALIDATING_BINDINGS), spec, deny).await?;
    let all = cx.collection(DEPLOYMENTS).await?;
    enforced(cx, &all).await?;
    refuses(cx, &all, 1, "wants more than 1, got 1").await?;
    create(cx, &all, deployment("replicated", 2)).await?;
    others_pass(cx).await
}

async fn variables(cx: &CheckContext) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let spec = json!({
        "variables": [
            {"name": "replicas", "expression": "object.spec.replicas"},
            {"name": "oddReplicas", "expression": "variables.replicas % 2 == 1"},
        ],
        "validations": [
            {"expression": "variables.replicas > 1", "message": "wants more than 1"},
            {"expression": "variables.oddReplicas", "message": "wants an odd number"},
        ],
    });
    let deny = json!({"validationActions": ["Deny"]});
    bind(cx, &scope, (VALIDATING, VALIDATING_BINDINGS), spec, deny).await?;
    let all = cx.collection(DEPLOYMENTS).await?;
    enforced(cx, &all).await?;
    refuses(cx, &all, 1, "wants more than 1").await?;
    refuses(cx, &all, 2, "wants an odd number").await?;
    create(cx, &all, deployment("replicated", 3)).await?;
    others_pass(cx).await
}

async fn mutates(cx: &CheckContext, expression: &str, expected: &Value) -> CheckResult {
    let scope = Scope::own(cx).await?;
    let spec = json!({"failurePolicy": "Fail", "reinvocationPolicy": "Never", "mutations": [
        {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}]});
    bind(cx, &scope, (MUTATING, MUTATING_BINDINGS), spec, json!({})).await?;
    let all = cx.collection(DEPLOYMENTS).await?;
    cx.wait("the policy to change a Deployment", || async {
        let marker = deployment("marker", 1);
        let answer = all.create_with(marker, &[("dryRun", "All")]).await?;
        let changed = cx.contains("", expected, &answer.body).is_ok();
        Ok(Seen::when(changed, || {
            answer.body["spec"]["replicas"].to_string()
        }))
    })
    .await?;
    let made = create(cx, &all, deployment("changed", 2)).await?;
    cx.contains("the Deployment as answered", expected, &made)?;
    let stored = read(cx, &all, "changed").await?;
    cx.contains("the Deployment as stored", expected, &stored)
}
