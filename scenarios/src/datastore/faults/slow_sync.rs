//! A disk whose every fsync takes longer: at which delay do writes and heartbeats no longer come in time?

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::drive::still_serving;
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use harness::target::{Faults, Start, Syncs};
use reports::metric::Unit;

use super::super::common::bench::Bench;
use super::clients::{CLIENTS, Clients, KEYS_EACH, Seen};
use super::part;

/// See the module.
pub struct SlowSync;

/// A heartbeat that comes no later than this is in time: what Kubernetes grants the holder of a lease to renew it.
const IN_TIME: Duration = Duration::from_secs(10);
/// How long clients write at each delay.
const SPAN: Duration = Duration::from_secs(6);
/// How long a server may take to serve under a delay; stretched for servers that run slower.
const SERVES_WITHIN: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);
const FLOOR: u64 = 10;

/// What a delay did.
struct Found {
    seen: Seen,
    syncs: Syncs,
    /// The longest time between two acknowledged writes.
    gap: Duration,
    ended: Option<String>,
}

impl Scenario for SlowSync {
    fn name(&self) -> &'static str {
        "fault_slow_sync"
    }

    fn title(&self) -> &'static str {
        "each fsync slowed down by 1 to 250 ms: the largest delay at which writes come in time; fsyncs per write"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn injects_faults(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let delays: &[u64] = match cx.profile {
                Profile::Quick => &[0, 50],
                // 0 is the control: traced, and not delayed.
                Profile::Default | Profile::Full => &[0, 1, 10, 50, 100, 250],
            };
            let faults = cx.cluster.faults().map_err(anyhow::Error::msg)?;
            faults.excuse(true);
            let mut largest = None;
            for millis in delays {
                let delay = Duration::from_millis(*millis);
                if at(cx, faults, delay).await? && largest.is_none_or(|largest| largest < delay) {
                    largest = Some(delay);
                }
            }
            let largest = largest.context("no write came in time even without a delay")?;
            let source = "the largest of the delays tried at which no two acknowledged writes were 10 s apart and the server \
                          did not end";
            let millis = largest.as_secs_f64() * 1e3;
            cx.measure("largest_delay_in_time", Unit::Milliseconds, millis, &[], source);
            Ok(())
        }
        .boxed()
    }
}

/// Tries one delay; whether writes came in time.
async fn at(
    cx: &ScenarioContext<'_>,
    faults: &dyn Faults,
    delay: Duration,
) -> anyhow::Result<bool> {
    let millis = delay.as_millis();
    let phase = cx.phase(&format!("delay-{millis}"));
    if faults.down().is_none() {
        faults.kill().await?;
    }
    faults.start(Start::SlowSync { delay }).await?;
    let labels = [("delay_ms", millis.to_string())];
    let served = serves(cx, faults).await;
    if let Some(served) = served {
        let took = served.as_secs_f64() * 1e3;
        cx.measure(
            "start_to_ready",
            Unit::Milliseconds,
            took,
            &labels,
            "polled from outside",
        );
    } else {
        cx.warn(format!(
            "fault_slow_sync: at {millis} ms it did not serve within {SERVES_WITHIN:?}: {:?}",
            faults.down()
        ));
        return Ok(false);
    }
    let name = format!("delay-{millis}");
    let keys = CLIENTS * KEYS_EACH;
    let opened = Bench::open_part(cx, part::level(cx), &name, keys, FLOOR).await?;
    let bench = opened.context("failed to reach the datastore; the warnings say why")?;
    let before = faults.syncs()?;
    let clients = Clients::start(&bench);
    let begun = Instant::now();
    while begun.elapsed() < SPAN && faults.down().is_none() {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let span = begun.elapsed();
    let seen = clients.stop().await?;
    let after = faults.syncs()?;
    drop(phase.end());
    let found = Found {
        gap: gap(&seen, begun, begun + span),
        syncs: since(&before, after),
        ended: faults.down().map(|exit| format!("{exit:?}")),
        seen,
    };
    let told = tell(cx, &labels, delay, span, &found);
    bench.end(told).await?;
    Ok(found.ended.is_none() && found.gap < IN_TIME && !found.seen.acks.is_empty())
}

/// How long after its execution it served; `None`: not in time, or it ended.
async fn serves(cx: &ScenarioContext<'_>, faults: &dyn Faults) -> Option<Duration> {
    let from = Instant::now();
    loop {
        let look = tokio::time::timeout(Duration::from_secs(5), still_serving(cx.access));
        if matches!(look.await, Ok(Ok(()))) {
            return Some(from.elapsed());
        }
        if from.elapsed() >= SERVES_WITHIN * cx.patience || faults.down().is_some() {
            return None;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The longest time without an acknowledged write.
fn gap(seen: &Seen, from: Instant, to: Instant) -> Duration {
    let mut last = from;
    let mut longest = Duration::ZERO;
    let ends = seen.acks.iter().map(|ack| ack.end).filter(|end| *end <= to);
    for end in ends.chain([to]) {
        longest = longest.max(end.saturating_duration_since(last));
        last = last.max(end);
    }
    longest
}

/// The calls that were answered meanwhile; their times are those of the whole trace.
fn since(before: &Syncs, after: Syncs) -> Syncs {
    Syncs {
        calls: after.calls.saturating_sub(before.calls),
        delayed: after.delayed.saturating_sub(before.delayed),
        took_us: after.took_us,
    }
}

fn tell(
    cx: &ScenarioContext<'_>,
    labels: &[(&str, String)],
    delay: Duration,
    span: Duration,
    found: &Found,
) -> anyhow::Result<()> {
    let writes = found.seen.acks.len() as u64;
    let measure = |name: &str, unit, value: f64, samples, source: &str| {
        cx.measure_of(name, unit, value, labels, Some(samples), source);
    };
    let by_clients = "counted by the clients";
    measure(
        "acknowledged_rate",
        Unit::PerSecond,
        writes as f64 / span.as_secs_f64(),
        writes,
        by_clients,
    );
    let failed = found.seen.failed.len() as f64;
    measure("failed_requests", Unit::Count, failed, writes, by_clients);
    let gap = found.gap.as_secs_f64() * 1e3;
    measure(
        "longest_gap",
        Unit::Milliseconds,
        gap,
        writes,
        "between acknowledged writes of all clients",
    );
    let mut took: Vec<Duration> = found
        .seen
        .acks
        .iter()
        .map(|ack| ack.end - ack.call)
        .collect();
    took.sort_unstable();
    if let Some(p99) = took.get((took.len() * 99 / 100).min(took.len().saturating_sub(1))) {
        measure(
            "write_p99",
            Unit::Milliseconds,
            p99.as_secs_f64() * 1e3,
            writes,
            by_clients,
        );
    }
    let syncs = found.syncs.calls;
    let traced = "strace: fsyncs and fdatasyncs of all processes of the cell";
    if writes > 0 {
        measure(
            "fsyncs_per_write",
            Unit::Ratio,
            syncs as f64 / writes as f64,
            syncs,
            traced,
        );
    }
    let median = found.syncs.took_us.get(found.syncs.took_us.len() / 2);
    if let Some(median) = median {
        measure(
            "fsync_p50",
            Unit::Microseconds,
            *median as f64,
            found.syncs.took_us.len() as u64,
            traced,
        );
    }
    if let Some(ended) = &found.ended {
        cx.warn(format!(
            "fault_slow_sync: at {delay:?} the server ended: {ended}"
        ));
    }
    // No witness, no fault: a delay that no call has met says nothing. SQLite may have synced nothing yet.
    let shortest = found.syncs.took_us.first().copied().unwrap_or(0);
    ensure!(
        delay.is_zero()
            || found.syncs.took_us.is_empty()
            || u128::from(shortest) >= delay.as_micros(),
        "failed to witness the delay: an fsync took {shortest} us, {delay:?} were asked for"
    );
    if !delay.is_zero() && found.syncs.delayed == 0 {
        cx.warn(format!(
            "fault_slow_sync: at {delay:?} not one fsync was delayed in {span:?}: {writes} writes needed none"
        ));
    }
    Ok(())
}
