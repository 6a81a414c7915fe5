//! The figures that gates and reports have in common, read from a cell in one way.

use std::collections::BTreeMap;

use crate::event::{BudgetEvidence, CheckFinding};
use crate::format;
use crate::metric::{Metric, Unit};
use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};
use crate::stats;

/// A cell's peak and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub struct Peak {
    /// Bytes.
    pub bytes: f64,
    /// Where it was read.
    pub source: PeakSource,
}

/// Where a peak was read, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PeakSource {
    /// The kernel's high-water mark of the cgroup: nothing between two samples escapes it.
    Kernel,
    /// The greatest sampled use of a whole machine, its kernel's own included: spikes between samples are missed.
    SampledMachine,
    /// The greatest sampled usage of the cgroup: spikes between samples are missed.
    SampledUsage,
    /// The kernel's high-water marks of the resident sets of the processes that were left at the end, added up: those
    /// that ended before are missing, pages that several share count for each, and so do peaks at different moments.
    ResidentPeaks,
    /// The greatest sampled resident sets, added over processes: page cache and kernel memory are not in it.
    SampledRss,
}

impl PeakSource {
    /// In words, for a sentence or a table.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Kernel => "kernel peak",
            Self::SampledMachine => "greatest sampled use of the whole machine",
            Self::SampledUsage => "greatest sampled usage",
            Self::ResidentPeaks => "peaks of the resident sets of the last processes, added up,",
            Self::SampledRss => "greatest sampled RSS of the processes",
        }
    }
}

/// The name prefix of the sampler that reads the instrument itself.
pub const OBSERVER: &str = "observer";

/// The name prefix of samples of one process.
const PROCESS: &str = "process:";

impl CellRecord {
    /// The peak from the best source there is; `None` without any data.
    #[must_use]
    pub fn peak(&self) -> Option<Peak> {
        let evidence = self.budget.as_ref().and_then(|b| b.peak_bytes);
        // A cell that died left no evidence; its samples are of its own cgroup.
        let of_a_cgroup = self.budget.as_ref().is_none_or(BudgetEvidence::of_a_cgroup);
        let marks = evidence.map(|bytes| bytes as f64).into_iter();
        let kernel = stats::greatest(marks.chain(self.greatest(Metric::Peak)));
        let found = |bytes, source| Some(Peak { bytes, source });
        if self.budget.as_ref().is_some_and(|b| b.machine) {
            return found(evidence? as f64, PeakSource::SampledMachine);
        }
        if let Some(bytes) = kernel.filter(|b| of_a_cgroup && *b > 0.0) {
            return found(bytes, PeakSource::Kernel);
        }
        let rss = self.sampled_rss();
        let marks = evidence.map(|bytes| bytes as f64);
        // Processes that have ended are in the samples alone.
        if let Some(marks) = marks.filter(|marks| *marks > 0.0 && *marks >= rss) {
            return found(marks, PeakSource::ResidentPeaks);
        }
        if let Some(bytes) = self.greatest(Metric::Usage).filter(|b| *b > 0.0) {
            return found(bytes, PeakSource::SampledUsage);
        }
        (rss > 0.0)
            .then_some(rss)
            .and_then(|bytes| found(bytes, PeakSource::SampledRss))
    }

    /// The greatest sampled resident sets of the whole tree of processes, else of each process, added up; bytes.
    fn sampled_rss(&self) -> f64 {
        let sum = |single: bool| -> f64 {
            self.own_series(Metric::Rss)
                .filter(|s| s.source.starts_with(PROCESS) == single)
                .filter_map(|s| stats::greatest(s.points.iter().map(|p| p.1)))
                .sum()
        };
        Some(sum(false))
            .filter(|tree| *tree > 0.0)
            .unwrap_or_else(|| sum(true))
    }

    /// The greatest sampled value of a metric of the system under test.
    #[must_use]
    pub fn greatest(&self, metric: Metric) -> Option<f64> {
        stats::greatest(
            self.own_series(metric)
                .flat_map(|s| s.points.iter().map(|p| p.1)),
        )
    }

    /// The series of a metric that belong to the system under test, not to the observer.
    pub fn own_series(&self, metric: Metric) -> impl Iterator<Item = &crate::record::Series> {
        self.series
            .iter()
            .filter(move |s| s.metric == metric && !s.source.starts_with(OBSERVER))
    }

    /// The best source of a metric: the own series with the most points, a cgroup's before a process's.
    #[must_use]
    pub fn best_series(&self, metric: Metric) -> Option<&crate::record::Series> {
        self.own_series(metric)
            .max_by_key(|s| (!s.source.starts_with("process"), s.points.len()))
            .filter(|s| !s.points.is_empty())
    }

    /// OOM kills from the evidence and from the samples, whichever knows of more: a cell that died never
    /// wrote its evidence. `None`: nobody counted them to the end.
    #[must_use]
    pub fn oom_kills(&self) -> Option<u64> {
        let sampled = self
            .greatest(Metric::OomKills)
            .map(|kills| kills.max(0.0) as u64);
        match &self.budget {
            // The last sample comes before the end.
            Some(evidence) if evidence.enforced && evidence.oom_kills.is_none() => {
                sampled.filter(|kills| *kills > 0)
            }
            Some(evidence) => evidence.oom_kills.max(sampled),
            None => sampled,
        }
    }

    /// Whether the kernel is known to have killed for memory.
    #[must_use]
    pub fn was_oom_killed(&self) -> bool {
        self.oom_kills() > Some(0)
    }

    /// Unasked ends of the server from the evidence and from the journal, whichever knows of more.
    #[must_use]
    pub fn unasked_ends(&self) -> u64 {
        let witnessed = self.deaths.len() as u64;
        self.budget
            .as_ref()
            .map_or(witnessed, |b| b.restarts.max(witnessed))
    }

    /// Time from the execution of a cold server to its first 200 of `/readyz` (`/health`, of a bare etcd), in milliseconds
    /// of wall time, with the number of starts behind it: their median. Neither a restored server's time nor that on a
    /// counting machine's own clock is one.
    #[must_use]
    pub fn time_to_ready(&self) -> Option<(f64, usize)> {
        let cold = self
            .measurements
            .iter()
            .filter(|m| m.scenario == "cold_start" && m.name == "exec_to_ready")
            .filter(|m| m.unit == Unit::Milliseconds && m.value.is_finite());
        let values: Vec<f64> = cold.map(|m| m.value).collect();
        Some((stats::median(&values)?, values.len()))
    }

    /// When the cell ended as far as the record tells, milliseconds since the run started.
    #[must_use]
    pub fn last_seen_ms(&self) -> f64 {
        let phases = self.phases.iter().map(|p| p.end_ms.unwrap_or(p.start_ms));
        let samples = self.series.iter().filter_map(|s| Some(s.points.last()?.0));
        stats::greatest(phases.chain(samples).chain(self.finished_ms))
            .unwrap_or(self.started_ms)
            .max(self.started_ms)
    }

    /// Whether anything at all was recorded that could be judged.
    #[must_use]
    pub fn examined_something(&self) -> bool {
        let checked = self.checks.iter().any(|c| c.outcome != Outcome::Skipped);
        checked || !self.measurements.is_empty() || self.latencies.iter().any(|l| l.count > 0)
    }

    /// Whether it was skipped as a whole, for a stated reason.
    #[must_use]
    pub fn skipped(&self) -> bool {
        self.outcome == Some(Outcome::Skipped) && !self.examined_something()
    }

    /// `k3s v1.36.3+k3s1, sqlite, edge, native`.
    #[must_use]
    pub fn title(&self) -> String {
        let spec = &self.spec;
        let mut parts = vec![format!("{} {}", spec.distribution, spec.version)];
        let node = if spec.shape == "node" { "node" } else { "" };
        let emulated = if spec.emulated { "emulated" } else { "" };
        for part in [
            &spec.datastore,
            node,
            &spec.budget.name,
            &format::pairs(&spec.env, " "),
            &spec.target,
            emulated,
        ] {
            if !part.is_empty() {
                parts.push(part.to_owned());
            }
        }
        parts.join(", ")
    }
}

impl CheckFinding {
    /// The outcome that counts: a check that examined no facts did not pass.
    #[must_use]
    pub fn counted(&self) -> Outcome {
        match self.outcome {
            Outcome::Passed if self.facts == 0 => Outcome::Errored,
            outcome => outcome,
        }
    }

    /// Why it did not pass, in one text.
    #[must_use]
    pub fn why(&self) -> &str {
        match &self.reason {
            Some(reason) if !reason.trim().is_empty() => reason,
            _ if self.outcome == Outcome::Passed && self.facts == 0 => {
                "it examined no facts, so it cannot have passed"
            }
            _ => "no reason was recorded",
        }
    }
}

/// How many of each outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tally {
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Skipped.
    pub skipped: usize,
    /// Errored.
    pub errored: usize,
}

impl Tally {
    /// Counts outcomes.
    #[must_use]
    pub fn of(outcomes: impl IntoIterator<Item = Outcome>) -> Self {
        let mut tally = Self::default();
        for outcome in outcomes {
            match outcome {
                Outcome::Passed => tally.passed += 1,
                Outcome::Failed => tally.failed += 1,
                Outcome::Skipped => tally.skipped += 1,
                Outcome::Errored => tally.errored += 1,
            }
        }
        tally
    }

    /// Counts the checks of cells.
    #[must_use]
    pub fn checks<'a>(cells: impl IntoIterator<Item = &'a CellRecord>) -> Self {
        Self::of(
            cells
                .into_iter()
                .flat_map(|cell| cell.checks.iter().map(CheckFinding::counted)),
        )
    }

    /// How many in all.
    #[must_use]
    pub fn total(self) -> usize {
        self.passed + self.failed + self.skipped + self.errored
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped, {} errored",
            self.passed, self.failed, self.skipped, self.errored
        )
    }
}

/// Reasons and how often each occurs, most frequent first.
#[must_use]
pub fn by_reason<'a>(reasons: impl IntoIterator<Item = &'a str>) -> Vec<(&'a str, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut sorted: Vec<_> = counts.into_iter().collect();
    sorted.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    sorted
}

impl RunRecord {
    /// Whether any cell is the specimen, whose figures say nothing about K3s.
    #[must_use]
    pub fn has_specimen(&self) -> bool {
        self.cells.iter().any(|cell| cell.spec.specimen)
    }

    /// The distributions under test, such as `k3s v1.36.3+k3s1`, each once.
    #[must_use]
    pub fn distributions(&self) -> String {
        let mut names: Vec<String> = Vec::new();
        for cell in &self.cells {
            let name = format!("{} {}", cell.spec.distribution, cell.spec.version);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if names.is_empty() {
            "nothing".to_owned()
        } else {
            names.join(", ")
        }
    }
}
