//! One rung: a workload for a few seconds, and what the server spent on it.

use anyhow::ensure;
use harness::load::{self, Kind, Load, Pace, Store, Workload};
use harness::scenario::ScenarioContext;
use reports::history::Level;
use reports::metric::{Metric, Unit};

use super::super::size;

/// A rung that was answered too seldom is run again, for as long as it takes by then, at most this many seconds.
const LONGEST: f64 = 30.0;
/// As many answers as a p99 needs, and some.
const WANTED: f64 = 150.0;
/// How often at most.
const TRIES: u32 = 3;

/// A rung that was climbed.
pub struct Rung {
    pub load: Load,
    /// CPU time of the server for each operation, microseconds.
    server_cpu: Option<f64>,
    written: Option<f64>,
    fsyncs: Option<f64>,
}

/// What a level is called in labels.
pub fn word(level: Level) -> &'static str {
    match level {
        Level::Datastore => "datastore",
        Level::Api => "api",
    }
}

/// Runs a workload; again and longer, when too little was answered to say anything although nothing failed.
///
/// # Errors
/// When it could not be run.
pub async fn climb(
    cx: &ScenarioContext<'_>,
    store: &Store,
    workload: &Workload,
    name: &str,
) -> anyhow::Result<Rung> {
    let phase = format!("{}-{name}", word(store.level()));
    let mut rung = once(cx, store, workload, &phase).await?;
    for again in 2..=TRIES {
        let done = rung.load.done() as f64;
        if done >= load::FLOOR as f64 || rung.load.errors() > 0 {
            break;
        }
        let longer = rung.load.interval.as_secs_f64() * WANTED / done.max(1.0);
        let workload = Workload {
            seconds: longer.min(LONGEST * f64::from(cx.patience)),
            ..workload.clone()
        };
        rung = once(cx, store, &workload, &format!("{phase}-try{again}")).await?;
    }
    Ok(rung)
}

async fn once(
    cx: &ScenarioContext<'_>,
    store: &Store,
    workload: &Workload,
    phase: &str,
) -> anyhow::Result<Rung> {
    let phase = cx.phase(phase);
    // From a sample before to a sample after, however slow the sampler is; where nothing samples, nothing is told.
    let sampled = cx.cluster.unsampled().is_none() && cx.fresh().await.is_ok();
    let fsyncs_before = size::fsyncs(cx).await;
    let load = load::run(store, workload, None, cx.cancel).await?;
    let fsyncs = size::fsyncs(cx).await.zip(fsyncs_before);
    let sampled = sampled && cx.fresh().await.is_ok();
    let samples = phase.end();
    let grown = |metric| samples.growth(metric).filter(|_| sampled);
    let (all, writes) = (load.total as f64, load.total_writes as f64);
    Ok(Rung {
        server_cpu: grown(Metric::CpuUsed)
            .filter(|_| all > 0.0)
            .map(|us| us / all),
        written: grown(Metric::IoWritten)
            .filter(|_| writes > 0.0)
            .map(|bytes| bytes / writes),
        fsyncs: fsyncs
            .filter(|_| writes > 0.0)
            .map(|(after, before)| (after - before) / writes),
        load,
    })
}

impl Rung {
    /// Puts it into the record.
    pub fn record(&self, cx: &ScenarioContext<'_>, labels: &[(&str, String)]) {
        let load = &self.load;
        let interval = load.interval;
        if load.offered.is_some() {
            // Kinds apart would be three rows for every rate that was tried.
            let all = load.latency();
            cx.latency("write", labels, &all, load.errors() + load.unsent, interval);
        } else {
            for kind in Kind::ALL {
                let tally = load.kind(kind);
                let errors = tally.refused + tally.unknown;
                if errors > 0 || !tally.latency.is_empty() {
                    cx.latency(kind.word(), labels, &tally.latency, errors, interval);
                }
            }
        }
        let answered = load.answered_within;
        let measure = |name: &str, unit, value: f64, source: &str| {
            cx.measure_of(name, unit, value, labels, Some(answered), source);
        };
        let achieved = "answers that came within the interval";
        measure("throughput", Unit::PerSecond, load.achieved(), achieved);
        measure(
            "errors",
            Unit::Count,
            load.errors() as f64,
            "counted by the clients",
        );
        if let Some(offered) = load.offered {
            measure(
                "offered_rate",
                Unit::PerSecond,
                offered,
                "the workload's own",
            );
            let source = "answers within the interval over what was due in it";
            measure("achieved_share", Unit::Ratio, self.achieved_share(), source);
            let source = "requests that were due and still not sent at the end";
            measure("backlog", Unit::Count, load.unsent as f64, source);
            let source = "p99 of how much later than intended a request was sent with a client free: assay's own share";
            let late = load.lateness.value_at_quantile(0.99);
            measure("lateness_p99", Unit::Microseconds, late as f64, source);
        }
        let own = load.own_cpu.as_secs_f64() * 1e6 / answered.max(1) as f64;
        let source = "CPU time of the assay process in the interval, samplers included";
        measure("own_cpu_per_operation", Unit::Microseconds, own, source);
        let spent = [
            (
                "server_cpu_per_operation",
                Unit::Microseconds,
                self.server_cpu,
                "CPU accounting of the cell, warm-up included",
            ),
            (
                "written_per_write",
                Unit::Bytes,
                self.written,
                "io.stat on cgroup v2, else write_bytes of the processes",
            ),
            (
                "fsyncs_per_write",
                Unit::Ratio,
                self.fsyncs,
                "etcd's own count of its log's fsyncs",
            ),
        ];
        for (name, unit, value, source) in spent {
            if let Some(value) = value {
                measure(name, unit, value, source);
            }
        }
        if let Some(error) = &load.first_error {
            cx.warn(format!(
                "write_ladder: {} of {} operations failed ({}), the first so: {error}",
                load.errors(),
                load.due,
                described(labels),
            ));
        }
    }

    /// What was answered within the interval over what was due in it. A little above 1 where the interval began with
    /// requests under way and ended with fewer.
    pub fn achieved_share(&self) -> f64 {
        self.load.answered_within as f64 / self.load.due.max(1) as f64
    }

    /// p99 of everything, milliseconds, if there were enough for one.
    pub fn p99_ms(&self) -> Option<f64> {
        let all = self.load.latency();
        (all.len() >= load::FLOOR).then(|| all.value_at_quantile(0.99) as f64 / 1e3)
    }

    /// What it cost a day, had it gone on: bytes and fsyncs.
    pub fn a_day(&self) -> (Option<f64>, Option<f64>) {
        let writes = self.load.writes() as f64 / self.load.interval.as_secs_f64() * super::DAY;
        let of = |each: Option<f64>| each.map(|each| each * writes);
        (of(self.written), of(self.fsyncs))
    }

    /// # Errors
    /// When too little was answered to say anything.
    pub fn above_floor(&self, what: &str) -> anyhow::Result<()> {
        let floor = self.load.above_floor();
        ensure!(floor.is_ok(), "{what}: {}", floor.err().unwrap_or_default());
        Ok(())
    }
}

fn described(labels: &[(&str, String)]) -> String {
    let words: Vec<_> = labels
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    words.join(", ")
}

/// An open loop at a rate.
pub fn open(per_second: f64, workload: &Workload) -> Workload {
    Workload {
        pace: Pace::Open { per_second },
        ..workload.clone()
    }
}

/// A closed loop.
pub fn closed(clients: u32, workload: &Workload) -> Workload {
    Workload {
        pace: Pace::Closed { clients },
        ..workload.clone()
    }
}
