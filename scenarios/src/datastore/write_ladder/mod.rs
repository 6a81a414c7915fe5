//! The ladder: writes at more and more clients, then at higher and higher offered rates until the server no longer
//! keeps up, then at half of what it sustained. At both levels: the datastore itself, and the Kubernetes API.
//!
//! A rate is *sustained* when the achieved rate is within 1 % of it, when nothing that was due is left unsent, and when
//! p99 is at most ten times that of the ladder's lowest rate (or 100 ms, if that is more: below it a tail is a disk's
//! and says nothing of a queue). The *knee* is the highest sustained rate that the search finds.

mod rung;
mod search;

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::load::{Mix, Store, Workload};
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use reports::history::Level;
use reports::metric::{Metric, Unit};

use super::size;
use crate::footprint::idle::settle;
use rung::{Rung, climb, word};
use search::Search;

/// See the module.
pub struct WriteLadder;

/// Seconds of a day.
const DAY: f64 = 86_400.0;
/// The lowest rung of the open loop is the best closed loop's throughput divided by this.
const FIRST_SHARE: f64 = 8.0;
/// What p99 may grow to, as a multiple of that at the lowest rate.
const TAIL: f64 = 10.0;
/// Milliseconds up to which p99 is no objection.
const TAIL_FREE_MS: f64 = 100.0;
/// The share of an offered rate that must be achieved.
const KEPT: f64 = 0.99;

/// How far the ladder goes in a profile.
struct Extent {
    clients: &'static [u32],
    /// Seconds of a rung.
    rung: f64,
    bisections: u32,
    /// Seconds for which half of the knee is held.
    hold: f64,
    /// Seconds without load.
    idle: f64,
}

fn extent(profile: Profile) -> Extent {
    match profile {
        Profile::Quick => Extent {
            clients: &[1, 16, 64],
            rung: 1.0,
            bisections: 1,
            hold: 2.0,
            idle: 2.0,
        },
        Profile::Default => Extent {
            clients: &[1, 4, 16, 64, 256],
            rung: 2.0,
            bisections: 3,
            hold: 5.0,
            idle: 5.0,
        },
        Profile::Full => Extent {
            clients: &[1, 4, 16, 64, 256, 512],
            rung: 10.0,
            bisections: 5,
            hold: 60.0,
            idle: 60.0,
        },
    }
}

impl Scenario for WriteLadder {
    fn name(&self) -> &'static str {
        "write_ladder"
    }

    fn title(&self) -> &'static str {
        "create, update and delete by 1 to 256 clients, at rising rates until the knee, and at half of it"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    /// Its figures are compared where one waits long enough, or asks for repeats.
    fn repeats(&self, profile: Profile) -> u32 {
        match profile {
            Profile::Quick | Profile::Default => 1,
            Profile::Full => profile.headline_repeats(),
        }
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let extent = extent(cx.profile);
            idle(cx, &extent).await?;
            let mut levels = 0;
            for level in [Level::Datastore, Level::Api] {
                match Store::open(cx, level, "ladder").await {
                    Ok(store) => {
                        levels += 1;
                        let outcome = ladder(cx, &store, &extent).await;
                        let closed = store.close().await;
                        outcome?;
                        closed.context("failed to remove what the ladder wrote")?;
                    }
                    Err(why) => cx.warn(format!(
                        "write_ladder: nothing at the level {}: {why}",
                        word(level)
                    )),
                }
            }
            ensure!(
                levels > 0,
                "failed to reach the datastore at any level; the warnings say why"
            );
            let source = "size of the database's files";
            match size::database_bytes(cx).await? {
                Some(bytes) => cx.measure("database_size", Unit::Bytes, bytes as f64, &[], source),
                None => cx.warn(
                    "write_ladder: the database was not sized: its files are not seen from here",
                ),
            }
            Ok(())
        }
        .boxed()
    }
}

/// What is written when nobody asks for anything: what a server writes while it comes up is not that.
async fn idle(cx: &ScenarioContext<'_>, extent: &Extent) -> anyhow::Result<()> {
    if cx.cluster.unsampled().is_some() {
        return Ok(());
    }
    let settling = cx.phase("settle");
    let settled = settle(Instant::now(), cx.cluster.sample_period(), &settling).await;
    drop(settling);
    if !settled {
        cx.warn("write_ladder: the server did not come to rest, so nothing is told of what it writes while idle");
        return Ok(());
    }
    let phase = cx.phase("idle");
    cx.fresh().await?;
    let before = size::fsyncs(cx).await;
    tokio::time::sleep(Duration::from_secs_f64(extent.idle)).await;
    let after = size::fsyncs(cx).await;
    cx.fresh().await?;
    let samples = phase.end();
    let fsyncs = after
        .zip(before)
        .map(|(after, before)| (after - before) / extent.idle * DAY);
    let written = samples.rate(Metric::IoWritten).map(|bytes| bytes * DAY);
    a_day(cx, "idle", "an interval without load", (written, fsyncs));
    Ok(())
}

fn a_day(
    cx: &ScenarioContext<'_>,
    state: &str,
    of: &str,
    (written, fsyncs): (Option<f64>, Option<f64>),
) {
    let labels = [("state", state.to_owned())];
    let source = format!("extrapolated from {of}");
    if let Some(bytes) = written {
        cx.measure("written_per_day", Unit::Bytes, bytes, &labels, &source);
    }
    if let Some(fsyncs) = fsyncs {
        cx.measure("fsyncs_per_day", Unit::Count, fsyncs, &labels, &source);
    }
}

async fn ladder(cx: &ScenarioContext<'_>, store: &Store, extent: &Extent) -> anyhow::Result<()> {
    let level = word(store.level());
    let patience = f64::from(cx.patience);
    let workload = Workload {
        mix: Mix::default(),
        seconds: extent.rung * patience,
        warm_up: extent.rung * patience / 4.0,
        ..Workload::default()
    };
    let label = |name: &'static str, value: String| {
        [
            ("level", level.to_owned()),
            (
                "loop",
                if name == "clients" { "closed" } else { "open" }.to_owned(),
            ),
            (name, value),
        ]
    };
    let mut best = 0.0_f64;
    for clients in extent.clients {
        let name = format!("clients-{clients}");
        let rung = climb(cx, store, &rung::closed(*clients, &workload), &name).await?;
        rung.record(cx, &label("clients", clients.to_string()));
        rung.above_floor(&format!("{level}, {clients} clients"))?;
        best = best.max(rung.load.achieved());
    }
    let mut search = Search::new((best / FIRST_SHARE).max(1.0), extent.bisections);
    let mut lowest = None;
    while let Some(rate) = search.next() {
        let name = format!("rate-{rate}");
        let rung = climb(cx, store, &rung::open(rate, &workload), &name).await?;
        rung.record(cx, &label("rate", rate.to_string()));
        search.tell(rate, sustained(&rung, lowest));
        lowest = lowest.or(rung.p99_ms());
    }
    let knee = search.knee().with_context(|| {
        format!("failed to find a rate that the server sustains at the level {level}")
    })?;
    let labels = [("level", level.to_owned())];
    let beyond = search.beyond().map_or_else(
        || "; no rate above it was too high, so it is a lower bound".to_owned(),
        |beyond| format!("; {beyond} was not sustained"),
    );
    let rule = format!(
        "the highest rate with achieved >= {KEPT} of offered, nothing unsent, p99 <= max({TAIL} x p99 at the lowest rate, {TAIL_FREE_MS} ms){beyond}"
    );
    cx.measure("knee_rate", Unit::PerSecond, knee, &labels, &rule);
    hold(cx, store, extent, (knee / 2.0).max(1.0), &workload).await
}

/// Whether a rate was sustained. `lowest` is p99 at the lowest rate, milliseconds.
fn sustained(rung: &Rung, lowest: Option<f64>) -> bool {
    let tail = match (rung.p99_ms(), lowest) {
        (Some(p99), Some(lowest)) => p99 <= (TAIL * lowest).max(TAIL_FREE_MS),
        (Some(_), None) => true,
        (None, _) => false,
    };
    tail && rung.load.unsent == 0 && rung.achieved_share() >= KEPT
}

/// Holds half of the knee: what a server does that has something to spare.
async fn hold(
    cx: &ScenarioContext<'_>,
    store: &Store,
    extent: &Extent,
    rate: f64,
    workload: &Workload,
) -> anyhow::Result<()> {
    let level = word(store.level());
    let workload = Workload {
        seconds: extent.hold * f64::from(cx.patience),
        ..rung::open(rate.round(), workload)
    };
    let rung = climb(cx, store, &workload, "half-knee").await?;
    let labels = [
        ("level", level.to_owned()),
        ("loop", "half-knee".to_owned()),
    ];
    rung.record(cx, &labels);
    rung.above_floor(&format!("{level}, half of the knee"))?;
    let of = format!("the interval at half of the knee, {rate:.0}/s at the level {level}");
    a_day(cx, &format!("{level}-half-knee"), &of, rung.a_day());
    Ok(())
}
