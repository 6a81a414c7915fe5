//! Definitions of custom resources with several versions.

use harness::api::Collection;
use harness::api::deadline::Seen;
use harness::api::namespace::unique;
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use crate::conformance::kinds::CRDS;
use crate::conformance::steps::{create, read};

/// A definition of `things` in a group of its own.
pub(crate) struct Definition {
    pub(crate) group: String,
    pub(crate) object: Value,
}

impl Definition {
    /// With these versions, each a name and its schema; the first is stored.
    pub(crate) fn new(versions: &[(&str, Value)]) -> Self {
        let group = format!("{}.example.com", unique("cr"));
        let versions = versions.iter().enumerate().map(|(at, (name, schema))| {
            json!({
                "name": name, "served": true, "storage": at == 0,
                "schema": {"openAPIV3Schema": schema},
            })
        });
        let object = json!({
            "metadata": {"name": format!("things.{group}")},
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": {"plural": "things", "singular": "thing", "kind": "Thing", "listKind": "ThingList"},
                "versions": versions.collect::<Vec<_>>(),
            },
        });
        Self { group, object }
    }

    /// A schema that takes everything.
    pub(crate) fn anything() -> Value {
        json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
    }

    /// Its name.
    pub(crate) fn name(&self) -> String {
        format!("things.{}", self.group)
    }

    /// Converts by a webhook.
    pub(crate) fn converted_by(&mut self, client: Value) {
        self.object["spec"]["conversion"] = json!({
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v1"]},
        });
    }

    /// The path of one version's resource in a namespace.
    pub(crate) fn path(&self, version: &str, namespace: &str) -> String {
        format!(
            "/apis/{}/{version}/namespaces/{namespace}/things",
            self.group
        )
    }

    /// A thing.
    pub(crate) fn thing(&self, version: &str, name: &str, more: &Value) -> Value {
        let mut object = more.clone();
        object["apiVersion"] = json!(format!("{}/{version}", self.group));
        object["kind"] = json!("Thing");
        object["metadata"] = json!({"name": name});
        object
    }

    /// Stores it and waits until each version is served.
    pub(crate) async fn serve(&self, cx: &CheckContext) -> CheckResult {
        let all = cx.everywhere(CRDS);
        create(cx, &all, self.object.clone()).await?;
        established(cx, &all, &self.name()).await?;
        let versions = self.object["spec"]["versions"].as_array();
        for version in versions.into_iter().flatten() {
            let name = version["name"].as_str().unwrap_or_default();
            let path = format!("/apis/{}/{name}/things", self.group);
            cx.wait(&format!("{path} to be served"), || async {
                let answer = cx.api().get(&path).await?;
                Ok(Seen::when(
                    answer.status == 200 && answer.body["kind"] == "ThingList",
                    || answer.summary(),
                ))
            })
            .await?;
        }
        Ok(())
    }
}

async fn established(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    cx.wait(&format!("{name} to be Established"), || async {
        let conditions = read(cx, all, name).await?["status"]["conditions"].clone();
        let established = conditions
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one["type"] == "Established" && one["status"] == "True");
        Ok(Seen::when(established, || conditions.to_string()))
    })
    .await
}
