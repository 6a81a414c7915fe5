//! Fan-out: watchers on everything that a few clients write at a steady rate. How late each change comes, counted from
//! the write's call and from its acknowledgement, and whether every watcher gets each change, once and in order.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use reports::history::Revision;
use reports::metric::Unit;
use reports::stats;

use super::common::bench::{Bench, Contents};
use super::common::delivery::Delivery;
use super::common::follow::{Followed, Follower, Seen};
use super::common::steady::{Rate, Steady, Writes};
use super::common::timing::{self, micros};

/// See the module.
pub struct WatchFanout;

/// Keys that are written.
const KEYS: u32 = 16;
/// Bytes of each value.
const VALUE_BYTES: usize = 256;
/// Watchers on one connection: a server may bound the streams of one (250 in Kubernetes).
const ON_ONE: u32 = 50;
/// A watcher that hears nothing for longer while others write is not alive (etcd's and Kubernetes' own clients would
/// begin anew); stretched for servers that run slower.
const HEARD_WITHIN: Duration = Duration::from_secs(5);
/// How long the last change may take to every watcher; stretched likewise.
const ARRIVES_WITHIN: Duration = Duration::from_secs(20);
/// Fewer acknowledged writes say nothing of a fan-out.
const FLOOR: u64 = 20;

/// A round: so many watchers, writes a second, and writes.
type Round = (u32, f64, u64);

fn rounds(profile: Profile) -> &'static [Round] {
    match profile {
        Profile::Quick => &[(1, 30.0, 60), (10, 30.0, 60)],
        Profile::Default => &[(1, 40.0, 200), (10, 40.0, 200), (100, 20.0, 160)],
        Profile::Full => &[
            (1, 50.0, 1_000),
            (10, 50.0, 1_000),
            (100, 20.0, 600),
            (500, 5.0, 150),
        ],
    }
}

impl Scenario for WatchFanout {
    fn name(&self) -> &'static str {
        "watch_fanout"
    }

    fn title(&self) -> &'static str {
        "1 to 500 watchers under steady writes: delivery latency, and changes lost, repeated or out of order"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let mut outcome = Ok(());
            for bench in Bench::all(cx, KEYS, FLOOR).await? {
                let found = at_level(cx, &bench).await;
                outcome = outcome.and(bench.end(found).await);
            }
            outcome
        }
        .boxed()
    }
}

/// What all rounds of a level showed.
#[derive(Default)]
struct Found {
    delivery: Delivery,
    unanswered: u64,
    acknowledged: u64,
    distinct: BTreeSet<Revision>,
    watchers: u64,
    longest_silence: Duration,
    ended: Vec<String>,
}

async fn at_level(cx: &ScenarioContext<'_>, bench: &Bench) -> anyhow::Result<()> {
    let mut contents = Contents::new();
    bench
        .fill(0..KEYS, VALUE_BYTES, &mut contents, &mut micros()?)
        .await?;
    let mut found = Found::default();
    for round in rounds(cx.profile) {
        one(cx, bench, &mut contents, *round, &mut found).await?;
    }
    state(cx, bench, &found);
    Ok(())
}

async fn one(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    contents: &mut Contents,
    (watchers, per_second, count): Round,
    found: &mut Found,
) -> anyhow::Result<()> {
    let from = bench.store.revision().await? + 1;
    let mut followers = Vec::new();
    let mut store = bench.store.clone();
    for nth in 0..watchers {
        if nth > 0 && nth % ON_ONE == 0 {
            let another = bench.store.another_connection().await;
            store = another.context("failed to open another connection")?;
        }
        let follower = Follower::begin(&store, bench.handle(), from).await;
        followers.push(follower.with_context(|| format!("failed to begin watch {}", nth + 1))?);
    }
    let phase = cx.phase(&format!("{}-watchers-{watchers}", bench.level()));
    let begun = Instant::now();
    let rate = Rate {
        per_second,
        writers: 4,
        bytes: VALUE_BYTES,
        count: Some(count),
    };
    let writes = Steady::start(bench, contents, rate).done().await?;
    let over = Instant::now();
    let last = writes.acknowledged().max();
    let last = last.context("no write was acknowledged")?;
    let arrive = Instant::now() + ARRIVES_WITHIN * cx.patience;
    for follower in &mut followers {
        // One that does not get there has lost something, which is counted below.
        let left = arrive.saturating_duration_since(Instant::now());
        follower.reaches(last, left).await;
    }
    let mut followed = Vec::new();
    for follower in followers {
        followed.push(follower.end().await?);
    }
    drop(phase.end());
    contents.extend(writes.contents.iter().map(|(k, v)| (*k, *v)));
    ensure!(
        writes.acknowledged().count() as u64 >= FLOOR,
        "only {} of {count} writes were acknowledged; {FLOOR} are needed",
        writes.acknowledged().count()
    );
    take(found, &writes, &followed, begun, over);
    let labels = [bench.label(), ("watchers", watchers.to_string())];
    measure(cx, &labels, &writes, &followed, over - begun)
}

/// Adds what a round showed.
fn take(found: &mut Found, writes: &Writes, followed: &[Followed], begun: Instant, over: Instant) {
    let expected: BTreeSet<_> = writes.acknowledged().collect();
    found.acknowledged += writes.acknowledged().count() as u64;
    found.unanswered += writes.failed().0;
    found.distinct.extend(&expected);
    for one in followed {
        found
            .delivery
            .add(&expected, one.seen.iter().map(|seen| seen.revision));
        found.watchers += 1;
        let silence = longest_silence(&one.seen, begun, over);
        found.longest_silence = found.longest_silence.max(silence);
        found.ended.extend(one.ended.clone());
    }
}

/// The longest time between two changes that a watcher heard of, while writers wrote.
fn longest_silence(seen: &[Seen], begun: Instant, over: Instant) -> Duration {
    let mut last = begun;
    let mut longest = Duration::ZERO;
    for one in seen {
        longest = longest.max(one.at.saturating_duration_since(last));
        last = one.at;
    }
    longest.max(over.saturating_duration_since(last))
}

fn measure(
    cx: &ScenarioContext<'_>,
    labels: &[(&str, String)],
    writes: &Writes,
    followed: &[Followed],
    took: Duration,
) -> anyhow::Result<()> {
    let by_revision: HashMap<Revision, (Instant, Instant)> = writes
        .all
        .iter()
        .filter_map(|write| Some((*write.outcome.as_ref().ok()?, (write.call, write.end))))
        .collect();
    let (mut from_call, mut worst_p99) = (micros()?, 0);
    let mut from_ack = Vec::new();
    for one in followed {
        let mut own = micros()?;
        for Seen { revision, at, .. } in &one.seen {
            let Some((call, end)) = by_revision.get(revision) else {
                continue;
            };
            timing::record(&mut own, at.saturating_duration_since(*call))?;
            // A change may come before its writer has the answer; such a time is negative and stays so.
            let late = at.saturating_duration_since(*end).as_secs_f64();
            let early = end.saturating_duration_since(*at).as_secs_f64();
            from_ack.push((late - early) * 1e3);
        }
        worst_p99 = worst_p99.max(own.value_at_quantile(0.99));
        from_call.add(&own)?;
    }
    ensure!(
        !from_call.is_empty(),
        "no watcher got a change of a known write"
    );
    cx.latency("delivery", labels, &from_call, 0, took);
    let samples = Some(from_ack.len() as u64);
    let sorted = stats::finite(from_ack);
    for (name, q) in [
        ("delivery_after_ack_p50", 0.5),
        ("delivery_after_ack_p99", 0.99),
        ("delivery_after_ack_max", 1.0),
    ] {
        if let Some(value) = stats::quantile(&sorted, q) {
            let source = "from the write's acknowledgement; negative where the change came first";
            cx.measure_of(name, Unit::Milliseconds, value, labels, samples, source);
        }
    }
    let worst = worst_p99 as f64 / 1e3;
    let source = "of each watcher's own p99, from the write's call";
    let watchers = Some(followed.len() as u64);
    cx.measure_of(
        "worst_watcher_p99",
        Unit::Milliseconds,
        worst,
        labels,
        watchers,
        source,
    );
    Ok(())
}

fn state(cx: &ScenarioContext<'_>, bench: &Bench, found: &Found) {
    let Delivery {
        expected,
        lost,
        repeated,
        disordered,
        unasked,
    } = found.delivery;
    let say = |name: &str, holds, facts, because: String| {
        cx.state(&bench.about(name), holds, facts, because);
    };
    let ends = match found.ended.first() {
        Some(how) => format!(
            "; {} watches were ended, the first: {how}",
            found.ended.len()
        ),
        None => String::new(),
    };
    say(
        "no change is lost",
        lost == 0,
        expected,
        format!("{lost} of {expected} changes did not come{ends}"),
    );
    say(
        "no change comes twice",
        repeated == 0,
        expected,
        format!("{repeated} came again"),
    );
    say(
        "changes come in the order of their revisions",
        disordered == 0,
        expected,
        format!("{disordered} came after a later one"),
    );
    // A write without an answer may have been made.
    say(
        "nothing comes that nobody wrote",
        unasked == 0 || found.unanswered > 0,
        expected,
        format!(
            "{unasked} changes are of no acknowledged write; {} writes were not acknowledged",
            found.unanswered
        ),
    );
    let again = found.acknowledged - found.distinct.len() as u64;
    say(
        "no two writes have one revision",
        again == 0,
        found.acknowledged,
        format!(
            "{again} of {} acknowledged writes have the revision of another",
            found.acknowledged
        ),
    );
    let bound = HEARD_WITHIN * cx.patience;
    say(
        "every watcher hears of the writes all the while",
        found.longest_silence <= bound,
        found.watchers,
        format!(
            "the longest silence was {:.3} s, {} is allowed",
            found.longest_silence.as_secs_f64(),
            bound.as_secs()
        ),
    );
}
