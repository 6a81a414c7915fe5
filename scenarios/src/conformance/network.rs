//! Ingresses, their classes, and network policies.

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{INGRESS_CLASSES, INGRESSES, NETWORK_POLICIES};
use super::status::status_walk;
use super::steps::create;
use super::walk::{self, Walk, subresources, walk};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "network/ingress-class-serves-every-verb",
        title: "IngressClasses are discovered and serve every verb.",
        official: &[
            "[sig-network] IngressClass API should support creating IngressClass API operations",
        ],
        requires: &[Requirement::Resource(
            "networking.k8s.io/v1",
            "ingressclasses",
        )],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &INGRESS_CLASS)),
        ..Check::BASE
    },
    Check {
        id: "network/ingress-serves-every-verb",
        title: "Ingresses are discovered and serve every verb.",
        official: &["[sig-network] Ingress API should support creating Ingress API operations"],
        requires: &[
            Requirement::Resource("networking.k8s.io/v1", "ingresses"),
            Requirement::Resource("networking.k8s.io/v1", "ingresses/status"),
        ],
        kills: INGRESS_KILLS,
        run: |cx| Box::pin(ingress(cx)),
        ..Check::BASE
    },
    // No official test: upstream calls NetworkPolicy an optional feature.
    Check {
        id: "network/policy-serves-every-verb",
        title: "NetworkPolicies are discovered, serve every verb and have their policy types defaulted.",
        requires: &[Requirement::Resource(
            "networking.k8s.io/v1",
            "networkpolicies",
        )],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &POLICY)),
        ..Check::BASE
    },
];

const INGRESS_KILLS: &[harness::api::mutant::Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DELETE_COLLECTION_DELETES_ALL,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::DROPS_MODIFIED,
    mutant::SPEC_LOST,
    mutant::STATUS_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_THROUGH_MAIN_RESOURCE,
];

const INGRESS_CLASS: Walk = Walk {
    resource: INGRESS_CLASSES,
    body: || json!({"spec": {"controller": "assay.dev/none"}}),
    defaults: || json!({}),
};

const INGRESS: Walk = Walk {
    resource: INGRESSES,
    body: ingress_body,
    defaults: || json!({}),
};

/// The walk writes no policy types: a policy without egress rules concerns ingress alone.
const POLICY: Walk = Walk {
    resource: NETWORK_POLICIES,
    body: || json!({"spec": {"podSelector": {"matchLabels": {"app": "a"}}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "b"}}}]}]}}),
    defaults: || json!({"spec": {"policyTypes": ["Ingress"]}}),
};

/// The class name keeps every ingress controller that may be there away from it.
fn ingress_body() -> Value {
    json!({"spec": {
        "ingressClassName": "assay-none",
        "defaultBackend": {"service": {"name": "default-backend", "port": {"number": 80}}},
        "rules": [{"host": "assay.invalid", "http": {"paths": [
            {"path": "/", "pathType": "Prefix", "backend": {"service": {"name": "backend", "port": {"number": 80}}}},
        ]}}],
    }})
}

async fn ingress(cx: &CheckContext) -> CheckResult {
    walk(cx, &INGRESS).await?;
    subresources(cx, INGRESSES, &["status"]).await?;
    let (all, name) = (cx.collection(INGRESSES).await?, unique("status"));
    let mut object = ingress_body();
    object["metadata"] = json!({"name": name});
    create(cx, &all, object).await?;
    let at = |ip: &str| json!({"loadBalancer": {"ingress": [{"ip": ip}]}});
    status_walk(cx, &all, &name, at("169.1.1.1"), at("169.1.1.2")).await
}
