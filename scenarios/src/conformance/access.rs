//! Who may do what: certificate requests, roles, access reviews.

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, Method, Request};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::{CONFIG_MAPS, ROLE_BINDINGS, ROLES, SERVICE_ACCOUNTS};
use super::steps::create;
use super::walk::{self, Walk, walk};

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
        kills: super::csr::KILLS,
        run: |cx| Box::pin(super::csr::certificates(cx)),
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

const ROLE: Walk = Walk {
    resource: ROLES,
    body: || json!({"rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}]}),
    defaults: || json!({}),
};

/// Impersonation stands in for the account: the server then decides as it would for the account itself.
async fn reviews(cx: &CheckContext) -> CheckResult {
    let (namespace, name) = (cx.namespace().await?, unique("account"));
    let accounts = cx.collection(SERVICE_ACCOUNTS).await?;
    let account = create(cx, &accounts, json!({"metadata": {"name": name}})).await?;
    let uid = cx.text("the account", &account, "/metadata/uid")?;
    let user = format!("system:serviceaccount:{namespace}:{name}");
    let groups = [
        "system:authenticated".to_owned(),
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
    ];
    for allowed in [false, true] {
        if allowed {
            grant(cx, &user).await?;
        }
        let spec = json!({
            "user": user,
            "groups": groups,
            "uid": uid,
            "resourceAttributes": {"verb": "list", "version": "v1", "resource": "configmaps", "namespace": namespace},
        });
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
            let mut body = json!({"apiVersion": GROUP, "kind": kind, "spec": spec});
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
        let mut request = Request::new(Method::GET, maps.path()).header("Impersonate-User", &user);
        for group in &groups {
            request = request.header("Impersonate-Group", group);
        }
        // The header came with v1.22.
        if cx.offer().minor >= 22 {
            request = request.header("Impersonate-Uid", uid);
        }
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
    let (roles, bindings): (Collection, Collection) = (
        cx.collection(ROLES).await?,
        cx.collection(ROLE_BINDINGS).await?,
    );
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
