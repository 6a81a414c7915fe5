//! Heartbeats as kubelets send them: each node renews its Lease at intervals, on the condition that nobody else did,
//! while clients write ConfigMaps.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use harness::api::{Api, Method, RUN_LABEL, Request};
use harness::profile::Profile;
use harness::scenario::ScenarioContext;
use reports::history::Level;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::super::common::bench::{Bench, Contents};
use super::super::common::steady::{Rate, Steady};
use super::super::common::timing::{self, Micros, micros};

/// Who renews a Lease later than this gives up its office: the `renewDeadline` of Kubernetes' leader election.
const RENEWED_WITHIN: Duration = Duration::from_secs(10);
/// ConfigMaps that are written meanwhile, and their bytes.
const KEYS: u32 = 16;
const VALUE_BYTES: usize = 1024;
/// Fewer renewals say nothing.
const FLOOR: u64 = 20;

/// Nodes, the interval of each (kubelets have 10 s), renewals of each, and writes a second beside them.
fn plan(profile: Profile) -> (u32, Duration, u32, f64) {
    match profile {
        Profile::Quick => (20, Duration::from_secs(1), 3, 20.0),
        Profile::Default => (50, Duration::from_secs(5), 3, 40.0),
        Profile::Full => (200, Duration::from_secs(10), 6, 50.0),
    }
}

/// See the module.
pub async fn through_api(cx: &ScenarioContext<'_>, api: &Api) -> anyhow::Result<()> {
    let Some(bench) = Bench::open(cx, Level::Api, KEYS, FLOOR).await? else {
        anyhow::bail!("failed to make a namespace for the writes; the warnings say why");
    };
    let body = json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": {"generateName": "assay-heartbeats-", "labels": {RUN_LABEL: api.run()}},
    });
    let made = api.send(Request::new(Method::POST, "/api/v1/namespaces").body(body));
    let made = made.await?;
    let namespace = made.body["metadata"]["name"].as_str();
    let namespace =
        namespace.with_context(|| format!("failed to make a namespace: {}", made.summary()))?;
    let found = renewals(cx, &bench, &api.without_evidence(), namespace).await;
    let path = format!("/api/v1/namespaces/{namespace}");
    let gone = api.send(Request::new(Method::DELETE, path)).await;
    bench.end(found).await?;
    let gone = gone?;
    ensure!(
        gone.is_success(),
        "failed to remove the namespace: {}",
        gone.summary()
    );
    Ok(())
}

/// What one node's renewals showed.
struct Renewals {
    latency: Micros,
    failed: Vec<String>,
}

async fn renewals(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    api: &Api,
    namespace: &str,
) -> anyhow::Result<()> {
    let (nodes, every, times, writes) = plan(cx.profile);
    let mut contents = Contents::new();
    bench
        .fill(0..KEYS, VALUE_BYTES, &mut contents, &mut micros()?)
        .await?;
    let collection = format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases");
    let mut leases = Vec::new();
    for node in 0..nodes {
        let body = json!({
            "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
            "metadata": {"name": format!("node-{node}"), "labels": {RUN_LABEL: api.run()}},
            "spec": {"holderIdentity": format!("node-{node}"), "leaseDurationSeconds": 40, "renewTime": now()},
        });
        let made = api
            .send(Request::new(Method::POST, collection.clone()).body(body))
            .await?;
        ensure!(
            made.status == 201,
            "failed to make a Lease: {}",
            made.summary()
        );
        leases.push(made.body);
    }
    let phase = cx.phase("api-heartbeats");
    let rate = Rate {
        per_second: writes,
        writers: 4,
        bytes: VALUE_BYTES,
        count: None,
    };
    let writers = Steady::start(bench, &contents, rate);
    let begun = Instant::now();
    let mut tasks = JoinSet::new();
    for (nth, lease) in leases.into_iter().enumerate() {
        let path = format!("{collection}/node-{nth}");
        let first = begun + every.mul_f64(nth as f64 / f64::from(nodes));
        tasks.spawn(renew(api.clone(), path, lease, first, every, times));
    }
    let mut latency = micros()?;
    let mut failed = Vec::new();
    while let Some(one) = tasks.join_next().await {
        let one = one.context("a node panicked")??;
        latency.add(&one.latency)?;
        failed.extend(one.failed);
    }
    let took = begun.elapsed();
    let written = writers.stop().await?;
    drop(phase.end());
    ensure!(
        latency.len() >= FLOOR && written.acknowledged().next().is_some(),
        "only {} renewals were answered, beside {} acknowledged writes",
        latency.len(),
        written.acknowledged().count()
    );
    let labels = [("nodes", nodes.to_string()), bench.label()];
    cx.latency("renew", &labels, &latency, failed.len() as u64, took);
    let bound = RENEWED_WITHIN * cx.patience;
    let asked = latency.len() + failed.len() as u64;
    cx.state(
        &bench.about("every heartbeat is renewed in time"),
        failed.is_empty() && Duration::from_micros(latency.max()) <= bound,
        asked,
        format!(
            "the slowest of {asked} took {:.3} s, {} is allowed; {} failed, the first: {}",
            latency.max() as f64 / 1e6,
            bound.as_secs(),
            failed.len(),
            failed.first().map_or("none", String::as_str)
        ),
    );
    Ok(())
}

/// One node: renews its Lease at its times; latency counts from when it was due.
async fn renew(
    api: Api,
    path: String,
    mut lease: Value,
    first: Instant,
    every: Duration,
    times: u32,
) -> anyhow::Result<Renewals> {
    let mut found = Renewals {
        latency: micros()?,
        failed: Vec::new(),
    };
    for nth in 0..times {
        let due = first + every * nth;
        tokio::time::sleep_until(due.into()).await;
        lease["spec"]["renewTime"] = now().into();
        let request = Request::new(Method::PUT, path.clone()).body(lease.clone());
        match api.send(request).await {
            Ok(answer) if answer.status == 200 => {
                timing::record(&mut found.latency, due.elapsed())?;
                lease = answer.body;
            }
            Ok(answer) => found.failed.push(answer.summary()),
            Err(error) => found.failed.push(error.to_string()),
        }
    }
    Ok(found)
}

/// The time as a Lease holds it, in microseconds.
fn now() -> String {
    format!("{:.6}", jiff::Timestamp::now())
}
