//! Cold start: from exec to listening, to ready, to the first write served.

use reports::event::{EventKind, Measurement};
use reports::metric::{Metric, Unit};
use reports::outcome::Outcome;

use crate::distribution::ReadyWhen;
use crate::journal::CellSink;
use crate::ready::Ready;
use crate::scenario::PhaseSamples;
use crate::target::{Cluster, Counted};

const SUITE: &str = "footprint";
const SCENARIO: &str = "cold_start";

/// Records the milestones, and what starting cost in CPU time and memory.
pub fn record(
    cluster: &dyn Cluster,
    sink: &CellSink,
    ready: &Ready,
    boot: &PhaseSamples,
    counted: Option<Counted>,
) {
    milestones(cluster, sink, ready, "exec");
    let measure = |name: &str, unit: Unit, value: f64, source: &str| {
        measure(sink, name, unit, value, source);
    };
    let newest = |metric| boot.values(metric).last().copied();
    if let Some(used) = newest(Metric::CpuUsed) {
        measure(
            "cpu_until_first_write",
            Unit::Milliseconds,
            used / 1e3,
            "CPU accounting of the cell, newest sample",
        );
    }
    if let Some(peak) = newest(Metric::Peak) {
        measure(
            "peak_until_first_write",
            Unit::Bytes,
            peak,
            "the kernel's high-water mark of usage, newest sample",
        );
    }
    if let Some(anon) = newest(Metric::Anon) {
        measure(
            "anon_at_first_write",
            Unit::Bytes,
            anon,
            "cgroup, newest sample",
        );
    }
    if let Some(counted) = counted {
        measure(
            "exec_to_first_write_counted",
            Unit::Milliseconds,
            counted.clock.as_secs_f64() * 1e3,
            "the guest's clock, which counts instructions: virtual time, no machine's",
        );
        measure(
            "instructions_until_first_write",
            Unit::Count,
            counted.instructions as f64,
            "CPU accounting of the server's cgroup, one instruction a nanosecond",
        );
    }
    finish(sink, Outcome::Passed, None);
}

/// Records that there was no cold start, and why; and how fast a restored server was back, which is another figure.
pub fn skip(cluster: &dyn Cluster, sink: &CellSink, ready: &Ready, why: &str) {
    if cluster.restored() {
        milestones(cluster, sink, ready, "restore");
    }
    finish(sink, Outcome::Skipped, Some(why.to_owned()));
}

/// The time from the server's start, or from its machine's restoring, to each condition of readiness.
fn milestones(cluster: &dyn Cluster, sink: &CellSink, ready: &Ready, from: &str) {
    for (condition, at) in &ready.milestones {
        let to = match condition {
            ReadyWhen::Listening => "listening",
            ReadyWhen::Http200(_) => "ready",
            ReadyWhen::FirstWrite => "first_write",
            ReadyWhen::Controllers => "controllers",
            ReadyWhen::Node => "node",
            ReadyWhen::Agents => "agents",
            ReadyWhen::FirstPod => "first_pod",
        };
        let took = at.saturating_duration_since(cluster.started());
        measure(
            sink,
            &format!("{from}_to_{to}"),
            Unit::Milliseconds,
            took.as_secs_f64() * 1e3,
            "polled from outside",
        );
    }
}

fn measure(sink: &CellSink, name: &str, unit: Unit, value: f64, source: &str) {
    sink.emit(EventKind::Measurement(Measurement {
        suite: SUITE.into(),
        scenario: SCENARIO.into(),
        name: name.into(),
        unit,
        value,
        labels: Default::default(),
        samples: None,
        source: source.into(),
    }));
}

fn finish(sink: &CellSink, outcome: Outcome, reason: Option<String>) {
    sink.emit(EventKind::ScenarioFinished {
        suite: SUITE.into(),
        scenario: SCENARIO.into(),
        outcome,
        reason,
    });
}
