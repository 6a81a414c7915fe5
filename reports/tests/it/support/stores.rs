//! A comparison of datastores with repeats: what the scenarios of the suite `datastore` record.

use std::collections::BTreeMap;

use reports::budget::Budget;
use reports::event::{DiskProbe, EventKind, Latency, Measurement};
use reports::metric::{Metric, Unit};
use reports::outcome::Outcome;
use reports::repeats;

use super::{Journal, MIB, evidence, latency, spec};

fn labelled(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect()
}

fn times(
    scenario: &str,
    operation: &str,
    labels: &[(&str, &str)],
    typical_us: f64,
    count: u64,
) -> EventKind {
    EventKind::Latency(Latency {
        scenario: scenario.into(),
        labels: labelled(labels),
        errors: 0,
        ..latency(operation, 1, typical_us, count)
    })
}

fn figure(
    scenario: &str,
    name: &str,
    unit: Unit,
    value: f64,
    labels: &[(&str, &str)],
) -> EventKind {
    EventKind::Measurement(Measurement {
        suite: "datastore".into(),
        scenario: scenario.into(),
        name: name.into(),
        unit,
        value,
        labels: labelled(labels),
        samples: None,
        source: "journal".into(),
    })
}

/// What one server recorded; `cost` is how dear its writes are.
fn one(j: &mut Journal, id: &str, store: &str, at: f64, cost: f64, first: bool) {
    let by = cost * (1.0 + (j.noise() - 0.5) * 0.08);
    let mut all = Vec::new();
    let mut probe = latency(
        "fdatasync",
        1,
        1700.0 * (1.0 + (j.noise() - 0.5) * 0.1),
        500,
    );
    probe.labels.clear();
    all.push(EventKind::DiskProbe(DiskProbe {
        write_bytes: 2300,
        latency: Some(probe),
        not_probed_because: None,
    }));
    for (level, dearer) in [("datastore", 1.0), ("api", 2.5)] {
        for clients in ["1", "16", "64"] {
            let n: f64 = clients.parse().unwrap();
            let labels = [("level", level), ("loop", "closed"), ("clients", clients)];
            let count = (4000.0 * n.powf(0.35) / by / dearer) as u64;
            all.push(times(
                "write_ladder",
                "write",
                &labels,
                900.0 * by * dearer * n.powf(0.7),
                count,
            ));
        }
        let knee = 2000.0 / by / dearer;
        all.push(figure(
            "write_ladder",
            "knee",
            Unit::PerSecond,
            knee,
            &[("level", level)],
        ));
        for share in [0.25, 0.5, 0.75, 1.0, 1.25] {
            let rate = format!("{:.0}", 2000.0 / cost / dearer * share);
            let labels = [("level", level), ("loop", "open"), ("rate", rate.as_str())];
            let slower = 1.0 + f64::powf(share, 6.0) * 4.0;
            let achieved = (knee * share).min(knee * 1.02);
            let mut kind = times(
                "write_ladder",
                "write",
                &labels,
                900.0 * by * dearer * slower,
                (achieved * 4.0) as u64,
            );
            if let EventKind::Latency(l) = &mut kind {
                l.errors = if share > 1.0 { l.count / 50 } else { 0 };
            }
            all.push(kind);
        }
    }
    all.push(figure(
        "write_ladder",
        "written_per_write",
        Unit::Bytes,
        9000.0 * by,
        &[],
    ));
    if store == "etcd" {
        all.push(figure(
            "write_ladder",
            "fsyncs_per_write",
            Unit::Ratio,
            1.02,
            &[],
        ));
    }
    let mut scenarios = vec!["write_ladder"];
    if first {
        for delay in ["0", "10", "50", "250"] {
            let ms: f64 = delay.parse().unwrap();
            all.push(times(
                "fault_slow_fsync",
                "write",
                &[("delay_ms", delay)],
                900.0 * by + ms * 1000.0 * (cost - 0.9),
                400,
            ));
        }
        for cycle in 1..=5 {
            let n = cycle.to_string();
            let size = (20.0 + 3.0 * f64::from(cycle)) * MIB * by;
            all.push(figure(
                "compaction",
                "database_size",
                Unit::Bytes,
                size,
                &[("cycle", &n)],
            ));
            all.push(figure(
                "compaction",
                "log_size",
                Unit::Bytes,
                4.2 * MIB * by,
                &[("cycle", &n)],
            ));
        }
        for fault in ["fault_kill", "fault_freeze"] {
            for (stop, ms) in [
                ("recovery_first_write", 3100.0),
                ("recovery_ready", 4800.0),
                ("recovery_watch", 5200.0),
            ] {
                all.push(figure(fault, stop, Unit::Milliseconds, ms * by, &[]));
            }
            all.push(figure(fault, "acknowledged_lost", Unit::Count, 0.0, &[]));
            scenarios.push(fault);
        }
        scenarios.extend(["fault_slow_fsync", "compaction"]);
    }
    for kind in all {
        j.push(at + 9000.0, Some(id), kind);
    }
    for scenario in scenarios {
        j.push(
            at + 9000.0,
            Some(id),
            EventKind::ScenarioFinished {
                suite: "datastore".into(),
                scenario: scenario.into(),
                outcome: Outcome::Passed,
                reason: None,
            },
        );
    }
    if first {
        let reason = Some("this host has no loop devices".to_owned());
        j.push(
            at + 9000.0,
            Some(id),
            EventKind::ScenarioFinished {
                suite: "datastore".into(),
                scenario: "fault_disk_full".into(),
                outcome: Outcome::Skipped,
                reason,
            },
        );
    }
}

fn server(j: &mut Journal, store: &str, repeat: u32, at: f64, cost: f64) {
    let id = repeats::id(&format!("native-k3s-{store}-edge"), repeat);
    let mut spec = spec("k3s", store, Budget::edge());
    spec.repeat = repeat;
    j.push(at, Some(&id), EventKind::CellStarted(spec));
    for (suite, phase, from, to) in [
        ("footprint", "idle/watch", 1000.0, 7000.0),
        ("datastore", "write_ladder/closed", 7000.0, 9000.0),
    ] {
        let (suite, phase) = (suite.to_owned(), phase.to_owned());
        j.push(
            at + from,
            Some(&id),
            EventKind::PhaseStarted {
                suite,
                phase: phase.clone(),
            },
        );
        for step in 0..=10 {
            let now = from + (to - from) * f64::from(step) / 10.0;
            let loaded = if from > 5000.0 { 90.0 } else { 0.0 };
            let readings = vec![
                (
                    Metric::WorkingSet,
                    (330.0 + loaded + 30.0 * cost + j.noise() * 5.0) * MIB,
                ),
                (Metric::IoWritten, (now * 11.0 * cost).round()),
            ];
            j.push(
                at + now,
                Some(&id),
                EventKind::Sample {
                    source: "cgroup-v2".into(),
                    readings,
                },
            );
        }
        j.push(at + to, Some(&id), EventKind::PhaseEnded { phase });
    }
    one(j, &id, store, at, cost, repeat == 0);
    j.push(
        at + 9100.0,
        Some(&id),
        EventKind::BudgetEvidence(evidence(470.0)),
    );
    j.push(
        at + 9200.0,
        Some(&id),
        EventKind::CellFinished {
            outcome: Outcome::Passed,
            reason: None,
        },
    );
}

/// K3s on SQLite and on etcd, five servers each in mirrored order.
pub fn stores() -> Journal {
    let mut j = Journal::new("20261123T021500Z-abba");
    for repeat in 0..5 {
        let mut order = [("sqlite", 1.0), ("etcd", 1.6)];
        if repeat % 2 == 1 {
            order.reverse();
        }
        for (nth, (store, cost)) in order.into_iter().enumerate() {
            let at = f64::from(repeat) * 20_000.0 + nth as f64 * 10_000.0 + 100.0;
            server(&mut j, store, repeat, at, cost);
        }
    }
    j.finish(110_000.0);
    j
}
