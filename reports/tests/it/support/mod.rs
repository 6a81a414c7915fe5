//! Hand-made journals: plausible runs, written by a deterministic generator.

use std::collections::BTreeMap;

use reports::budget::Budget;
use reports::event::{
    BudgetEvidence, CellSpec, CheckFinding, Event, EventKind, Host, Latency, Measurement, Observer,
    RunStarted, SCHEMA_VERSION,
};
use reports::metric::{Metric, Unit};
use reports::outcome::Outcome;
use reports::record::RunRecord;

mod cells;
mod stores;

pub use cells::{cell, findings};
pub use stores::stores;

pub const MIB: f64 = 1024.0 * 1024.0;

/// A journal in the making.
pub struct Journal {
    pub events: Vec<Event>,
    noise: u32,
}

impl Journal {
    pub fn new(run: &str) -> Self {
        let started = RunStarted {
            schema: SCHEMA_VERSION,
            run: run.into(),
            started_at: "2026-11-22T02:15:00Z".into(),
            assay: "0.1.0".into(),
            command: ["assay", "suite", "all", "--distribution", "k3s"]
                .map(str::to_owned)
                .into(),
            suites: ["conformance", "datastore", "footprint"]
                .map(str::to_owned)
                .into(),
            host: Host {
                kernel: "6.1.0-29-amd64".into(),
                arch: "x86_64".into(),
                cpu: "AMD EPYC 7B13".into(),
                cpus: 2,
                memory_bytes: 8 << 30,
                cgroups: "v2".into(),
                root: true,
                facts: [("state file system".to_owned(), "ext4".to_owned())].into(),
            },
        };
        let mut journal = Self {
            events: Vec::new(),
            noise: 7,
        };
        journal.push(0.0, None, EventKind::RunStarted(started));
        journal
    }

    pub fn push(&mut self, at_ms: f64, cell: Option<&str>, kind: EventKind) {
        self.events.push(Event {
            at_ms,
            cell: cell.map(str::to_owned),
            kind,
        });
    }

    /// A number from 0 to 1; a linear congruential generator, so that journals never change by themselves.
    pub fn noise(&mut self) -> f64 {
        self.noise = self
            .noise
            .wrapping_mul(1_664_525)
            .wrapping_add(1_013_904_223);
        f64::from(self.noise >> 8) / f64::from(1 << 24)
    }

    pub fn finish(&mut self, at_ms: f64) {
        let observer = Observer {
            cpu_ms: 2140.0,
            max_rss_bytes: 31 << 20,
            sampler_cpu_ms: 61.0,
            sampler_wall_ms: 92_000.0,
            samples: 1410,
            settled_cpu_ms: 44.0,
            settled_wall_ms: 88_000.0,
            worst_lateness_ms: 4.2,
        };
        self.push(
            at_ms,
            None,
            EventKind::RunFinished {
                interrupted: false,
                observer,
            },
        );
    }

    pub fn text(&self) -> String {
        self.events
            .iter()
            .map(|e| serde_json::to_string(e).unwrap() + "\n")
            .collect()
    }

    pub fn record(&self) -> RunRecord {
        let mut run = RunRecord::from_journal(&self.text()).unwrap();
        reports::judge(&mut run);
        run
    }
}

pub fn spec(distribution: &str, datastore: &str, budget: Budget) -> CellSpec {
    let specimen = distribution == "reference";
    CellSpec {
        target: "native".into(),
        distribution: distribution.into(),
        version: if specimen { "0.1.0" } else { "v1.36.3+k3s1" }.into(),
        datastore: datastore.into(),
        repeat: 0,
        shape: "control-plane".into(),
        env: BTreeMap::new(),
        arch: Some("amd64".into()),
        emulated: false,
        budget,
        specimen,
        artifacts: BTreeMap::from([(
            distribution.to_owned(),
            "cache, sha256 2f98a9f8fe5782479ee2d54e70a1b10a7f6fd4cae8d38ed3098452dc6eed76b5"
                .to_owned(),
        )]),
        command: [
            distribution,
            "server",
            "--disable-agent",
            "--data-dir",
            "/run/assay/x y",
        ]
        .map(str::to_owned)
        .into(),
    }
}

pub fn evidence(peak_mib: f64) -> BudgetEvidence {
    BudgetEvidence {
        enforced: true,
        not_enforced_because: None,
        memory_limit_bytes: Some(512 << 20),
        cpu_limit_milli: Some(1000),
        peak_bytes: Some((peak_mib * MIB) as u64),
        oom_kills: Some(0),
        limit_hits: 0,
        throttled_share: Some(0.183),
        stayed_in_cgroup: true,
        restarts: 0,
        serving_after_hold: Some(true),
        hold_ms: 10_000.0,
        machine: false,
        thrashed: None,
    }
}

pub fn check(id: &str, outcome: Outcome, reason: Option<&str>) -> CheckFinding {
    CheckFinding {
        suite: "conformance".into(),
        id: id.into(),
        title: format!("What {} promises holds", id.replace(['/', '-'], " ")),
        official: vec![format!(
            "[sig-api-machinery] {id} should work [Conformance]"
        )],
        outcome,
        reason: reason.map(str::to_owned),
        facts: if outcome == Outcome::Passed || outcome == Outcome::Failed {
            4
        } else {
            0
        },
        took_ms: 41.5,
        evidence: if outcome == Outcome::Failed {
            vec!["GET /api/v1/namespaces/a/configmaps?limit=5\n200 OK\n{\"metadata\":{}}".into()]
        } else {
            Vec::new()
        },
    }
}

pub fn measurement(scenario: &str, name: &str, unit: Unit, value: f64) -> Measurement {
    Measurement {
        suite: "footprint".into(),
        scenario: scenario.into(),
        name: name.into(),
        unit,
        value,
        labels: BTreeMap::new(),
        samples: None,
        source: "journal".into(),
    }
}

/// A skewed distribution around `typical_us` with `count` operations.
pub fn latency(operation: &str, clients: u32, typical_us: f64, count: u64) -> Latency {
    let mut buckets = Vec::new();
    let mut counted = 0;
    for step in 0..60 {
        let z = f64::from(step) / 10.0 - 2.0;
        let upper = (typical_us * (z * 0.55).exp()) as u64;
        let share = (-(z * z) / 2.0).exp() / 25.0;
        let n = (share * count as f64) as u64;
        if n > 0 {
            buckets.push((upper, n));
            counted += n;
        }
    }
    buckets.push(((typical_us * 9.0) as u64, 1));
    Latency {
        suite: "datastore".into(),
        scenario: "mix".into(),
        operation: operation.into(),
        labels: [("clients".to_owned(), clients.to_string())].into(),
        count: counted + 1,
        errors: u64::from(clients > 8),
        interval_ms: 4000.0,
        min_us: buckets[0].0,
        max_us: (typical_us * 9.0) as u64,
        buckets,
    }
}

fn whole_cell(
    j: &mut Journal,
    distribution: &str,
    store: &str,
    from: f64,
    scale: f64,
    fail: bool,
) -> f64 {
    let id = format!("native-{distribution}-{store}-edge");
    let end = cell(
        j,
        &id,
        spec(distribution, store, Budget::edge()),
        from,
        scale,
        46.0,
    );
    findings(j, &id, end, scale, fail);
    j.push(
        end,
        Some(&id),
        EventKind::BudgetEvidence(evidence(479.0 * scale)),
    );
    j.push(end, Some(&id), EventKind::Leftovers { items: Vec::new() });
    let outcome = if fail {
        Outcome::Failed
    } else {
        Outcome::Passed
    };
    let reason = fail.then(|| "a check failed".to_owned());
    j.push(
        end + 500.0,
        Some(&id),
        EventKind::CellFinished { outcome, reason },
    );
    end + 500.0
}

/// K3s on SQLite and on etcd; one check fails on etcd.
pub fn pair() -> Journal {
    let mut j = Journal::new("20261122T021500Z-k3s1");
    let message = "CPU frequency scaling is on; times vary with it".into();
    j.push(1.0, None, EventKind::Warning { message });
    let end = whole_cell(&mut j, "k3s", "sqlite", 120.0, 1.0, false);
    let end = whole_cell(&mut j, "k3s", "etcd", end + 100.0, 1.06, true);
    j.finish(end + 10.0);
    j
}

/// The specimen on both datastores, all passed.
pub fn specimen() -> Journal {
    let mut j = Journal::new("20261122T021500Z-spec");
    let end = whole_cell(&mut j, "reference", "sqlite", 80.0, 0.2, false);
    let end = whole_cell(&mut j, "reference", "etcd", end + 100.0, 0.3, false);
    j.finish(end + 10.0);
    j
}

/// K3s under 128 MiB: killed by the OOM killer, its later checks errored.
pub fn oom() -> Journal {
    let mut j = Journal::new("20261122T021500Z-oom1");
    let id = "native-k3s-sqlite-128Mi";
    let budget: Budget = "128Mi/1".parse().unwrap();
    let end = cell(&mut j, id, spec("k3s", "sqlite", budget), 90.0, 0.33, 6.5);
    let readings = vec![(Metric::OomKills, 1.0), (Metric::Usage, 127.0 * MIB)];
    j.push(
        end,
        Some(id),
        EventKind::Sample {
            source: "cgroup-v2".into(),
            readings,
        },
    );
    let how = "killed by signal 9 (OOM)".into();
    let log_tail = "level=info msg=\"Running kube-apiserver\"\nKilled".into();
    j.push(
        end + 20.0,
        Some(id),
        EventKind::ServerDied { how, log_tail },
    );
    let refused = "failed to list: connection refused";
    for id_of in ["discovery/groups", "watch/delivers"] {
        let finding = check(id_of, Outcome::Errored, Some(refused));
        j.push(end + 40.0, Some(id), EventKind::Check(finding));
    }
    for suite in ["datastore", "footprint"] {
        j.push(
            end + 50.0,
            Some(id),
            EventKind::ScenarioFinished {
                suite: suite.into(),
                scenario: "mix".into(),
                outcome: Outcome::Errored,
                reason: Some("the server died".into()),
            },
        );
    }
    let mut evidence = evidence(128.0);
    evidence.memory_limit_bytes = Some(128 << 20);
    evidence.oom_kills = Some(1);
    evidence.limit_hits = 311;
    evidence.restarts = 1;
    evidence.serving_after_hold = Some(false);
    j.push(end + 60.0, Some(id), EventKind::BudgetEvidence(evidence));
    j.push(
        end + 70.0,
        Some(id),
        EventKind::Leftovers { items: Vec::new() },
    );
    let reason = Some("the server died during cold_start".into());
    j.push(
        end + 80.0,
        Some(id),
        EventKind::CellFinished {
            outcome: Outcome::Errored,
            reason,
        },
    );
    j.finish(end + 90.0);
    j
}

/// The pair, cut by `kill -9` in the middle of a line.
pub fn torn() -> String {
    let text = pair().text();
    let cut = text.len() * 7 / 10;
    let cut = text[..cut].rfind("readings").unwrap() + 20;
    text[..cut].to_owned()
}
