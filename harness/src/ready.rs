//! Readiness: the conditions of a distribution, in order, each with the moment at which it was first seen.
//!
//! An open port, a 401 and an existing kubeconfig are not readiness (K3s shows all three seconds before it
//! serves), so the last condition is a write that was served and read back.

mod node;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::json;

use crate::api::{self, Api, Request};
use crate::distribution::{Access as AccessFile, ReadyWhen};
use crate::scenario::Access;
use crate::target::{Cluster, Counted};

/// Pause between two looks at a port: dense, for it costs the server next to nothing.
const PORT_PAUSE: Duration = Duration::from_millis(10);
/// Pause between two requests: sparse, for the server has to answer each inside its budget.
const REQUEST_PAUSE: Duration = Duration::from_millis(40);

/// A ready cluster.
pub struct Ready {
    /// How it is spoken to.
    pub access: Access,
    /// Each condition, in order.
    pub milestones: Vec<Milestone>,
}

/// A condition that held.
pub struct Milestone {
    /// Which.
    pub condition: ReadyWhen,
    /// When it was seen to hold.
    pub at: Instant,
    /// What the start had cost by then, on a machine that counts it.
    pub counted: Option<Counted>,
}

/// Waits for each condition in turn. The caller bounds it in time with [`tokio::time::timeout`];
/// `last_seen` then tells what was awaited and what was last seen.
///
/// # Errors
/// When a condition can no longer hold, such as with a foreign kubeconfig.
pub async fn wait(
    cluster: &dyn Cluster,
    conditions: &[ReadyWhen],
    run: &str,
    last_seen: &std::sync::Mutex<String>,
) -> anyhow::Result<Ready> {
    let note = |text: String| {
        *last_seen
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner) = text;
    };
    let mut access = None;
    let mut milestones = Vec::new();
    for condition in conditions {
        match (condition, cluster.access()) {
            (ReadyWhen::Listening, file) => {
                access = Some(listening(cluster, file, run, &note).await?);
            }
            (ReadyWhen::Http200(path), file) => {
                let access = access
                    .as_ref()
                    .context("failed to wait for HTTP: the port was not awaited first")?;
                http_200(cluster, access, file, path, &note).await?;
            }
            (ReadyWhen::FirstWrite, _) => {
                let access = access
                    .as_ref()
                    .context("failed to write: the port was not awaited first")?;
                first_write(cluster, access, run, &note).await?;
            }
            (ReadyWhen::Controllers, _) => {
                let Some(Access::Kubernetes(api)) = &access else {
                    bail!("failed to wait for controllers: a Kubernetes API was not awaited first");
                };
                default_account(cluster, api, &note).await;
            }
            (ReadyWhen::Node | ReadyWhen::Agents | ReadyWhen::FirstPod, _) => {
                let Some(Access::Kubernetes(api)) = &access else {
                    bail!(
                        "failed to wait for a node: the port of a Kubernetes API was not awaited first"
                    );
                };
                match condition {
                    ReadyWhen::Node => node::takes_pods(cluster, api, &note).await,
                    ReadyWhen::Agents => node::agents_take_pods(cluster, api, &note).await?,
                    _ => node::first_pod(api, run, &note).await,
                }
            }
        }
        milestones.push(Milestone {
            condition: *condition,
            at: Instant::now(),
            counted: cluster.counted_since_start().await,
        });
    }
    let access = access
        .context("failed to reach the server: the distribution names no condition of readiness")?;
    Ok(Ready { access, milestones })
}

async fn listening(
    cluster: &dyn Cluster,
    file: &AccessFile,
    run: &str,
    note: &impl Fn(String),
) -> anyhow::Result<Access> {
    // A port that was open once is not touched again: each touch is a handshake that the server begins, and logs.
    let mut open = false;
    loop {
        match try_listening(file, run, &mut open).await {
            Ok(access) => return Ok(access),
            Err(error) => note(format!("{error:#}")),
        }
        cluster.pace(PORT_PAUSE).await;
    }
}

async fn try_listening(file: &AccessFile, run: &str, open: &mut bool) -> anyhow::Result<Access> {
    match file {
        AccessFile::Kubeconfig { path, context, url } => {
            if let Some(url) = url
                && !*open
            {
                touch(url).await?;
                *open = true;
            }
            anyhow::ensure!(path.exists(), "the kubeconfig is not written yet");
            if url.is_none() && context.is_none() {
                touch(&server_of(path, None)?).await?;
            }
            Ok(Access::Kubernetes(Api::new(
                api::client(path, context.as_deref(), url.as_deref()).await?,
                run,
            )))
        }
        AccessFile::Etcd { url } => {
            touch(url).await?;
            Ok(Access::Etcd(
                fixtures::etcd::client::Client::connect(url, None).await?,
            ))
        }
    }
}

/// The server that a kubeconfig names, in a context or in its current one.
pub(crate) fn server_of(path: &std::path::Path, context: Option<&str>) -> anyhow::Result<String> {
    let file = kube::config::Kubeconfig::read_from(path)?;
    let context = file
        .contexts
        .iter()
        .find(|named| Some(named.name.as_str()) == context.or(file.current_context.as_deref()))
        .and_then(|named| named.context.as_ref());
    let cluster = file
        .clusters
        .iter()
        .find(|named| context.is_none_or(|context| context.cluster == named.name))
        .and_then(|named| named.cluster.as_ref());
    cluster
        .and_then(|cluster| cluster.server.clone())
        .context("the kubeconfig names no server")
}

/// Whether the port behind a URL accepts TCP.
async fn touch(url: &str) -> anyhow::Result<()> {
    let uri: http::Uri = url
        .parse()
        .with_context(|| format!("failed to read the address {url}"))?;
    let host = uri
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let port = uri.port_u16().unwrap_or(443);
    tokio::net::TcpStream::connect((host.as_str(), port))
        .await
        .with_context(|| format!("port {port} is closed"))?;
    Ok(())
}

async fn http_200(
    cluster: &dyn Cluster,
    access: &Access,
    file: &AccessFile,
    path: &str,
    note: &impl Fn(String),
) -> anyhow::Result<()> {
    let plain = reqwest::Client::new();
    loop {
        let seen = match (access, file) {
            (Access::Kubernetes(api), _) => match api.send(Request::get(path)).await {
                Ok(response) if response.status == 200 => return Ok(()),
                Ok(response) => format!("{path} answered {}", response.summary()),
                Err(error) => error.to_string(),
            },
            (Access::Etcd(_), AccessFile::Etcd { url }) => {
                match plain.get(format!("{url}{path}")).send().await {
                    Ok(response) if response.status() == 200 => return Ok(()),
                    Ok(response) => format!("{path} answered {}", response.status()),
                    Err(error) => error.to_string(),
                }
            }
            (Access::Etcd(_), AccessFile::Kubeconfig { .. }) => {
                bail!("failed to ask {path}: no URL")
            }
        };
        note(seen);
        cluster.pace(REQUEST_PAUSE).await;
    }
}

/// Waits for what the service account controller makes: the account that pods run as.
async fn default_account(cluster: &dyn Cluster, api: &Api, note: &impl Fn(String)) {
    const ACCOUNT: &str = "/api/v1/namespaces/default/serviceaccounts/default";
    loop {
        match api.send(Request::get(ACCOUNT)).await {
            Ok(response) if response.status == 200 => return,
            Ok(response) => note(format!(
                "the default service account: {}",
                response.summary()
            )),
            Err(error) => note(error.to_string()),
        }
        cluster.pace(REQUEST_PAUSE).await;
    }
}

const FIRST: &str = "assay-first-write";

async fn first_write(
    cluster: &dyn Cluster,
    access: &Access,
    run: &str,
    note: &impl Fn(String),
) -> anyhow::Result<()> {
    loop {
        let outcome = match access {
            Access::Kubernetes(api) => first_configmap(api, run).await,
            Access::Etcd(client) => first_key(client).await,
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) => note(format!("first write: {error:#}")),
        }
        cluster.pace(REQUEST_PAUSE).await;
    }
}

async fn first_configmap(api: &Api, run: &str) -> anyhow::Result<()> {
    let all = "/api/v1/namespaces/default/configmaps";
    let one = format!("{all}/{FIRST}");
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": FIRST, "labels": {"assay.dev/run": run}}, "data": {"run": run},
    });
    let made = api
        .send(Request::new(http::Method::POST, all).body(body))
        .await?;
    // 409: an earlier round wrote it and lost the answer.
    anyhow::ensure!(
        matches!(made.status, 201 | 409),
        "create answered {}",
        made.summary()
    );
    let read = api.send(Request::get(one.as_str())).await?;
    anyhow::ensure!(
        read.body["data"]["run"] == run,
        "read back {}",
        read.summary()
    );
    let gone = api
        .send(Request::new(http::Method::DELETE, one.as_str()))
        .await?;
    anyhow::ensure!(gone.is_success(), "delete answered {}", gone.summary());
    Ok(())
}

async fn first_key(client: &fixtures::etcd::client::Client) -> anyhow::Result<()> {
    let key = format!("/registry/{FIRST}");
    client.create(&key, b"first".to_vec(), 0).await?;
    let (read, _) = client.get(&key, 0).await?;
    let read = read.context("read back nothing")?;
    client.delete(&key, read.mod_revision).await?;
    Ok(())
}
