//! Who may do what: certificate requests, roles, access reviews.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, Method, PatchKind, Request, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CONFIG_MAPS, CSRS, ROLES};
use super::status::status_walk;
use super::steps::{create, read};
use super::walk::{self, Walk, subresources, walk};

const GROUP: &str = "authorization.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "access/certificate-requests-serve-every-verb",
        title: "CertificateSigningRequests serve every verb; approval and status are written apart.",
        official: &["[sig-auth] Certificates API should support CSR API operations"],
        requires: &[
            Requirement::Resource("certificates.k8s.io/v1", "certificatesigningrequests"),
            Requirement::Resource(
                "certificates.k8s.io/v1",
                "certificatesigningrequests/approval",
            ),
            Requirement::Resource(
                "certificates.k8s.io/v1",
                "certificatesigningrequests/status",
            ),
        ],
        kills: CSR_KILLS,
        run: |cx| Box::pin(certificates(cx)),
        ..Check::BASE
    },
    // No official test: upstream calls RBAC an optional feature.
    Check {
        id: "access/roles-serve-every-verb",
        title: "Roles are discovered and serve every verb.",
        requires: &[Requirement::Resource(
            "rbac.authorization.k8s.io/v1",
            "roles",
        )],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &ROLE)),
        ..Check::BASE
    },
    Check {
        id: "access/reviews-agree-with-what-is-allowed",
        title: "SubjectAccessReview and LocalSubjectAccessReview say of a ServiceAccount what it is then allowed, before and after a Role.",
        official: &["[sig-auth] SubjectReview should support SubjectReview API operations"],
        requires: &[
            Requirement::Resource(GROUP, "subjectaccessreviews"),
            Requirement::Resource(GROUP, "localsubjectaccessreviews"),
            Requirement::Resource("rbac.authorization.k8s.io/v1", "roles"),
            Requirement::Behaviour("rbac"),
        ],
        kills: &[
            mutant::REVIEW_DENIES,
            mutant::REVIEW_ALLOWS,
            mutant::CREATE_NOT_STORED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(reviews(cx)),
        ..Check::BASE
    },
];

const CSR_KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_MODIFIED,
    mutant::STATUS_NOT_APPLIED,
    mutant::STATUS_THROUGH_MAIN_RESOURCE,
    mutant::STATUS_MISSING,
];

/// A valid request for `CN=assay-none`; its key was never kept. No signer has the name in [`csr`].
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIZ01JR0hBZ0VBTUNVeEV6QVJCZ05WQkFNTUNtRnpjMkY1TFc1dmJtVXhEakFNQmdOVkJBb01CV0Z6YzJGNQpNRmt3RXdZSEtvWkl6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUUzSEoydEtvSVJUbzEzaTNOMFRyRVc0QndIYzZ3CnRYNXcxV2oreE5UMUpWYmJtUXlsNWN5WWU0V050VW9wR0hMNE1rRHBycWxmeUdhaHdTTytZclNTTmFBQU1Bb0cKQ0NxR1NNNDlCQU1DQTBnQU1FVUNJSEd5VnZpSzlRViszVk5mdGt2L0FhMk91SEpQaUtQYjNNSXk0cDRSVzFyRgpBaUVBc2dFV0Y0MVQwQ0ZxcW9VSHlIcnNySEc1aUdSdXA5ZGRrS0sxcE5EYnZIaz0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

fn csr() -> Value {
    json!({"spec": {"request": REQUEST, "signerName": "assay.dev/none", "usages": ["digital signature", "client auth"]}})
}

const CSR: Walk = Walk {
    resource: CSRS,
    body: csr,
    defaults: || json!({}),
};

const ROLE: Walk = Walk {
    resource: ROLES,
    body: || json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]}),
    defaults: || json!({}),
};

async fn certificates(cx: &CheckContext) -> CheckResult {
    walk(cx, &CSR).await?;
    subresources(cx, CSRS, &["approval", "status"]).await?;
    let (all, name) = (cx.collection(CSRS).await?, unique("status"));
    let mut object = csr();
    object["metadata"] = json!({"name": name});
    let made = create(cx, &all, object).await?;
    // Who asked is the server's to say, not the client's.
    cx.text("the request", &made, "/spec/username")?;
    let known = made["spec"]["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|group| group == "system:authenticated");
    cx.expect(
        "the requester's groups to hold system:authenticated",
        known,
        || made["spec"]["groups"].to_string(),
    )?;
    let condition = |kind: &str| json!([{"type": kind, "status": "True", "reason": "assay", "message": "set by assay"}]);

    // Approval, and what cannot be undone by it, belongs to /approval alone.
    let sub = format!("{name}/approval");
    cx.status("GET of /approval", 200, all.get(&sub).await?)?;
    let patch = json!({"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": condition("ApprovalPatch")}});
    cx.status(
        "PATCH of /approval",
        200,
        all.patch(&sub, PatchKind::Merge, patch.clone()).await?,
    )?;
    cx.contains(
        "the request after the patch of /approval",
        &patch,
        &read(cx, &all, &name).await?,
    )?;
    let mut approved = read(cx, &all, &name).await?;
    approved["status"]["conditions"] =
        json!([condition("ApprovalPatch")[0], condition("Approved")[0]]);
    cx.status("PUT of /approval", 200, all.replace(&sub, approved).await?)?;
    let stored = read(cx, &all, &name).await?;
    let has = stored["status"]["conditions"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one["type"] == "Approved");
    cx.expect("the approval", has, || stored["status"].to_string())?;

    // A status without the approval would be refused: it goes along.
    let with = |kind: &str| json!({"conditions": [condition("ApprovalPatch")[0], condition("Approved")[0], condition(kind)[0]]});
    status_walk(cx, &all, &name, with("StatusPatch"), with("StatusUpdate")).await
}

/// Impersonation stands in for the account: the server then decides as it would for the account itself.
async fn reviews(cx: &CheckContext) -> CheckResult {
    let namespace = cx.namespace().await?;
    let user = format!("system:serviceaccount:{namespace}:{}", unique("account"));
    for allowed in [false, true] {
        if allowed {
            grant(cx, &user).await?;
        }
        let what = json!({"user": user, "resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": namespace}});
        for (path, kind) in [
            (
                format!("/apis/{GROUP}/subjectaccessreviews"),
                "SubjectAccessReview",
            ),
            (
                format!("/apis/{GROUP}/namespaces/{namespace}/localsubjectaccessreviews"),
                "LocalSubjectAccessReview",
            ),
        ] {
            let mut body = json!({"apiVersion": GROUP, "kind": kind, "spec": what});
            if kind.starts_with("Local") {
                body["metadata"] = json!({"namespace": namespace});
            }
            let (path, body) = (&path, &body);
            cx.wait(&format!("{kind} to say {allowed}"), || async move {
                let answer = cx.status(kind, 201, cx.api().create(path, body.clone()).await?)?;
                Ok(harness::api::deadline::Seen::when(
                    answer["status"]["allowed"] == allowed,
                    || answer["status"].to_string(),
                ))
            })
            .await?;
        }
        let maps = cx.collection(CONFIG_MAPS).await?;
        let request = Request::new(Method::GET, maps.path()).header("Impersonate-User", &user);
        let answer = cx.api().send(request).await?;
        if allowed {
            cx.status("the account's own list", 200, answer)?;
        } else {
            cx.refused("the account's own list", 403, "Forbidden", &answer)?;
        }
    }
    Ok(())
}

async fn grant(cx: &CheckContext, user: &str) -> CheckResult {
    const BINDINGS: Resource = Resource::namespaced(
        "rbac.authorization.k8s.io/v1",
        "rolebindings",
        "RoleBinding",
    );
    let (roles, bindings): (Collection, Collection) =
        (cx.collection(ROLES).await?, cx.collection(BINDINGS).await?);
    let mut role = (ROLE.body)();
    role["metadata"] = json!({"name": "reader"});
    create(cx, &roles, role).await?;
    let binding = json!({
        "metadata": {"name": "reader"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "reader"},
        "subjects": [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}],
    });
    create(cx, &bindings, binding).await.map(drop)
}
