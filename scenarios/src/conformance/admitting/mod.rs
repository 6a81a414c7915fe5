//! What the checks of admission share: a namespace that only their webhooks see, configurations, and the moment from
//! which a server honours them.
//!
//! A configuration counts for the whole cluster. Each webhook here is bound to one namespace by a label that nothing else
//! has, so that these checks run beside any others, and a configuration that stayed behind concerns nobody.

pub(crate) mod definition;
pub(crate) mod flunders;
pub(crate) mod proxy;

use harness::api::deadline::Seen;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind, Resource, Response};
use harness::callback::Verdict;
use harness::check::{CheckContext, CheckFault, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CONFIG_MAPS, NAMESPACES};
use super::steps::create;

pub(crate) const MUTATING: Resource = Resource::cluster(
    "admissionregistration.k8s.io/v1",
    "mutatingwebhookconfigurations",
    "MutatingWebhookConfiguration",
);
pub(crate) const VALIDATING: Resource = Resource::cluster(
    "admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
);
/// What a check with working webhooks needs.
pub(crate) const CALLED: &[Requirement] = &[Requirement::WEBHOOKS, Requirement::Callback];

const SCOPE: &str = "assay.dev/scope";
const MARKER: &str = "assay.dev/marker";
const READY: &str = "/ready";

/// A namespace that webhooks and policies may be bound to.
pub(crate) struct Scope {
    pub(crate) namespace: String,
    /// The value of the label that binds them.
    pub(crate) mark: String,
}

impl Scope {
    /// The check's own namespace, with the label.
    pub(crate) async fn own(cx: &CheckContext) -> CheckResult<Self> {
        let scope = Self {
            namespace: cx.namespace().await?.to_owned(),
            mark: unique("scope"),
        };
        scope.extend(cx, &scope.namespace, json!({})).await?;
        Ok(scope)
    }

    /// Labels another namespace so that it belongs to the scope, too.
    pub(crate) async fn extend(
        &self,
        cx: &CheckContext,
        namespace: &str,
        mut labels: Value,
    ) -> CheckResult {
        labels[SCOPE] = json!(self.mark);
        // Without the mutant: this is scaffolding.
        let all = Collection::new(&cx.api().clean(), NAMESPACES, None);
        let patch = json!({"metadata": {"labels": labels}});
        let answer = all.patch(namespace, PatchKind::Merge, patch).await?;
        if answer.status == 200 {
            return Ok(());
        }
        Err(CheckFault::Errored(format!(
            "failed to label the check's namespace: {}",
            answer.summary()
        )))
    }

    /// A selector of its namespaces.
    pub(crate) fn selector(&self) -> Value {
        json!({"matchLabels": {SCOPE: self.mark}})
    }

    /// The labels of an object that belongs to the scope by itself.
    pub(crate) fn labels(&self) -> Value {
        json!({SCOPE: self.mark})
    }

    /// A webhook for one resource, called at `client`. It does not see the markers of [`Scope::register`].
    pub(crate) fn webhook(&self, name: &str, client: Value, rule: &Rule<'_>) -> Value {
        json!({
            "name": format!("{name}.assay.dev"),
            "rules": [{
                "operations": rule.operations, "apiGroups": [rule.group],
                "apiVersions": rule.versions, "resources": [rule.resource],
            }],
            "clientConfig": client,
            "namespaceSelector": self.selector(),
            "objectSelector": {"matchExpressions": [{"key": MARKER, "operator": "DoesNotExist"}]},
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        })
    }

    /// Stores a configuration and waits until the server honours it: one more webhook in it refuses marked ConfigMaps.
    pub(crate) async fn register(
        &self,
        cx: &CheckContext,
        resource: Resource,
        name: &str,
        webhooks: Vec<Value>,
    ) -> CheckResult<Value> {
        let made = self.store(cx, resource, name, webhooks, json!({})).await?;
        self.honoured(cx, name).await?;
        Ok(made)
    }

    /// Stores a configuration with the marking webhook, without waiting.
    pub(crate) async fn store(
        &self,
        cx: &CheckContext,
        resource: Resource,
        name: &str,
        mut webhooks: Vec<Value>,
        labels: Value,
    ) -> CheckResult<Value> {
        let server = cx.callback().await?;
        server.admit(READY, |_| Verdict::DenySilently);
        let mut ready = self.webhook("ready", server.client_config(READY), &Rule::CONFIG_MAPS);
        ready["objectSelector"] = json!({"matchLabels": {MARKER: name}});
        // A marker that cannot be asked about is not refused, so that nothing passes for honoured before its time.
        ready["failurePolicy"] = json!("Ignore");
        webhooks.push(ready);
        let object = json!({"metadata": {"name": name, "labels": labels}, "webhooks": webhooks});
        create(cx, &cx.everywhere(resource), object).await
    }

    /// Waits until the server honours a configuration of [`Scope::store`].
    pub(crate) async fn honoured(&self, cx: &CheckContext, name: &str) -> CheckResult {
        let maps = Collection::new(&cx.api().clean(), CONFIG_MAPS, Some(&self.namespace));
        let marker = json!({"metadata": {"generateName": "marker-", "labels": {MARKER: name}}});
        cx.wait(
            &format!("the webhook ready.assay.dev of {name} to refuse its marker"),
            || async {
                let answer = maps
                    .create_with(marker.clone(), &[("dryRun", "All")])
                    .await?;
                let refused = (400..500).contains(&answer.status)
                    && answer.message().contains("ready.assay.dev")
                    && answer.message().contains("denied");
                Ok(Seen::when(refused, || answer.summary()))
            },
        )
        .await
    }
}

/// What a webhook is called for.
#[derive(Clone, Copy)]
pub(crate) struct Rule<'r> {
    pub(crate) operations: &'r [&'r str],
    pub(crate) group: &'r str,
    pub(crate) versions: &'r [&'r str],
    pub(crate) resource: &'r str,
}

impl Rule<'static> {
    /// Creation of ConfigMaps.
    pub(crate) const CONFIG_MAPS: Self = Self {
        operations: &["CREATE"],
        group: "",
        versions: &["v1"],
        resource: "configmaps",
    };
}

/// Asserts that a webhook refused, with the status that it gave and its message.
pub(crate) fn denied(
    cx: &CheckContext,
    what: &str,
    webhook: &str,
    message: &str,
    answer: &Response,
) -> CheckResult {
    cx.refused(what, 403, "Forbidden", answer)?;
    let told = format!("admission webhook \"{webhook}.assay.dev\" denied the request: {message}");
    cx.expect(
        &format!("{what}: the message {told:?}"),
        answer.message().contains(&told),
        || answer.message().to_owned(),
    )
}

/// A decision that adds `data.<adds>` where `data.<when>` is there.
pub(crate) fn adding(when: &'static str, adds: &'static str) -> impl Fn(&Value) -> Verdict {
    move |request| {
        if request["object"]["data"][when] != "yes" {
            return Verdict::Allow;
        }
        Verdict::Patch(json!([{"op": "add", "path": format!("/data/{adds}"), "value": "yes"}]))
    }
}

/// A decision that refuses an object whose `data` holds `unwanted: refuse`.
pub(crate) fn refusing(message: &'static str) -> impl Fn(&Value) -> Verdict {
    move |request| {
        if request["object"]["data"]["unwanted"] == "refuse" {
            Verdict::Deny(message.to_owned())
        } else {
            Verdict::Allow
        }
    }
}
