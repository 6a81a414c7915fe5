//! Restart: what a server that is killed under writes has kept when it is back: what it acknowledged, its revisions, and
//! its leases. SIGKILL leaves the kernel's page cache, so this is crash recovery and no power cut.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::api::Request;
use harness::distribution::{Datastore, Surface};
use harness::scenario::{Access, Scenario, ScenarioContext};
use harness::target::{Faults, Start};
use reports::history::{Key, Level, MarkKind, Revision};
use reports::metric::Unit;

use super::common::bench::{Bench, Contents};
use super::common::steady::{Rate, Steady};
use super::common::timing::micros;

/// See the module.
pub struct Restart;

/// Keys that hang on a lease; keys that are written until and after the kill; keys that are written just before it.
const LEASED: std::ops::Range<Key> = 0..6;
const STEADY: std::ops::Range<Key> = 6..22;
const LAST: std::ops::Range<Key> = 22..62;
/// Bytes of each value.
const VALUE_BYTES: usize = 256;
/// The lease, in seconds: the server is killed well before it runs out. etcd grants at least one and a half times its
/// election timeout, and K3s sets that to 5 s.
const TTL_SECONDS: i64 = 5;
/// How late a leased key may go, counted from when the server was back: a new leader of etcd lets each lease live for
/// its whole time and an election timeout longer, 5 s in K3s. And how long the server may take to answer again.
/// Stretched for servers that run slower.
const SLACK: Duration = Duration::from_secs(5);
const SLACK_OF_ETCD: Duration = Duration::from_secs(15);
const BACK_WITHIN: Duration = Duration::from_secs(120);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Acknowledged writes before and after the kill without which it says nothing.
const FLOOR: u64 = 10;

impl Scenario for Restart {
    fn name(&self) -> &'static str {
        "restart"
    }

    fn title(&self) -> &'static str {
        "what a server killed under writes has kept: acknowledged writes, revisions, leases"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn injects_faults(&self) -> bool {
        true
    }

    fn left_out(&self, cx: &ScenarioContext<'_>) -> Option<String> {
        let why = cx.cluster.datastore().err()?;
        Some(format!(
            "only the datastore itself tells of its revisions and leases: {why}"
        ))
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let faults = cx.cluster.faults().map_err(anyhow::Error::msg)?;
            let Some(bench) = Bench::open(cx, Level::Datastore, LAST.end, FLOOR).await? else {
                anyhow::bail!("failed to reach the datastore itself; the warnings say why");
            };
            let found = at_datastore(cx, &bench, faults).await;
            bench.end(found).await
        }
        .boxed()
    }
}

async fn at_datastore(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    faults: &dyn Faults,
) -> anyhow::Result<()> {
    let mut latency = micros()?;
    let (mut steady, mut last) = (Contents::new(), Contents::new());
    bench
        .fill(STEADY, VALUE_BYTES, &mut steady, &mut latency)
        .await?;
    let granted = Instant::now();
    let lease = bench.store.lease(TTL_SECONDS).await?;
    let ttl = Duration::from_secs(u64::try_from(lease.ttl_seconds).unwrap_or(0));
    let mut client = bench.client();
    for key in LEASED {
        let sent = client.create_leased(key, VALUE_BYTES, lease.id).await;
        bench.may_be_deleted(key, sent.version()?, sent.call);
    }
    let rate = Rate {
        per_second: 40.0,
        writers: 4,
        bytes: VALUE_BYTES,
        count: None,
    };
    let writers = Steady::start(bench, &steady, rate);
    let phase = cx.phase("kill");
    let struck = async {
        bench.fill(LAST, VALUE_BYTES, &mut last, &mut latency).await?;
        let killed = faults.kill().await?;
        let down = Instant::now();
        ensure!(
            killed.from.duration_since(granted) < ttl,
            "the lease of {ttl:?} had run out before the server was killed; nothing is learnt of leases"
        );
        bench.handle().mark(MarkKind::FaultBegan("kill".into()), killed.to_string());
        let started = faults.start(Start::Plain).await?;
        bench.handle().mark(MarkKind::FaultEnded("kill".into()), started.to_string());
        let revision = back(bench, BACK_WITHIN * cx.patience).await?;
        bench.handle().mark(MarkKind::Recovered, format!("it told revision {revision}"));
        anyhow::Ok(down)
    }
    .await;
    let down = match struck {
        Ok(down) => down,
        Err(error) => {
            writers.stop().await?;
            return Err(error);
        }
    };
    let recovered = Instant::now();
    let took = (recovered - down).as_secs_f64() * 1e3;
    let source = "from the kill to the datastore's first answer, asked ten times a second";
    cx.measure(
        "recovery",
        Unit::Milliseconds,
        took,
        &[bench.label()],
        source,
    );
    let (listing, _) = bench.list(0, None).await?;
    let listed: Contents = listing.items.iter().copied().collect();
    let lost = last
        .iter()
        .filter(|(key, version)| listed.get(key) != Some(version))
        .count();
    cx.state(
        "what was acknowledged just before the kill is there",
        lost == 0,
        last.len() as u64,
        format!("{lost} of {} writes are not", last.len()),
    );
    let leased = LEASED.filter(|key| listed.contains_key(key)).count() as u64;
    let slack = match cx.datastore {
        Datastore::Sqlite => SLACK,
        Datastore::Etcd | Datastore::Unknown => SLACK_OF_ETCD,
    };
    let left = await_end(bench, recovered + ttl + slack * cx.patience).await?;
    cx.state(
        "leases go on: their keys go",
        left == 0,
        // Where all had gone by then nothing is known of leases.
        leased,
        format!("{leased} keys were there when it was back, {left} stayed"),
    );
    let writes = writers.stop().await?;
    ready(cx, BACK_WITHIN * cx.patience).await?;
    drop(phase.end());
    let of = |wanted: fn(Instant, Instant) -> bool| -> BTreeSet<Revision> {
        let those = writes.all.iter().filter(|write| wanted(write.call, down));
        those
            .filter_map(|write| write.outcome.as_ref().ok().copied())
            .collect()
    };
    let before: BTreeSet<_> = of(|call, down| call < down)
        .into_iter()
        .chain(last.values().map(|version| version.revision))
        .collect();
    let after = of(|call, down| call >= down);
    ensure!(
        after.len() as u64 >= FLOOR,
        "only {} writes were acknowledged after the restart; {FLOOR} are needed",
        after.len()
    );
    let newest = before
        .iter()
        .max()
        .copied()
        .context("nothing was written before the kill")?;
    let again = after.iter().filter(|revision| **revision <= newest).count();
    cx.state(
        "no revision is given again",
        again == 0,
        after.len() as u64,
        format!(
            "{again} of {} later writes have a revision of before the kill",
            after.len()
        ),
    );
    Ok(())
}

/// Waits until the datastore answers.
async fn back(bench: &Bench, within: Duration) -> anyhow::Result<Revision> {
    let begun = Instant::now();
    loop {
        match bench.store.revision().await {
            Ok(revision) => return Ok(revision),
            Err(error) if begun.elapsed() >= within => {
                return Err(error).context(format!(
                    "failed to see the datastore back within {within:?}"
                ));
            }
            Err(_) => tokio::time::sleep(LOOK).await,
        }
    }
}

/// Waits until the API server before the datastore is ready as well: what comes next needs it.
async fn ready(cx: &ScenarioContext<'_>, within: Duration) -> anyhow::Result<()> {
    let Access::Kubernetes(api) = cx.access else {
        return Ok(());
    };
    let begun = Instant::now();
    loop {
        let seen = match api.send(Request::get("/readyz")).await {
            Ok(answer) if answer.status == 200 => return Ok(()),
            Ok(answer) => answer.summary(),
            Err(error) => error.to_string(),
        };
        ensure!(
            begun.elapsed() < within,
            "failed to see the API server ready within {within:?}; last seen: {seen}"
        );
        tokio::time::sleep(LOOK).await;
    }
}

/// Waits until no leased key is left, or it is too late; how many are left then.
async fn await_end(bench: &Bench, until: Instant) -> anyhow::Result<usize> {
    loop {
        let listing = bench.store.list(0, None).await?;
        let left = listing
            .items
            .iter()
            .filter(|(key, _)| LEASED.contains(key))
            .count();
        if left == 0 || Instant::now() >= until {
            return Ok(left);
        }
        tokio::time::sleep(LOOK).await;
    }
}
