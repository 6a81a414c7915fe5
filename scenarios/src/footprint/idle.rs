//! Idle: what the server costs when nobody asks it for anything, once it has settled.

use std::time::{Duration, Instant};

use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::scenario::{PhaseSamples, Scenario, ScenarioContext};
use reports::metric::{Metric, Unit};
use reports::stats;

/// See the module.
pub struct Idle;

/// Settling ends at the latest then; whether it had settled is recorded.
const SETTLE_AT_MOST: Duration = Duration::from_secs(20);
/// Looks at the CPU rate are taken over windows of this length.
const WINDOW: Duration = Duration::from_secs(2);
/// Two windows in a row within this of each other count as settled: thousandths of a CPU.
const STEADY_MILLI: f64 = 20.0;
/// Where bytes written are counted: `io.stat` on cgroup v2, the processes' own `write_bytes` elsewhere.
const WRITES: &str = "io.stat on cgroup v2, else write_bytes of the processes; mean";
/// How many samples a slow sampler is given time for.
const LOOKS: u32 = 12;
/// How long the idle server is watched, at least.
const WATCH: Duration = Duration::from_secs(6);

impl Scenario for Idle {
    fn name(&self) -> &'static str {
        "idle"
    }

    fn title(&self) -> &'static str {
        "memory, CPU and disk writes of a settled server that nobody uses"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn samples(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let settling = cx.phase("settle");
            let start = Instant::now();
            let period = cx.cluster.sample_period();
            let settled = settle(start, period, &settling).await;
            drop(settling);
            cx.measure(
                "settle_time",
                Unit::Milliseconds,
                start.elapsed().as_secs_f64() * 1e3,
                &[],
                "sampler",
            );
            if !settled {
                cx.warn(format!(
                    "idle: the server's CPU use had not settled after {SETTLE_AT_MOST:?}"
                ));
            }
            let watching = cx.phase("watch");
            tokio::time::sleep(WATCH.max(period * LOOKS)).await;
            record(cx, &watching.end())
        }
        .boxed()
    }
}

/// Waits until CPU use comes to rest, and tells whether it did.
pub async fn settle(start: Instant, period: Duration, phase: &harness::scenario::Phase) -> bool {
    let mut before: Option<f64> = None;
    let window = WINDOW.max(period * 3);
    while start.elapsed() < SETTLE_AT_MOST.max(window * 3) {
        let from = phase.so_far().readings.len();
        tokio::time::sleep(window).await;
        let mut seen = phase.so_far();
        seen.readings.drain(..from.min(seen.readings.len()));
        let Some(now) = seen.rate(Metric::CpuUsed).map(|micros| micros / 1e3) else {
            continue;
        };
        if before.is_some_and(|before| (before - now).abs() <= STEADY_MILLI) {
            return true;
        }
        before = Some(now);
    }
    false
}

fn record(cx: &ScenarioContext<'_>, samples: &PhaseSamples) -> anyhow::Result<()> {
    let count = samples.readings.len() as u64;
    let slow = cx.cluster.sample_period() * LOOKS > WATCH;
    let needed = if slow { u64::from(LOOKS) / 2 } else { 20 };
    anyhow::ensure!(
        count >= needed,
        "only {count} samples of an idle server were taken; at least {needed} are needed"
    );
    let median = |metric| {
        let mut values = samples.values(metric);
        values.sort_by(f64::total_cmp);
        stats::median(&values)
    };
    for (name, metric) in [
        ("working_set", Metric::WorkingSet),
        ("anon", Metric::Anon),
        ("file", Metric::File),
        ("kernel", Metric::Kernel),
    ] {
        if let Some(value) = median(metric) {
            cx.measure_of(
                name,
                Unit::Bytes,
                value,
                &[],
                Some(count),
                "median of the samples",
            );
        }
    }
    if let Some(micros) = samples.rate(Metric::CpuUsed) {
        cx.measure_of(
            "cpu",
            Unit::MilliCpu,
            micros / 1e3,
            &[],
            Some(count),
            "CPU accounting, mean",
        );
    }
    if let Some(bytes) = samples.rate(Metric::IoWritten) {
        cx.measure_of(
            "written_per_second",
            Unit::Bytes,
            bytes,
            &[],
            Some(count),
            WRITES,
        );
    }
    Ok(())
}
