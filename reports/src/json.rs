//! `run.json`: the judged record and what was derived from it.

use serde::Serialize;

use crate::event::SCHEMA_VERSION;
use crate::exit::{ExitCode, exit_code};
use crate::figures::Tally;
use crate::official::Numbers;
use crate::outcome::Outcome;
use crate::overview::{self, Notice};
use crate::record::{CellRecord, RunRecord};
use crate::{RenderError, RenderedFile, Report, one_file, tables};

/// The whole record, machine-readable. `record` holds what was recorded and judged, `derived` what can be
/// computed from it. Figures that are not finite are `null`.
pub struct Json;

#[derive(Serialize)]
struct File<'a> {
    schema: u32,
    derived: Derived<'a>,
    record: &'a RunRecord,
}

#[derive(Serialize)]
struct Derived<'a> {
    title: String,
    specimen: bool,
    partial: bool,
    exit: ExitCode,
    exit_code: u8,
    headline: String,
    notices: Vec<Notice>,
    checks: Tally,
    cells: Vec<Cell<'a>>,
}

#[derive(Serialize)]
struct Cell<'a> {
    id: &'a str,
    outcome: Outcome,
    checks: Tally,
    #[serde(skip_serializing_if = "Option::is_none")]
    official: Option<Official>,
    peak_bytes: Option<f64>,
    peak_source: Option<&'static str>,
    memory_limit_bytes: Option<u64>,
    time_to_ready_ms: Option<f64>,
    oom_kills: Option<u64>,
    unasked_ends: u64,
    latencies: Vec<Latency>,
}

/// The three numbers of a cell, each of a thing of its own.
#[derive(Serialize)]
struct Official {
    minor: Option<u32>,
    required: bool,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Serialize)]
struct Latency {
    suite: String,
    scenario: String,
    operation: String,
    labels: std::collections::BTreeMap<String, String>,
    count: u64,
    errors: u64,
    per_second: Option<f64>,
    p50_ms: Option<f64>,
    p90_ms: Option<f64>,
    p99_ms: Option<f64>,
    #[serde(rename = "p99.9_ms")]
    p99_9_ms: Option<f64>,
    max_ms: f64,
}

fn cell(cell: &CellRecord) -> Cell<'_> {
    let peak = cell.peak();
    Cell {
        id: &cell.id,
        outcome: overview::cell_outcome(cell),
        checks: Tally::checks([cell]),
        official: official(cell),
        peak_bytes: peak.as_ref().map(|p| p.bytes),
        peak_source: peak.map(|p| p.source.words()),
        memory_limit_bytes: cell.spec.budget.memory_bytes,
        time_to_ready_ms: cell.time_to_ready().map(|(ms, _)| ms),
        oom_kills: cell.oom_kills(),
        unasked_ends: cell.unasked_ends(),
        latencies: tables::merged(&cell.latencies)
            .into_iter()
            .map(latency)
            .collect(),
    }
}

fn official(cell: &CellRecord) -> Option<Official> {
    let (list, numbers) = cell.official.as_ref().zip(cell.numbers())?;
    Some(Official {
        minor: list.minor,
        required: list.required,
        numbers,
    })
}

fn latency(l: crate::event::Latency) -> Latency {
    let [p50_ms, p90_ms, p99_ms, p99_9_ms] = l.quantiles_ms();
    Latency {
        per_second: l.per_second(),
        p50_ms,
        p90_ms,
        p99_ms,
        p99_9_ms,
        max_ms: l.max_us as f64 / 1000.0,
        suite: l.suite,
        scenario: l.scenario,
        operation: l.operation,
        labels: l.labels,
        count: l.count,
        errors: l.errors,
    }
}

impl Report for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        let exit = exit_code(run);
        let file = File {
            schema: SCHEMA_VERSION,
            derived: Derived {
                title: overview::title(run),
                specimen: run.has_specimen(),
                partial: run.interrupted || !run.finished,
                exit,
                exit_code: exit.code(),
                headline: overview::headline(run),
                notices: overview::notices(run),
                checks: Tally::checks(&run.cells),
                cells: run.cells.iter().map(cell).collect(),
            },
            record: run,
        };
        let mut text = serde_json::to_string(&file).map_err(|error| RenderError {
            report: self.name(),
            reason: error.to_string(),
        })?;
        text.push('\n');
        Ok(one_file("run.json", text))
    }
}
