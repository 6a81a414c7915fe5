//! The journal's events: everything that a run tells, in the order in which it happened.
//!
//! One event is one line of `events.jsonl`. Times are monotonic milliseconds since the run started;
//! the wall clock appears once, in [`EventKind::RunStarted`], so that a clock that steps back harms nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::budget::Budget;
pub use crate::evidence::{AgentEvidence, BudgetEvidence};
use crate::histories::HistoryNamed;
use crate::metric::{Metric, Unit};
pub use crate::observer::Observer;
use crate::official::OfficialList;
use crate::outcome::Outcome;
use crate::statement::Statement;

/// The version of the journal's and the record's schema. Raised with every change that an old reader could misread.
pub const SCHEMA_VERSION: u32 = 3;

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Monotonic milliseconds since the run started.
    pub at_ms: f64,
    /// The cell it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cell: Option<String>,
    /// What happened.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The first event of each journal.
    RunStarted(RunStarted),
    /// A cell's provisioning begins.
    CellStarted(CellSpec),
    /// Something that a reader must know: shown in every report.
    Warning {
        /// One or more sentences.
        message: String,
    },
    /// A labelled interval begins.
    PhaseStarted {
        /// The suite.
        suite: String,
        /// Unique within its cell, such as `cold_start/boot`.
        phase: String,
    },
    /// A labelled interval ends.
    PhaseEnded {
        /// The name it started with.
        phase: String,
    },
    /// One reading of one source.
    Sample {
        /// Where it was read, such as `cgroup-v1`, `process:k3s-server`, `observer`.
        source: String,
        /// Metric and value, in the metric's unit.
        readings: Vec<(Metric, f64)>,
    },
    /// The official names that apply to the server, told before the checks run.
    Official(OfficialList),
    /// One check's finding.
    Check(CheckFinding),
    /// One figure.
    Measurement(Measurement),
    /// A latency distribution.
    Latency(Latency),
    /// How fast the disk is that holds the server's data, told before the first scenario that works on it.
    DiskProbe(DiskProbe),
    /// What a scenario states of the server.
    Statement(Statement),
    /// A history is about to be recorded beside the journal; told before its first operation.
    History(HistoryNamed),
    /// How the budget was enforced and what the kernel says of it.
    BudgetEvidence(BudgetEvidence),
    /// A scenario's end.
    ScenarioFinished {
        /// The suite.
        suite: String,
        /// The scenario.
        scenario: String,
        /// Its class: `Passed` means that it measured what it set out to measure.
        outcome: Outcome,
        /// Why, where it is not passed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The server told its version, which was not known before it ran.
    VersionTold {
        /// Such as `v1.36.3+k3s1`.
        version: String,
    },
    /// A process of the system under test ended when nobody asked it to.
    ServerDied {
        /// How it ended, such as `killed by signal 9 (OOM)`.
        how: String,
        /// The last lines of its log, capped, secrets redacted.
        log_tail: String,
    },
    /// What remained after the cell was destroyed; empty is good.
    Leftovers {
        /// One line each.
        items: Vec<String>,
    },
    /// The cell's end.
    CellFinished {
        /// The worst outcome of what ran in it.
        outcome: Outcome,
        /// Why, where it could not be provisioned or measured, or was skipped.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The last event of a journal that was closed in order.
    RunFinished {
        /// Whether a signal cut it short.
        interrupted: bool,
        /// What the instrument itself used.
        observer: Observer,
    },
}

/// The start of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunStarted {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema: u32,
    /// The run's id, also the name of its folder.
    pub run: String,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// assay's own version.
    pub assay: String,
    /// The command line, secrets redacted.
    pub command: Vec<String>,
    /// The suites asked for.
    pub suites: Vec<String>,
    /// The host.
    pub host: Host,
}

/// The host as probed once.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Host {
    /// Kernel release.
    pub kernel: String,
    /// `x86_64`, `aarch64`, …
    pub arch: String,
    /// Processor model.
    pub cpu: String,
    /// Number of CPUs that assay may use.
    pub cpus: u32,
    /// Total memory in bytes.
    pub memory_bytes: u64,
    /// `v1`, `v2`, `hybrid` or `none`.
    pub cgroups: String,
    /// Whether it ran as root.
    pub root: bool,
    /// Further facts, such as the file system of the state folder.
    #[serde(default)]
    pub facts: BTreeMap<String, String>,
}

/// What a cell is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellSpec {
    /// `native`, …
    pub target: String,
    /// `k3s`, `reference`, …
    pub distribution: String,
    /// The version that the distribution reports or that was asked for.
    pub version: String,
    /// `sqlite`, `etcd`.
    pub datastore: String,
    /// Which repeat of its cell it is, counted from 0: the same work on a fresh server, so that a figure has a spread.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub repeat: u32,
    /// How much of Kubernetes it runs: `control-plane` or `node`. Empty in journals from before there was a choice.
    #[serde(default)]
    pub shape: String,
    /// Variables that the server gets besides its own, such as `GOGC=40`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// The machine that it runs on, such as `arm64`, where it is known.
    #[serde(default)]
    pub arch: Option<String>,
    /// Whether it ran under an emulator: then no wall time of it is a performance figure.
    #[serde(default)]
    pub emulated: bool,
    /// The budget.
    pub budget: Budget,
    /// Whether it is the built-in specimen, whose figures say nothing about K3s.
    pub specimen: bool,
    /// Where its binaries come from and their SHA-256, by name.
    #[serde(default)]
    pub artifacts: BTreeMap<String, String>,
    /// The server's command line, secrets redacted.
    #[serde(default)]
    pub command: Vec<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

/// The finding of one check.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CheckFinding {
    /// The suite, `conformance`.
    pub suite: String,
    /// `area/what-is-true`.
    pub id: String,
    /// One sentence.
    pub title: String,
    /// Official tests to which it is bound, by tag-stripped name; the cell's list tells how.
    #[serde(default)]
    pub official: Vec<String>,
    /// Its class.
    pub outcome: Outcome,
    /// Why, where it is not passed: expected, seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many facts it examined; zero is never a pass.
    pub facts: u64,
    /// Wall time, milliseconds.
    pub took_ms: f64,
    /// Requests and responses that show a failure, capped, secrets redacted.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// The figure's name in snake case, without its unit.
    pub name: String,
    /// Its unit.
    pub unit: Unit,
    /// Its value in that unit.
    pub value: f64,
    /// What it is a figure of, such as `operation=create`, `clients=16`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// How many samples stand behind it, where it is a statistic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Where it was read or how it was made, in a few words.
    pub source: String,
}

/// A latency distribution: the non-empty buckets of an HDR histogram.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// `create`, `update`, `list`, `delete`, …
    pub operation: String,
    /// Further labels, such as `clients=16`.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Number of successful operations.
    pub count: u64,
    /// Number of failed operations; their latencies are not in the buckets.
    pub errors: u64,
    /// Length of the interval, milliseconds.
    pub interval_ms: f64,
    /// Upper bound of the bucket in microseconds, and its count; ascending.
    pub buckets: Vec<(u64, u64)>,
    /// Exact smallest value, microseconds.
    pub min_us: u64,
    /// Exact greatest value, microseconds.
    pub max_us: u64,
}

/// How fast the very folder that holds a server's data makes writes durable: a fact of the place, not of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DiskProbe {
    /// Bytes of each write; the 2,300 of the recipe that etcd's documents give for fio.
    pub write_bytes: u64,
    /// The times of a write with its fdatasync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// Why there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_probed_because: Option<String>,
}
