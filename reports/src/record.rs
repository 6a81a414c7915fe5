//! The run record: the fold of a journal.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::event::{
    BudgetEvidence, CellSpec, CheckFinding, DiskProbe, Event, EventKind, Latency, Measurement,
    Observer, RunStarted,
};
use crate::gate::Verdict;
use crate::histories::HistoryRecord;
use crate::metric::Metric;
use crate::official::OfficialList;
use crate::outcome::Outcome;
use crate::statement::Statement;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// How it started.
    pub started: RunStarted,
    /// Its cells, in the order in which they started.
    pub cells: Vec<CellRecord>,
    /// Warnings that belong to no cell.
    pub warnings: Vec<String>,
    /// What the instrument used; `None` when the run died before its end.
    pub observer: Option<Observer>,
    /// Whether a signal cut it short.
    pub interrupted: bool,
    /// Whether the journal was closed in order.
    pub finished: bool,
    /// Length of the run as far as the journal tells, milliseconds.
    pub length_ms: f64,
}

/// One cell of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellRecord {
    /// Its id, such as `native-k3s-sqlite-edge`.
    pub id: String,
    /// What it is.
    pub spec: CellSpec,
    /// When it started, milliseconds.
    pub started_ms: f64,
    /// When it finished; `None` when it died without reporting.
    pub finished_ms: Option<f64>,
    /// Its outcome; `None` when it died without reporting.
    pub outcome: Option<Outcome>,
    /// Why, where it was not passed.
    pub reason: Option<String>,
    /// Warnings.
    pub warnings: Vec<String>,
    /// Phases in order of their start.
    pub phases: Vec<Phase>,
    /// The official names that apply; `None` where no checks ran, and in records before schema 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub official: Option<OfficialList>,
    /// Findings of checks.
    pub checks: Vec<CheckFinding>,
    /// Figures.
    pub measurements: Vec<Measurement>,
    /// Latency distributions.
    pub latencies: Vec<Latency>,
    /// Histories that scenarios recorded, and what the judges found in them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub histories: Vec<HistoryRecord>,
    /// What scenarios state of the server.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statements: Vec<Statement>,
    /// Scenarios that finished.
    pub scenarios: Vec<ScenarioRecord>,
    /// Series by source and metric.
    pub series: Vec<Series>,
    /// How fast its disk is; `None` where nothing worked on it, and in records before schema 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_probe: Option<DiskProbe>,
    /// Evidence on the budget.
    pub budget: Option<BudgetEvidence>,
    /// Unasked ends of the server.
    pub deaths: Vec<Death>,
    /// What remained after the cell.
    pub leftovers: Vec<String>,
    /// The gates' findings.
    pub verdicts: Vec<Verdict>,
}

/// A labelled interval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Phase {
    /// The suite.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// Start, milliseconds.
    pub start_ms: f64,
    /// End; `None` when it never ended.
    pub end_ms: Option<f64>,
}

/// A scenario's end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScenarioRecord {
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// Its class.
    pub outcome: Outcome,
    /// Why, where it is not passed.
    pub reason: Option<String>,
}

/// Values over time of one metric from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// Where they were read.
    pub source: String,
    /// What they are.
    pub metric: Metric,
    /// Milliseconds and value, in order of time.
    pub points: Vec<(f64, f64)>,
}

/// An unasked end of the server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Death {
    /// When, milliseconds.
    pub at_ms: f64,
    /// How.
    pub how: String,
    /// The last lines of its log.
    pub log_tail: String,
}

/// Why a journal does not fold.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum JournalError {
    /// It has no `run_started` as its first line.
    #[error("the journal does not begin with run_started, so it is not assay's or it is empty")]
    NotAJournal,
    /// It was written by a newer assay.
    #[error("the journal has schema {found}, this assay reads up to {known}; use a newer assay")]
    NewerSchema {
        /// The journal's schema.
        found: u32,
        /// The greatest schema known here.
        known: u32,
    },
    /// A line before the last cannot be read.
    #[error("line {line} of the journal cannot be read: {reason}")]
    BadLine {
        /// Counted from 1.
        line: usize,
        /// The parser's words.
        reason: String,
    },
}

impl RunRecord {
    /// Reads a journal's text. A torn last line (the process was killed while writing) is left out.
    ///
    /// # Errors
    /// When it is not a journal, is newer than this reader, or is corrupt before its last line.
    pub fn from_journal(text: &str) -> Result<Self, JournalError> {
        let lines: Vec<(usize, &str)> = text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty())
            .collect();
        let last = lines.len().saturating_sub(1);
        let mut events = Vec::with_capacity(lines.len());
        for (nth, (index, line)) in lines.iter().enumerate() {
            match serde_json::from_str::<Event>(line) {
                Ok(event) => events.push(event),
                Err(_) if nth == 0 => return Err(JournalError::NotAJournal),
                Err(_) if nth == last => break,
                Err(error) => {
                    return Err(JournalError::BadLine {
                        line: index + 1,
                        reason: error.to_string(),
                    });
                }
            }
            if let [
                Event {
                    kind: EventKind::RunStarted(started),
                    ..
                },
            ] = events.as_slice()
                && started.schema > crate::event::SCHEMA_VERSION
            {
                return Err(JournalError::NewerSchema {
                    found: started.schema,
                    known: crate::event::SCHEMA_VERSION,
                });
            }
        }
        Self::fold(&events)
    }

    /// Folds events into a record. Gates have not judged it yet.
    ///
    /// # Errors
    /// When the first event is not `run_started`.
    pub fn fold(events: &[Event]) -> Result<Self, JournalError> {
        let Some(Event {
            kind: EventKind::RunStarted(started),
            ..
        }) = events.first()
        else {
            return Err(JournalError::NotAJournal);
        };
        let mut run = Self {
            started: started.clone(),
            cells: Vec::new(),
            warnings: Vec::new(),
            observer: None,
            interrupted: false,
            finished: false,
            length_ms: 0.0,
        };
        let mut series: BTreeMap<(usize, String, Metric), usize> = BTreeMap::new();
        for event in &events[1..] {
            run.length_ms = run.length_ms.max(event.at_ms);
            run.apply(event, &mut series);
        }
        Ok(run)
    }

    fn apply(&mut self, event: &Event, series: &mut BTreeMap<(usize, String, Metric), usize>) {
        let Some(id) = &event.cell else {
            match &event.kind {
                EventKind::Warning { message } => self.warnings.push(message.clone()),
                EventKind::RunFinished {
                    interrupted,
                    observer,
                } => {
                    self.interrupted = *interrupted;
                    self.observer = Some(observer.clone());
                    self.finished = true;
                }
                _ => {}
            }
            return;
        };
        if let EventKind::CellStarted(spec) = &event.kind {
            self.cells.push(CellRecord::new(id, spec, event.at_ms));
            return;
        }
        let Some(index) = self.cells.iter().rposition(|cell| cell.id == *id) else {
            return;
        };
        let cell = &mut self.cells[index];
        if let EventKind::Sample { source, readings } = &event.kind {
            for (metric, value) in readings {
                let slot = *series
                    .entry((index, source.clone(), *metric))
                    .or_insert_with(|| {
                        cell.series.push(Series {
                            source: source.clone(),
                            metric: *metric,
                            points: Vec::new(),
                        });
                        cell.series.len() - 1
                    });
                cell.series[slot].points.push((event.at_ms, *value));
            }
        } else {
            cell.apply(event);
        }
    }
}

impl CellRecord {
    fn new(id: &str, spec: &CellSpec, started_ms: f64) -> Self {
        Self {
            id: id.to_owned(),
            spec: spec.clone(),
            started_ms,
            finished_ms: None,
            outcome: None,
            reason: None,
            warnings: Vec::new(),
            phases: Vec::new(),
            official: None,
            checks: Vec::new(),
            measurements: Vec::new(),
            latencies: Vec::new(),
            statements: Vec::new(),
            histories: Vec::new(),
            scenarios: Vec::new(),
            series: Vec::new(),
            disk_probe: None,
            budget: None,
            deaths: Vec::new(),
            leftovers: Vec::new(),
            verdicts: Vec::new(),
        }
    }

    fn apply(&mut self, event: &Event) {
        match &event.kind {
            EventKind::Warning { message } => self.warnings.push(message.clone()),
            EventKind::PhaseStarted { suite, phase } => self.phases.push(Phase {
                suite: suite.clone(),
                name: phase.clone(),
                start_ms: event.at_ms,
                end_ms: None,
            }),
            EventKind::PhaseEnded { phase } => {
                if let Some(open) = self
                    .phases
                    .iter_mut()
                    .rev()
                    .find(|p| p.name == *phase && p.end_ms.is_none())
                {
                    open.end_ms = Some(event.at_ms);
                }
            }
            EventKind::Official(list) => self.official = Some(list.clone()),
            EventKind::Check(finding) => self.checks.push(finding.clone()),
            EventKind::Measurement(measurement) => self.measurements.push(measurement.clone()),
            EventKind::Latency(latency) => self.latencies.push(latency.clone()),
            EventKind::DiskProbe(probe) => self.disk_probe = Some(probe.clone()),
            EventKind::History(named) => self.histories.push(HistoryRecord::new(named.clone())),
            EventKind::Statement(statement) => self.statements.push(statement.clone()),
            EventKind::BudgetEvidence(evidence) => {
                // A cell may start its server more than once, each with its own cgroup: the worst of all counts.
                self.budget = Some(match self.budget.take() {
                    Some(earlier) => earlier.worst_with(evidence),
                    None => evidence.clone(),
                });
            }
            EventKind::ScenarioFinished {
                suite,
                scenario,
                outcome,
                reason,
            } => {
                self.scenarios.push(ScenarioRecord {
                    suite: suite.clone(),
                    scenario: scenario.clone(),
                    outcome: *outcome,
                    reason: reason.clone(),
                });
            }
            EventKind::VersionTold { version } => self.spec.version.clone_from(version),
            EventKind::ServerDied { how, log_tail } => self.deaths.push(Death {
                at_ms: event.at_ms,
                how: how.clone(),
                log_tail: log_tail.clone(),
            }),
            EventKind::Leftovers { items } => self.leftovers.extend(items.iter().cloned()),
            EventKind::CellFinished { outcome, reason } => {
                self.finished_ms = Some(event.at_ms);
                self.outcome = Some(*outcome);
                self.reason = reason.clone();
            }
            EventKind::RunStarted(_)
            | EventKind::CellStarted(_)
            | EventKind::Sample { .. }
            | EventKind::RunFinished { .. } => {}
        }
    }

    /// The series of one metric from the first source whose name starts with `source`.
    #[must_use]
    pub fn series(&self, source: &str, metric: Metric) -> Option<&Series> {
        self.series
            .iter()
            .find(|s| s.metric == metric && s.source.starts_with(source))
    }
}
