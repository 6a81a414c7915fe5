//! Nobody grants what they do not have: the rules of RBAC against escalation. No official test: upstream calls RBAC an
//! optional feature. What must hold is in the Kubernetes documentation, "Using RBAC Authorization", privilege escalation
//! prevention and bootstrapping.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Api, Collection, Method, Request, Response};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{ROLE_BINDINGS, ROLES};
use super::steps::{create, read, update};

const RBAC: &[Requirement] = &[
    Requirement::Resource("rbac.authorization.k8s.io/v1", "roles"),
    Requirement::Resource("rbac.authorization.k8s.io/v1", "rolebindings"),
    Requirement::Behaviour("rbac"),
    Requirement::Behaviour("rbac-escalation"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "escalation/roles-stay-within-ones-own",
        title: "Who may write Roles writes none with more rights than their own, until they may escalate.",
        requires: RBAC,
        kills: &[
            mutant::IMPERSONATION_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
            mutant::UPDATE_NOT_APPLIED,
        ],
        run: |cx| Box::pin(roles(cx)),
        ..Check::BASE
    },
    Check {
        id: "escalation/bindings-stay-within-ones-own",
        title: "Who may write RoleBindings binds no Role with more rights than their own, until they may bind it.",
        requires: RBAC,
        kills: &[
            mutant::IMPERSONATION_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
            mutant::UPDATE_NOT_APPLIED,
        ],
        run: |cx| Box::pin(bindings(cx)),
        ..Check::BASE
    },
];

const GROUP: &str = "rbac.authorization.k8s.io";

fn role(name: &str, rules: Value) -> Value {
    json!({"metadata": {"name": name}, "rules": rules})
}

fn reads(resource: &str) -> Value {
    json!({"apiGroups": [""], "resources": [resource], "verbs": ["get"]})
}

fn binding(name: &str, role: &str, user: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": role},
        "subjects": [{"kind": "User", "apiGroup": GROUP, "name": user}],
    })
}

/// A user who may read ConfigMaps and write Roles and RoleBindings, in the check's namespace.
struct Limited<'c> {
    api: &'c Api,
    user: String,
}

impl<'c> Limited<'c> {
    async fn make(cx: &'c CheckContext) -> CheckResult<Self> {
        let user = unique("limited");
        let writes = json!({"apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["create", "update"]});
        let roles = cx.collection(ROLES).await?;
        create(
            cx,
            &roles,
            role("own", json!([reads("configmaps"), writes])),
        )
        .await?;
        let bindings = cx.collection(ROLE_BINDINGS).await?;
        create(cx, &bindings, binding("own", "own", &user)).await?;
        Ok(Self {
            api: cx.api(),
            user,
        })
    }

    async fn sends(&self, method: Method, path: &str, body: Value) -> CheckResult<Response> {
        let request = Request::new(method, path)
            .header("Impersonate-User", &self.user)
            .body(body);
        Ok(self.api.send(request).await?)
    }

    async fn creates(&self, all: &Collection, object: Value) -> CheckResult<Response> {
        self.sends(Method::POST, all.path(), all.labelled(object))
            .await
    }

    /// Waits until the authorizer knows what was granted last.
    async fn until_created(
        &self,
        cx: &CheckContext,
        all: &Collection,
        what: &str,
        object: &Value,
    ) -> CheckResult {
        cx.wait(what, || async {
            let answer = self.creates(all, object.clone()).await?;
            let seen = matches!(answer.status, 201 | 409);
            Ok(Seen::when(seen, || answer.summary()))
        })
        .await
    }
}

/// The refusal says that it is for what would be granted, and not for writing at all.
fn refused(cx: &CheckContext, what: &str, answer: &Response) -> CheckResult {
    cx.refused(what, 403, "Forbidden", answer)?;
    cx.expect(
        "the refusal to name the right that is not held",
        answer.message().contains("secrets"),
        || answer.message().to_owned(),
    )
}

/// Gives the limited user one more verb.
async fn grant(cx: &CheckContext, verb: &str) -> CheckResult {
    let more = json!({"apiGroups": [GROUP], "resources": ["roles"], "verbs": [verb]});
    let roles = cx.collection(ROLES).await?;
    update(cx, &roles, "own", |own| {
        if let Some(rules) = own["rules"].as_array_mut() {
            rules.push(more.clone());
        }
    })
    .await
    .map(drop)
}

async fn roles(cx: &CheckContext) -> CheckResult {
    let (limited, all) = (Limited::make(cx).await?, cx.collection(ROLES).await?);
    let within = role("within", json!([reads("configmaps")]));
    limited
        .until_created(cx, &all, "a Role within the user's own rights", &within)
        .await?;
    let within = read(cx, &all, "within").await?;
    let beyond = role("beyond", json!([reads("secrets")]));
    let answer = limited.creates(&all, beyond.clone()).await?;
    refused(cx, "a Role beyond the user's own rights", &answer)?;
    let mut wider = within.clone();
    wider["rules"] = json!([reads("configmaps"), reads("secrets")]);
    let answer = limited
        .sends(Method::PUT, &all.item("within"), wider)
        .await?;
    refused(cx, "a Role made wider than the user's own rights", &answer)?;
    cx.only("Roles", &["own", "within"], all.list(&[]).await?)?;
    cx.expect_eq(
        "the Role afterwards",
        within,
        read(cx, &all, "within").await?,
    )?;

    grant(cx, "escalate").await?;
    limited
        .until_created(cx, &all, "the Role by one who may escalate", &beyond)
        .await?;
    read(cx, &all, "beyond").await.map(drop)
}

async fn bindings(cx: &CheckContext) -> CheckResult {
    let (limited, roles) = (Limited::make(cx).await?, cx.collection(ROLES).await?);
    create(cx, &roles, role("within", json!([reads("configmaps")]))).await?;
    create(cx, &roles, role("beyond", json!([reads("secrets")]))).await?;
    let all = cx.collection(ROLE_BINDINGS).await?;
    let within = binding("within", "within", &limited.user);
    limited
        .until_created(cx, &all, "a binding within the user's own rights", &within)
        .await?;
    let beyond = binding("beyond", "beyond", &limited.user);
    // The same cache that let the first through may not have seen the second Role yet: then it is not found.
    let answer = cx
        .wait("an answer that is not about a missing Role", || async {
            let answer = limited.creates(&all, beyond.clone()).await?;
            Ok(if answer.status == 404 {
                Seen::Not(answer.summary())
            } else {
                Seen::Done(answer)
            })
        })
        .await?;
    refused(cx, "a binding beyond the user's own rights", &answer)?;
    cx.only("RoleBindings", &["own", "within"], all.list(&[]).await?)?;

    grant(cx, "bind").await?;
    limited
        .until_created(cx, &all, "the binding by one who may bind", &beyond)
        .await?;
    read(cx, &all, "beyond").await.map(drop)
}
