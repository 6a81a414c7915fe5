//! One small store interface over both surfaces: ConfigMaps through the Kubernetes API, keys through etcd's.

use anyhow::{Context, ensure};
use fixtures::etcd::client::{Client, Written};
use harness::api::{Api, Request};
use harness::scenario::{Access, ScenarioContext};
use http::Method;
use serde_json::json;

/// Size of the payload of each object.
pub const VALUE_BYTES: usize = 1024;
/// Objects that one list asks for at most.
const LIST_LIMIT: usize = 100;

/// Where a scenario keeps its objects: a namespace, or a key prefix, of its own.
pub struct Store {
    surface: Surface,
    run: String,
    value: String,
}

enum Surface {
    Kubernetes { api: Api, namespace: String },
    Etcd { client: Client, prefix: String },
}

/// What an update must name: a resourceVersion or a mod revision.
#[derive(Debug, Clone)]
pub struct Version(String);

impl Store {
    /// Opens an empty store named after the run and `purpose`.
    ///
    /// # Errors
    /// When the namespace cannot be made.
    pub async fn open(cx: &ScenarioContext<'_>, purpose: &str) -> anyhow::Result<Self> {
        // Printable and without long repeats, so that no layer compresses it away.
        let value: String = (0..VALUE_BYTES as u64)
            .map(|n| char::from(b'a' + (n.wrapping_mul(2_654_435_761) >> 7) as u8 % 26))
            .collect();
        let surface = match cx.access {
            Access::Kubernetes(api) => {
                let body = json!({
                    "apiVersion": "v1", "kind": "Namespace",
                    "metadata": {"generateName": format!("assay-{purpose}-"), "labels": {"assay.dev/run": cx.run}},
                });
                let made = api
                    .send(Request::new(Method::POST, "/api/v1/namespaces").body(body))
                    .await?;
                ensure!(
                    made.status == 201,
                    "failed to make a namespace: {}",
                    made.summary()
                );
                let namespace = made.body["metadata"]["name"]
                    .as_str()
                    .context("the namespace has no name")?
                    .to_owned();
                Surface::Kubernetes {
                    api: api.without_evidence(),
                    namespace,
                }
            }
            Access::Etcd(client) => Surface::Etcd {
                client: client.clone(),
                prefix: format!("/registry/assay/{purpose}/"),
            },
        };
        Ok(Self {
            surface,
            run: cx.run.to_owned(),
            value,
        })
    }

    /// Creates an object.
    ///
    /// # Errors
    /// When it was not created.
    pub async fn create(&self, name: &str) -> anyhow::Result<Version> {
        match &self.surface {
            Surface::Kubernetes { api, namespace } => {
                let made = api
                    .send(
                        Request::new(Method::POST, configmaps(namespace))
                            .body(self.body(name, None)),
                    )
                    .await?;
                ensure!(made.status == 201, "create answered {}", made.summary());
                version_of(&made.body)
            }
            Surface::Etcd { client, prefix } => done(
                client
                    .create(
                        &format!("{prefix}{name}"),
                        self.value.clone().into_bytes(),
                        0,
                    )
                    .await?,
            ),
        }
    }

    /// Updates an object, provided that it still has `version`.
    ///
    /// # Errors
    /// When it was not updated.
    pub async fn update(&self, name: &str, version: &Version) -> anyhow::Result<Version> {
        match &self.surface {
            Surface::Kubernetes { api, namespace } => {
                let path = format!("{}/{name}", configmaps(namespace));
                let put = api
                    .send(Request::new(Method::PUT, path).body(self.body(name, Some(version))))
                    .await?;
                ensure!(put.status == 200, "update answered {}", put.summary());
                let newer = version_of(&put.body)?;
                ensure!(
                    newer.0 != version.0,
                    "update did not change the resourceVersion {}",
                    version.0
                );
                Ok(newer)
            }
            Surface::Etcd { client, prefix } => {
                let revision = version.0.parse()?;
                // The revision is part of the value, as it is in the Kubernetes body: no update is a no-op.
                let value = format!("{}{}", version.0, self.value).into_bytes();
                done(
                    client
                        .update(&format!("{prefix}{name}"), value, revision, 0)
                        .await?,
                )
            }
        }
    }

    /// Lists a page of objects and returns how many came.
    ///
    /// # Errors
    /// When the list was not answered.
    pub async fn list(&self) -> anyhow::Result<usize> {
        match &self.surface {
            Surface::Kubernetes { api, namespace } => {
                let limit = LIST_LIMIT.to_string();
                let request = Request::get(configmaps(namespace)).query(&[("limit", &limit)]);
                let page = api.send(request).await?;
                ensure!(page.status == 200, "list answered {}", page.summary());
                Ok(page.body["items"]
                    .as_array()
                    .context("the list has no items")?
                    .len())
            }
            Surface::Etcd { client, prefix } => Ok(client
                .list(prefix, None, LIST_LIMIT as i64, 0)
                .await?
                .items
                .len()),
        }
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// When it was not deleted.
    pub async fn delete(&self, name: &str, version: &Version) -> anyhow::Result<()> {
        match &self.surface {
            Surface::Kubernetes { api, namespace } => {
                let path = format!("{}/{name}", configmaps(namespace));
                let gone = api.send(Request::new(Method::DELETE, path)).await?;
                ensure!(gone.status == 200, "delete answered {}", gone.summary());
                Ok(())
            }
            Surface::Etcd { client, prefix } => done(
                client
                    .delete(&format!("{prefix}{name}"), version.0.parse()?)
                    .await?,
            )
            .map(|_| ()),
        }
    }

    /// Removes everything that is in the store. A namespace's end is not awaited: the cluster is the run's own.
    ///
    /// # Errors
    /// When it was not removed.
    pub async fn close(&self) -> anyhow::Result<()> {
        match &self.surface {
            Surface::Kubernetes { api, namespace } => {
                let path = format!("/api/v1/namespaces/{namespace}");
                let gone = api.send(Request::new(Method::DELETE, path)).await?;
                ensure!(
                    gone.is_success(),
                    "deleting the namespace answered {}",
                    gone.summary()
                );
            }
            Surface::Etcd { client, prefix } => {
                for item in client.list(prefix, None, 0, 0).await?.items {
                    client.delete(&item.key, item.mod_revision).await?;
                }
            }
        }
        Ok(())
    }

    fn body(&self, name: &str, version: Option<&Version>) -> serde_json::Value {
        let mut body = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"assay.dev/run": self.run}},
            "data": {"value": self.value},
        });
        if let Some(version) = version {
            body["metadata"]["resourceVersion"] = version.0.clone().into();
            body["data"]["after"] = version.0.clone().into();
        }
        body
    }
}

fn configmaps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}

fn version_of(object: &serde_json::Value) -> anyhow::Result<Version> {
    let version = object["metadata"]["resourceVersion"]
        .as_str()
        .context("the object has no resourceVersion")?;
    Ok(Version(version.to_owned()))
}

fn done(written: Written) -> anyhow::Result<Version> {
    match written {
        Written::Done { revision } => Ok(Version(revision.to_string())),
        Written::Conflict { .. } => anyhow::bail!("a conflict on a key that nobody else writes"),
    }
}
