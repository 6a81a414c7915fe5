//! The inside of a cell: samples, phases, findings.

use reports::event::{CellSpec, EventKind};
use reports::metric::{Metric, Unit};
use reports::outcome::Outcome;

use super::{Journal, MIB, check, latency, measurement};

/// Phases of a cell: name, seconds since its start, target working set in MiB, CPU demand in milli-CPU.
const PHASES: [(&str, &str, f64, f64, f64); 8] = [
    ("footprint", "cold_start/exec", 0.0, 120.0, 1000.0),
    ("footprint", "cold_start/ready", 4.0, 330.0, 1000.0),
    ("footprint", "idle", 9.0, 350.0, 90.0),
    ("conformance", "conformance", 19.0, 370.0, 420.0),
    ("datastore", "mix/clients=1", 25.0, 385.0, 500.0),
    ("datastore", "mix/clients=4", 29.0, 410.0, 860.0),
    ("datastore", "mix/clients=16", 33.0, 440.0, 1000.0),
    ("footprint", "hold", 38.0, 420.0, 110.0),
];

/// One cell from start to `until` seconds; `scale` is how heavy its datastore is.
pub fn cell(
    j: &mut Journal,
    id: &str,
    spec: CellSpec,
    from_ms: f64,
    scale: f64,
    until: f64,
) -> f64 {
    j.push(from_ms, Some(id), EventKind::CellStarted(spec));
    let (mut set, mut cpu, mut throttled, mut peak) = (20.0, 0.0, 0.0, 0.0f64);
    let mut open: Option<&str> = None;
    let steps = (until * 4.0) as u32;
    for step in 0..=steps {
        let at = f64::from(step) / 4.0;
        let now = from_ms + at * 1000.0;
        let phase = PHASES.iter().rev().find(|p| p.2 <= at).unwrap();
        if open != Some(phase.1) {
            if let Some(name) = open {
                j.push(now, Some(id), EventKind::PhaseEnded { phase: name.into() });
            }
            open = Some(phase.1);
            let (suite, phase) = (phase.0.to_owned(), phase.1.to_owned());
            j.push(now, Some(id), EventKind::PhaseStarted { suite, phase });
        }
        set += (phase.3 * scale - set) * 0.15 + (j.noise() - 0.5) * 6.0;
        cpu += phase.4 * (0.85 + 0.15 * j.noise()) * 250.0;
        throttled += if phase.4 > 900.0 { 2.0 } else { 0.0 };
        let usage = set * 1.05 + at * 0.2;
        peak = peak.max(usage + 7.0);
        let readings = vec![
            (Metric::WorkingSet, (set * MIB).round()),
            (Metric::Anon, (set * 0.78 * MIB).round()),
            (Metric::Usage, (usage * MIB).round()),
            (Metric::Peak, (peak * MIB).round()),
            (Metric::CpuUsed, cpu.round()),
            (Metric::CpuPeriods, f64::from(step) * 2.5),
            (Metric::CpuThrottledPeriods, throttled),
        ];
        j.push(
            now,
            Some(id),
            EventKind::Sample {
                source: "cgroup-v2".into(),
                readings,
            },
        );
    }
    let end = from_ms + until * 1000.0;
    if let Some(name) = open {
        j.push(end, Some(id), EventKind::PhaseEnded { phase: name.into() });
    }
    end
}

/// What a healthy cell reports besides its samples.
pub fn findings(j: &mut Journal, id: &str, at: f64, scale: f64, fail: bool) {
    let mut say = |kind| j.push(at, Some(id), kind);
    for nth in 0..30 {
        let area = ["discovery", "configmap", "watch", "lists", "patch"][nth % 5];
        let finding = match nth {
            12 if fail => check(
                "lists/continue-is-consistent",
                Outcome::Failed,
                Some("expected remainingItemCount 12, saw 11"),
            ),
            20 | 21 => check(
                &format!("{area}/needs-kubelet-{nth}"),
                Outcome::Skipped,
                Some("no kubelet on target native"),
            ),
            _ => check(&format!("{area}/holds-{nth}"), Outcome::Passed, None),
        };
        say(EventKind::Check(finding));
    }
    for clients in [1u32, 4, 16] {
        for (operation, cost) in [
            ("create", 1.0),
            ("update", 1.1),
            ("list", 2.5),
            ("delete", 0.9),
        ] {
            let typical = 900.0 * cost * scale * f64::from(clients).powf(0.7);
            let count = (3600.0 * f64::from(clients).powf(0.4) / cost / scale) as u64;
            say(EventKind::Latency(latency(
                operation, clients, typical, count,
            )));
        }
    }
    for m in [
        measurement(
            "cold_start",
            "time_to_listening",
            Unit::Milliseconds,
            2410.0 * scale,
        ),
        measurement(
            "cold_start",
            "exec_to_ready",
            Unit::Milliseconds,
            7280.0 * scale,
        ),
        measurement(
            "cold_start",
            "time_to_first_write",
            Unit::Milliseconds,
            7910.0 * scale,
        ),
        measurement("idle", "working_set", Unit::Bytes, 352.0 * MIB * scale),
        measurement("idle", "cpu", Unit::MilliCpu, 91.0 * scale),
        measurement(
            "load",
            "working_set_per_1000_objects",
            Unit::Bytes,
            6.4 * MIB * scale,
        ),
    ] {
        say(EventKind::Measurement(m));
    }
    for (suite, scenario) in [
        ("footprint", "cold_start"),
        ("footprint", "idle"),
        ("datastore", "mix"),
    ] {
        say(EventKind::ScenarioFinished {
            suite: suite.into(),
            scenario: scenario.into(),
            outcome: Outcome::Passed,
            reason: None,
        });
    }
}
