//! A disk whose every fsync takes longer: at which delay do writes and heartbeats no longer come in time?

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::drive::still_serving;
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use harness::target::{Faults, Start, Syncs};
use reports::metric::Unit;

use super::super::common::bench::Bench;
use super::super::common::timing::{micros, record};
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

/// p99 of fewer is their greatest.
const P99_TAKES: usize = 100;

/// What a delay came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Writes came in time.
    InTime,
    /// They did not, or the server ended.
    Late,
    /// No fsync met the delay: there was no fault, so nothing is known of it.
    Unmet,
}

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
        "fault_slow_fsync"
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
            let (mut largest, mut met) = (None, 0);
            for millis in delays {
                let delay = Duration::from_millis(*millis);
                match at(cx, faults, delay).await? {
                    Verdict::InTime => largest = Some(delay),
                    Verdict::Late if delay.is_zero() => {
                        bail!("failed to find the largest delay: no write came in time even without one")
                    }
                    Verdict::Late => {
                        met += 1;
                        break;
                    }
                    Verdict::Unmet => continue,
                }
                met += u32::from(!delay.is_zero());
            }
            ensure!(met > 0, "no fsync was delayed at any delay: the server synced nothing while clients wrote");
            let largest = largest.context("no delay was tried")?;
            let source = "the largest of the delays below the first that failed at which an fsync was delayed, no two \
                          acknowledged writes were 10 s apart and the server did not end";
            let millis = largest.as_secs_f64() * 1e3;
            cx.measure("largest_delay_in_time", Unit::Milliseconds, millis, &[], source);
            Ok(())
        }
        .boxed()
    }
}

/// Tries one delay.
async fn at(
    cx: &ScenarioContext<'_>,
    faults: &dyn Faults,
    delay: Duration,
) -> anyhow::Result<Verdict> {
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
            "fault_slow_fsync: at {millis} ms it did not serve within {SERVES_WITHIN:?}: {:?}",
            faults.down()
        ));
        return Ok(Verdict::Late);
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
    let listed = match found.ended {
        None => part::listed(&bench, 0).await,
        Some(_) => Ok(()),
    };
    bench.end(told.and(listed)).await?;
    let in_time = found.ended.is_none() && found.gap < IN_TIME && !found.seen.acks.is_empty();
    Ok(match in_time {
        false => Verdict::Late,
        true if !delay.is_zero() && found.syncs.delayed == 0 => Verdict::Unmet,
        true => Verdict::InTime,
    })
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
    let mut latency = micros()?;
    for took in &took {
        record(&mut latency, *took)?;
    }
    let errors = found.seen.failed.len() as u64;
    cx.latency("write", labels, &latency, errors, span);
    let p99 = took.get(took.len() * 99 / 100);
    if let Some(p99) = p99.filter(|_| took.len() >= P99_TAKES) {
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
            "strace: all fsyncs and fdatasyncs of the cell since its server was started with this delay",
        );
    }
    if let Some(ended) = &found.ended {
        cx.warn(format!(
            "fault_slow_fsync: at {delay:?} the server ended: {ended}"
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
            "fault_slow_fsync: at {delay:?} not one fsync was delayed in {span:?}: {writes} writes needed none"
        ));
    }
    Ok(())
}
