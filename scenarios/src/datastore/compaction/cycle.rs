//! One cycle: keys are written over and over, the history of that is compacted while others write, and the database is
//! sized.

use std::time::{Duration, Instant};

use anyhow::ensure;
use harness::distribution::Datastore;
use harness::profile::Profile;
use harness::scenario::ScenarioContext;
use reports::history::{MarkKind, Revision};
use reports::metric::Unit;

use super::super::common::bench::{Bench, Contents};
use super::super::common::steady::{Rate, Steady, Writes};
use super::super::size;

/// How long an obedient datastore may take to compact what was written since the last time; stretched for servers that
/// run slower.
const OBEYS_WITHIN: Duration = Duration::from_secs(10);
/// kine's interval is five minutes; it may have begun just now.
const BY_ITSELF_WITHIN: Duration = Duration::from_secs(420);
/// bbolt, etcd's database, makes its file longer by so much at a time (its `AllocSize`).
const ETCD_STEP: f64 = 16.0 * 1024.0 * 1024.0;
/// SQLite's file grows by pages; a few tables and indices beside the log may take that much.
const SQLITE_STEP: f64 = 1024.0 * 1024.0;
/// SQLite moves its log into the database at 1,000 pages, 4 MiB; beyond eight times that it is not doing so.
const SQLITE_LOG: u64 = 32 << 20;
/// The cycles after which the database has found its size.
const SETTLED: usize = 2;

/// How much is done.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Cycles.
    pub cycles: u32,
    /// Writes of each.
    pub writes: u64,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// Whether the datastore compacts when it is asked to.
    pub obeys: bool,
}

impl Plan {
    /// How much is done in a profile.
    pub fn of(profile: Profile, obeys: bool) -> Self {
        let (cycles, writes) = match profile {
            Profile::Quick => (4, 200),
            Profile::Default => (4, 1_000),
            Profile::Full => (8, 2_000),
        };
        Self {
            // One interval of kine's is all that a scenario has time for. Its last thousand revisions stay.
            cycles: if obeys { cycles } else { 1 },
            writes: if obeys { writes } else { 3_000 },
            value_bytes: 16 << 10,
            obeys,
        }
    }
}

/// How long a compaction is waited for.
#[derive(Debug, Clone, Copy)]
pub enum Waits {
    /// As long as it may take.
    Fully,
    /// For a second, after another was waited for in vain.
    Briefly,
}

/// What a cycle showed.
pub struct Cycle {
    /// Revisions of the writes in it.
    pub acknowledged: Vec<Revision>,
    /// The revision that had to become unreadable.
    pub below: Revision,
    /// How long that took.
    pub advanced: Option<Duration>,
    /// How long it was waited for.
    pub waited: Duration,
    /// Bytes of the database and of its write-ahead log, where they are seen.
    pub sizes: Option<(u64, u64)>,
}

/// See the module.
pub async fn one(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    churned: &mut Contents,
    plan: Plan,
    (nth, waits): (u32, Waits),
) -> anyhow::Result<Cycle> {
    let below = bench.store.revision().await?;
    let phase = cx.phase(&format!("cycle-{}", nth + 1));
    let flood = Rate {
        // Due at once: eight clients as fast as they are answered.
        per_second: 1e6,
        writers: 8,
        bytes: plan.value_bytes,
        count: Some(plan.writes),
    };
    let mut acknowledged = Vec::new();
    let writes = Steady::start(bench, churned, flood).done().await?;
    take(&writes, churned, &mut acknowledged);
    ensure!(
        acknowledged.len() as u64 >= plan.writes / 2,
        "only {} of {} writes were acknowledged, the first of the others: {}",
        acknowledged.len(),
        plan.writes,
        writes.failed().1.unwrap_or_default()
    );
    // The same writes without a compaction, and with one.
    let calm = Rate {
        per_second: 100.0,
        writers: 4,
        bytes: 1024,
        count: Some(60),
    };
    let control = Steady::start(bench, churned, calm).done().await?;
    take(&control, churned, &mut acknowledged);
    stall(cx, &control, nth, "control");
    let steady = Rate {
        per_second: if plan.obeys { 100.0 } else { 5.0 },
        // etcd says at once that it has compacted and removes what that means afterwards: the same number of writes as
        // without a compaction, some of them during that.
        count: calm.count.filter(|_| plan.obeys),
        ..calm
    };
    let target = bench.store.revision().await?;
    let writers = Steady::start(bench, churned, steady);
    let asked = Instant::now();
    let waited = if plan.obeys {
        let compacted = bench.store.compact(target).await;
        if let Err(error) = compacted {
            writers.stop().await?;
            return Err(error.into());
        }
        bench.handle().mark(
            MarkKind::Compacted(target),
            format!("Compact({target}) was answered in {:?}", asked.elapsed()),
        );
        match waits {
            Waits::Fully => OBEYS_WITHIN * cx.patience,
            Waits::Briefly => Duration::from_secs(1),
        }
    } else {
        BY_ITSELF_WITHIN
    };
    let advanced = super::compacted(bench, below, waited).await;
    let during = if plan.obeys {
        writers.done().await?
    } else {
        writers.stop().await?
    };
    let advanced = advanced?;
    take(&during, churned, &mut acknowledged);
    ensure!(!during.all.is_empty(), "nobody wrote during the compaction");
    stall(cx, &during, nth, "compaction");
    drop(phase.end());
    let sizes = size::parts(cx).await?;
    if let Some((database, log)) = sizes {
        let labels = [("cycle", (nth + 1).to_string())];
        let source = "size of the files";
        cx.measure(
            "database_size",
            Unit::Bytes,
            database as f64,
            &labels,
            source,
        );
        cx.measure("log_size", Unit::Bytes, log as f64, &labels, source);
    }
    Ok(Cycle {
        acknowledged,
        below,
        advanced,
        waited,
        sizes,
    })
}

fn take(writes: &Writes, churned: &mut Contents, acknowledged: &mut Vec<Revision>) {
    acknowledged.extend(writes.acknowledged());
    churned.extend(writes.contents.iter().map(|(k, v)| (*k, *v)));
}

/// Tells the longest that a write took from when it was due.
fn stall(cx: &ScenarioContext<'_>, writes: &Writes, nth: u32, during: &str) {
    let answered = writes.all.iter().filter(|write| write.outcome.is_ok());
    let longest = answered
        .map(|write| write.end.saturating_duration_since(write.due))
        .max();
    if let Some(longest) = longest {
        let labels = [
            ("cycle", (nth + 1).to_string()),
            ("during", during.to_owned()),
        ];
        let samples = Some(writes.all.len() as u64);
        let millis = longest.as_secs_f64() * 1e3;
        let source = "from when it was due, at a steady rate";
        cx.measure_of(
            "longest_write",
            Unit::Milliseconds,
            millis,
            &labels,
            samples,
            source,
        );
    }
}

/// States that the database has a bound, where enough was written to tell that from the steps in which its file grows.
pub fn bounded(cx: &ScenarioContext<'_>, plan: Plan, cycles: &[Cycle]) {
    let sizes: Vec<_> = cycles.iter().filter_map(|cycle| cycle.sizes).collect();
    let (Some(settled), Some(last)) = (sizes.get(SETTLED - 1), sizes.last()) else {
        return;
    };
    let later = (sizes.len() - SETTLED) as f64;
    let written = later * plan.writes as f64 * plan.value_bytes as f64;
    let sqlite = cx.datastore.is_sqlite();
    let step = if sqlite { SQLITE_STEP } else { ETCD_STEP };
    if written / 2.0 > step {
        let grown = last.0 as f64 - settled.0 as f64;
        cx.state(
            "the database returns to a bound",
            grown <= written / 2.0,
            sizes.len() as u64,
            format!(
                "after cycle {SETTLED} it grew by {:.1} MiB, while {:.1} MiB were written and compacted",
                grown / 1048576.0,
                written / 1048576.0
            ),
        );
    }
    if sqlite {
        let longest = sizes.iter().map(|(_, log)| *log).max().unwrap_or(0);
        cx.state(
            "the write-ahead log returns to a bound",
            longest <= SQLITE_LOG,
            sizes.len() as u64,
            format!(
                "it was {:.1} MiB at most, {} are allowed",
                longest as f64 / 1048576.0,
                SQLITE_LOG >> 20
            ),
        );
    }
}
