//! Compaction: does the compact revision advance, does the database return to a bound, how long does a write stall, and
//! what became of everything that compaction must leave alone.
//!
//! etcd and the specimen are asked to compact. kine answers such a call and does nothing: it compacts by itself every
//! five minutes, down to the last thousand revisions, so that only a full run waits for it.

mod cycle;
mod survivors;

use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use harness::distribution::{Datastore, Surface};
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use reports::history::{Key, Level, Revision};

use super::common::bench::{Bench, Contents};
use super::common::delivery::Delivery;
use super::common::follow::Follower;
use super::common::steady::{Rate, Steady};
use super::common::timing::micros;
use cycle::{Cycle, Plan, Waits};

/// See the module.
pub struct Compaction;

/// Keys that are never touched again, and keys that are deleted before the first compaction.
const CANARIES: std::ops::Range<Key> = 0..10;
const DOOMED: std::ops::Range<Key> = 10..20;
/// Keys that are written over and over.
const CHURNED: std::ops::Range<Key> = 20..36;
/// How long the last change may take to reach a watcher; stretched for servers that run slower.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);

/// Whether the datastore compacts when it is asked to.
pub fn obeys(cx: &ScenarioContext<'_>) -> bool {
    !(cx.datastore.is_sqlite() && cx.distribution.name() == "k3s")
}

impl Scenario for Compaction {
    fn name(&self) -> &'static str {
        "compaction"
    }

    fn title(&self) -> &'static str {
        "whether compaction advances, bounds the database, stalls no write and leaves the rest alone"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn left_out(&self, cx: &ScenarioContext<'_>) -> Option<String> {
        if let Err(why) = cx.cluster.datastore() {
            return Some(format!(
                "only the datastore itself can be watched compacting: {why}"
            ));
        }
        (!obeys(cx) && cx.profile != Profile::Full).then(|| {
            "kine ignores calls to compact and compacts by itself every five minutes; give --profile full".to_owned()
        })
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let plan = Plan::of(cx.profile, obeys(cx));
            let Some(bench) = Bench::open(cx, Level::Datastore, CHURNED.end, 100).await? else {
                anyhow::bail!("failed to reach the datastore itself; the warnings say why");
            };
            let found = at_datastore(cx, &bench, plan).await;
            bench.end(found).await
        }
        .boxed()
    }
}

async fn at_datastore(cx: &ScenarioContext<'_>, bench: &Bench, plan: Plan) -> anyhow::Result<()> {
    let (mut canaries, mut doomed, mut churned) =
        (Contents::new(), Contents::new(), Contents::new());
    let mut latency = micros()?;
    bench
        .fill(CANARIES, 256, &mut canaries, &mut latency)
        .await?;
    bench.fill(DOOMED, 256, &mut doomed, &mut latency).await?;
    bench
        .fill(CHURNED, plan.value_bytes, &mut churned, &mut latency)
        .await?;
    let mut client = bench.client();
    for (key, version) in &doomed {
        client.delete(*key, version.revision).await.version()?;
    }
    let old = bench.store.revision().await?;
    let mut live = Follower::begin(&bench.store, bench.handle(), old + 1).await?;
    let mut acknowledged = std::collections::BTreeSet::new();
    let mut cycles = Vec::new();
    for nth in 0..plan.cycles {
        // One that was waited for in vain says all; the later ones only show whether the database grows.
        let stuck = cycles
            .last()
            .is_some_and(|cycle: &Cycle| cycle.advanced.is_none());
        let waits = if stuck { Waits::Briefly } else { Waits::Fully };
        let cycle = cycle::one(cx, bench, &mut churned, plan, (nth, waits)).await?;
        acknowledged.extend(&cycle.acknowledged);
        cycles.push(cycle);
    }
    // What compaction hides from a watch shows in what comes after it.
    let rate = Rate {
        per_second: 100.0,
        writers: 4,
        bytes: 256,
        count: Some(40),
    };
    let after = Steady::start(bench, &churned, rate).done().await?;
    acknowledged.extend(after.acknowledged());
    churned.extend(after.contents);
    let newest = acknowledged.iter().max().copied().unwrap_or(old);
    live.reaches(newest, ARRIVES_WITHIN * cx.patience).await;
    let live = live.end().await?;
    let mut delivery = Delivery::default();
    delivery.add(&acknowledged, live.seen.iter().map(|seen| seen.revision));
    let ended = live
        .ended
        .map_or_else(String::new, |how| format!("; it was ended: {how}"));
    cx.state(
        "a watch from before the compactions gets every change",
        delivery.lost == 0 && delivery.repeated == 0 && delivery.disordered == 0,
        delivery.expected,
        format!(
            "{} of {} changes did not come, {} came again, {} came after a later one{ended}",
            delivery.lost, delivery.expected, delivery.repeated, delivery.disordered
        ),
    );
    advanced(cx, &cycles);
    cycle::bounded(cx, plan, &cycles);
    survivors::old_watch(cx, bench, old, &acknowledged, newest).await?;
    survivors::keys(cx, bench, &canaries, &doomed, &churned).await
}

/// States whether every compaction was seen to have happened.
fn advanced(cx: &ScenarioContext<'_>, cycles: &[Cycle]) {
    let stuck: Vec<_> = cycles
        .iter()
        .filter(|cycle| cycle.advanced.is_none())
        .collect();
    let slowest = cycles.iter().filter_map(|cycle| cycle.advanced).max();
    cx.state(
        "the compact revision advances",
        stuck.is_empty(),
        cycles.len() as u64,
        match stuck.first() {
            Some(cycle) => format!(
                "{} of {} compactions left what was before them readable, the first revision {} for {} s",
                stuck.len(),
                cycles.len(),
                cycle.below,
                cycle.waited.as_secs()
            ),
            None => format!(
                "each made what was before it unreadable, the slowest after {:.3} s",
                slowest.unwrap_or_default().as_secs_f64()
            ),
        },
    );
}

/// Waits until a revision cannot be read any more; how long that took, or `None` if it still can be.
async fn compacted(
    bench: &Bench,
    below: Revision,
    within: Duration,
) -> anyhow::Result<Option<Duration>> {
    use harness::load::LoadError;
    let begun = Instant::now();
    loop {
        match bench.store.list(1, Some(below)).await {
            Err(LoadError::Compacted) => return Ok(Some(begun.elapsed())),
            Err(error) => return Err(error.into()),
            Ok(_) if begun.elapsed() >= within => return Ok(None),
            Ok(_) => tokio::time::sleep(within.div_f64(200.0)).await,
        }
    }
}
