//! `measurements.csv`: every figure and every latency quantile, one a line (RFC 4180).

use crate::event::{Latency, Measurement};
use crate::latency::QUANTILES;
use crate::record::{CellRecord, RunRecord};
use crate::{RenderError, RenderedFile, Report, format, one_file, tables, text};

/// Figures for spreadsheets and scripts. Values are plain numbers in the unit of their row.
pub struct Csv;

const HEAD: [&str; 18] = [
    "run",
    "cell",
    "target",
    "distribution",
    "version",
    "datastore",
    "shape",
    "env",
    "emulated",
    "budget",
    "specimen",
    "suite",
    "scenario",
    "name",
    "labels",
    "unit",
    "value",
    "samples",
];

impl Report for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        let mut out = String::new();
        row(&mut out, HEAD.map(str::to_owned).into());
        for cell in &run.cells {
            for m in &cell.measurements {
                measurement(&mut out, run, cell, m);
            }
            for l in tables::merged(&cell.latencies) {
                latency(&mut out, run, cell, &l);
            }
        }
        Ok(one_file("measurements.csv", out))
    }
}

fn common(run: &RunRecord, cell: &CellRecord) -> Vec<String> {
    let spec = &cell.spec;
    vec![
        word(&run.started.run),
        word(&cell.id),
        word(&spec.target),
        word(&spec.distribution),
        word(&spec.version),
        word(&spec.datastore),
        word(&spec.shape),
        word(&format::pairs(&spec.env, ";")),
        spec.emulated.to_string(),
        word(&spec.budget.name),
        spec.specimen.to_string(),
    ]
}

fn measurement(out: &mut String, run: &RunRecord, cell: &CellRecord, m: &Measurement) {
    let mut fields = common(run, cell);
    fields.extend([
        word(&m.suite),
        word(&m.scenario),
        word(&m.name),
        word(&format::pairs(&m.labels, ";")),
        format::unit_name(m.unit).to_owned(),
        figure(m.value),
        m.samples.map_or(String::new(), |n| n.to_string()),
    ]);
    row(out, fields);
}

fn latency(out: &mut String, run: &RunRecord, cell: &CellRecord, l: &Latency) {
    let mut line = |name: String, unit: &str, value: Option<f64>| {
        let mut fields = common(run, cell);
        fields.extend([
            word(&l.suite),
            word(&l.scenario),
            word(&format!("{}_{name}", l.operation)),
            word(&format::pairs(&l.labels, ";")),
            unit.to_owned(),
            value.map_or(String::new(), figure),
            l.count.to_string(),
        ]);
        row(out, fields);
    };
    line("throughput".into(), "per_second", l.per_second());
    line("errors".into(), "count", Some(l.errors as f64));
    for ((quantile, ..), value) in QUANTILES.iter().zip(l.quantiles_ms()) {
        // A refused quantile keeps its line, with an empty value: absent is not the same as forgotten.
        line(format!("latency_{quantile}"), "milliseconds", value);
    }
    let greatest = (l.count > 0).then_some(l.max_us as f64 / 1000.0);
    line("latency_max".into(), "milliseconds", greatest);
}

fn figure(value: f64) -> String {
    if value.is_finite() {
        value.to_string()
    } else {
        String::new()
    }
}

/// Hostile text for a field: one plain line, which a spreadsheet does not take for a formula.
fn word(raw: &str) -> String {
    let line = text::line(raw);
    if line.starts_with(['=', '+', '-', '@']) {
        format!("'{line}")
    } else {
        line
    }
}

/// RFC 4180: fields with a comma, quote or line break are quoted, quotes doubled, lines end in CRLF.
fn row(out: &mut String, fields: Vec<String>) {
    for (nth, field) in fields.iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        if field.contains([',', '"', '\n', '\r']) {
            out.push('"');
            out.push_str(&field.replace('"', "\"\""));
            out.push('"');
        } else {
            out.push_str(field);
        }
    }
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_quoted_and_formulas_are_not_formulas() {
        let mut out = String::new();
        row(
            &mut out,
            vec!["a,b".into(), "say \"x\"".into(), word("=1+1"), word("p\nq")],
        );
        assert_eq!(out, "\"a,b\",\"say \"\"x\"\"\",'=1+1,p q\r\n");
    }
}
