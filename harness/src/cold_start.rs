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
pub fn record(cluster: &dyn Cluster, sink: &CellSink, ready: &Ready, boot: &PhaseSamples) {
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
    for milestone in &ready.milestones {
        if let Some(counted) = milestone.counted {
            count(sink, word(milestone.condition), counted);
        }
    }
    machine(cluster, sink);
    finish(sink, Outcome::Passed, None);
}

/// Records that there was no cold start, and why; and how fast a restored server was back, which is another figure.
pub fn skip(cluster: &dyn Cluster, sink: &CellSink, ready: &Ready, why: &str) {
    if cluster.restored() {
        milestones(cluster, sink, ready, "restore");
    }
    machine(cluster, sink);
    finish(sink, Outcome::Skipped, Some(why.to_owned()));
}

/// The time from the server's start, or from its machine's restoring, to each condition of readiness.
fn milestones(cluster: &dyn Cluster, sink: &CellSink, ready: &Ready, from: &str) {
    for milestone in &ready.milestones {
        let to = word(milestone.condition);
        let took = milestone.at.saturating_duration_since(cluster.started());
        measure(
            sink,
            &format!("{from}_to_{to}"),
            Unit::Milliseconds,
            took.as_secs_f64() * 1e3,
            "polled from outside",
        );
    }
}

fn word(condition: ReadyWhen) -> &'static str {
    match condition {
        ReadyWhen::Listening => "listening",
        ReadyWhen::Http200(_) => "ready",
        ReadyWhen::FirstWrite => "first_write",
        ReadyWhen::Controllers => "controllers",
        ReadyWhen::Node => "node",
        ReadyWhen::Agents => "agents",
        ReadyWhen::FirstPod => "first_pod",
    }
}

/// What a start has cost a machine that counts its instructions, up to one condition.
fn count(sink: &CellSink, to: &str, counted: Counted) {
    measure(
        sink,
        &format!("exec_to_{to}_counted"),
        Unit::Milliseconds,
        counted.clock.as_secs_f64() * 1e3,
        "the guest's clock, which counts instructions: virtual time, no machine's",
    );
    measure(
        sink,
        &format!("instructions_until_{to}"),
        Unit::Count,
        counted.instructions as f64,
        &format!(
            "CPU accounting of the server's cgroup, one instruction a nanosecond; {} draws of prime candidates were the \
             same as in each run",
            counted.fixed_draws
        ),
    );
}

/// How long the machine itself took, before there was a server in it.
fn machine(cluster: &dyn Cluster, sink: &CellSink) {
    let Some(boot) = cluster.boot() else {
        return;
    };
    let (name, what) = match boot.restored {
        true => ("restore_to_agent", "the machine's memory was restored"),
        false => ("boot", "the machine booted"),
    };
    let until = "from the emulator's execution to the first answer of the agent in the guest";
    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    measure(
        sink,
        name,
        Unit::Milliseconds,
        milliseconds(boot.wall),
        &format!("{until}; {what}"),
    );
    if let Some(cpu) = boot.cpu {
        measure(
            sink,
            &format!("{name}_emulator_cpu"),
            Unit::Milliseconds,
            milliseconds(cpu),
            &format!("CPU time of the emulator {until}; {what}"),
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
