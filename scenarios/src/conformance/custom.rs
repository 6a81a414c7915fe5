//! Custom resources that checks define, and what the server publishes of them in OpenAPI.

use harness::api::deadline::Seen;
use harness::api::namespace::unique;
use harness::api::{Api, Collection, Request};
use harness::check::{CheckContext, CheckFault, CheckResult};
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use super::kinds::CRDS;
use super::steps::{create, read};

/// The fields that a server adds to each published definition of a custom resource.
const ADDED: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// A resource to define: namespaced, each version with its schema, the first one stored.
#[derive(Clone)]
pub(crate) struct Custom {
    pub(crate) group: String,
    /// Unique among all groups too, so that kubectl finds it by this name alone.
    pub(crate) plural: String,
    pub(crate) kind: String,
    pub(crate) versions: Vec<(&'static str, Value)>,
}

impl Custom {
    /// A resource in a group of its own.
    pub(crate) fn new(purpose: &str, versions: Vec<(&'static str, Value)>) -> Self {
        let name = unique(purpose);
        Self {
            group: format!("{name}.example.com"),
            plural: format!("{name}s"),
            kind: name,
            versions,
        }
    }

    /// Another resource in the same group.
    pub(crate) fn beside(&self, purpose: &str, versions: Vec<(&'static str, Value)>) -> Self {
        Self {
            group: self.group.clone(),
            ..Self::new(purpose, versions)
        }
    }

    /// The name of its definition as an object.
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.plural, self.group)
    }

    /// `group/version`.
    pub(crate) fn api_version(&self, version: &str) -> String {
        format!("{}/{version}", self.group)
    }

    /// The path of its collection in a namespace.
    pub(crate) fn path(&self, version: &str, namespace: &str) -> String {
        format!(
            "/apis/{}/{version}/namespaces/{namespace}/{}",
            self.group, self.plural
        )
    }

    /// The name under which OpenAPI publishes a version: the group's parts turned round, the version, the kind.
    pub(crate) fn published_as(&self, version: &str) -> String {
        let parts = self.group.rsplit('.').collect::<Vec<_>>();
        format!("{}.{version}.{}", parts.join("."), self.kind)
    }

    fn object(&self) -> Value {
        let versions = self.versions.iter().enumerate().map(|(at, (name, schema))| {
            json!({"name": name, "served": true, "storage": at == 0, "schema": {"openAPIV3Schema": schema}})
        });
        json!({
            "metadata": {"name": self.name()},
            "spec": {
                "group": self.group,
                "scope": "Namespaced",
                "names": {
                    "plural": self.plural, "singular": self.kind, "kind": self.kind,
                    "listKind": format!("{}List", self.kind),
                },
                "versions": versions.collect::<Vec<_>>(),
            },
        })
    }

    /// Defines it, and waits until it is Established and each version is served. Gives the collection of definitions.
    pub(crate) async fn define(&self, cx: &CheckContext) -> CheckResult<Collection> {
        self.define_through(cx, cx.api()).await
    }

    /// The same by another client.
    pub(crate) async fn define_through(
        &self,
        cx: &CheckContext,
        api: &Api,
    ) -> CheckResult<Collection> {
        let (all, name) = (Collection::new(api, CRDS, None), self.name());
        create(cx, &all, self.object()).await?;
        cx.wait(&format!("{name} to be Established"), || async {
            let conditions = read(cx, &all, &name).await?["status"]["conditions"].clone();
            let established = conditions
                .as_array()
                .into_iter()
                .flatten()
                .any(|one| one["type"] == "Established" && one["status"] == "True");
            Ok(Seen::when(established, || conditions.to_string()))
        })
        .await?;
        for (version, _) in &self.versions {
            self.served(cx, api, version).await?;
        }
        Ok(all)
    }

    async fn served(&self, cx: &CheckContext, api: &Api, version: &str) -> CheckResult {
        let path = format!("/apis/{}/{version}/{}", self.group, self.plural);
        let kind = format!("{}List", self.kind);
        cx.wait(&format!("{path} to be served"), || async {
            let answer = api.get(&path).await?;
            let served = answer.status == 200 && answer.body["kind"] == kind;
            Ok(Seen::when(served, || answer.summary()))
        })
        .await
    }
}

/// The published OpenAPI v2, of which only what was asked for again and again is kept: the document has megabytes.
///
/// Requests name the last ETag, as upstream's do, so that a document that did not change is not sent again.
pub(crate) struct Published<'c> {
    cx: &'c CheckContext,
    api: Api,
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    etag: String,
    custom: Map<String, Value>,
}

impl<'c> Published<'c> {
    pub(crate) fn new(cx: &'c CheckContext) -> Self {
        Self::through(cx, cx.api().clone())
    }

    /// The same as another client sees it.
    pub(crate) fn through(cx: &'c CheckContext, api: Api) -> Self {
        Self {
            cx,
            api,
            last: Mutex::default(),
        }
    }

    /// The definition of that name as it is published now.
    pub(crate) async fn definition(&self, name: &str) -> CheckResult<Option<Value>> {
        let mut last = self.last.lock().await;
        let mut request = Request::get("/openapi/v2");
        if !last.etag.is_empty() {
            request = request.header("if-none-match", &last.etag);
        }
        let answer = self.api.send(request).await?;
        match answer.status {
            304 if !last.etag.is_empty() => {}
            200 => {
                let Some(all) = answer.body["definitions"].as_object() else {
                    return Err(CheckFault::Failed(
                        "/openapi/v2: expected definitions; seen: none".to_owned(),
                    ));
                };
                // Another group's names are no business of this check.
                last.custom = all
                    .iter()
                    .filter(|(name, _)| name.starts_with("com.example."))
                    .map(|(name, definition)| (name.clone(), definition.clone()))
                    .collect();
                answer.header("etag").clone_into(&mut last.etag);
            }
            _ => {
                return Err(CheckFault::Failed(format!(
                    "/openapi/v2: expected status 200; seen: {}",
                    answer.summary()
                )));
            }
        }
        Ok(last.custom.get(name).cloned())
    }

    /// Waits until a version is published with exactly this schema, apart from what the server adds to each. Gives what
    /// is published.
    pub(crate) async fn has(
        &self,
        custom: &Custom,
        version: &str,
        schema: &Value,
    ) -> CheckResult<Value> {
        let name = custom.published_as(version);
        let what = format!("OpenAPI to define {name} as {schema}");
        self.cx
            .wait(&what, || async {
                let Some(found) = self.definition(&name).await? else {
                    return Ok(Seen::Not("no such definition".to_owned()));
                };
                let own = without_added(found.clone());
                Ok(if own == *schema {
                    Seen::Done(found)
                } else {
                    Seen::Not(own.to_string())
                })
            })
            .await
    }

    /// Waits until a version is published, whatever its schema.
    pub(crate) async fn names(&self, custom: &Custom, version: &str) -> CheckResult<Value> {
        let name = custom.published_as(version);
        let what = format!("OpenAPI to define {name}");
        self.cx
            .wait(&what, || async {
                Ok(match self.definition(&name).await? {
                    Some(found) => Seen::Done(found),
                    None => Seen::Not("no such definition".to_owned()),
                })
            })
            .await
    }

    /// Waits until a version is published no longer.
    pub(crate) async fn lacks(&self, custom: &Custom, version: &str) -> CheckResult {
        let name = custom.published_as(version);
        self.cx
            .wait(&format!("OpenAPI to define {name} no longer"), || async {
                let found = self.definition(&name).await?;
                Ok(Seen::when(found.is_none(), || "it is defined".to_owned()))
            })
            .await
    }
}

/// A definition without what the server adds to each.
fn without_added(mut definition: Value) -> Value {
    if let Some(fields) = definition.as_object_mut() {
        fields.remove("x-kubernetes-group-version-kind");
        if let Some(properties) = fields.get_mut("properties").and_then(Value::as_object_mut) {
            properties.retain(|name, _| !ADDED.contains(&name.as_str()));
            if properties.is_empty() {
                fields.remove("properties");
            }
        }
    }
    definition
}
