//! `summary.md`: for a CI step summary. Small on purpose: GitHub drops a summary of more than 1 MiB whole.

use std::fmt::Write as _;

use crate::figures::{Tally, by_reason};
use crate::official::NO_CERTIFICATION;
use crate::outcome::Outcome;
use crate::overview::{self, Gravity};
use crate::record::{CellRecord, RunRecord};
use crate::tables::{self, Table};
use crate::text::markdown as escape;
use crate::{RenderError, RenderedFile, Report, one_file};

/// Headline, warnings, cells, datastores, verdicts.
pub struct Markdown;

/// The most lines that one list of this report has; the rest is counted.
const MOST: usize = 40;

impl Report for Markdown {
    fn name(&self) -> &'static str {
        "markdown"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        Ok(one_file("summary.md", render(run)))
    }
}

fn render(run: &RunRecord) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "# {}\n", escape(&overview::title(run)));
    let _ = writeln!(out, "**{}**\n", escape(&overview::headline(run)));
    let notices = overview::notices(run);
    let (grave, warnings): (Vec<_>, Vec<_>) = notices
        .iter()
        .partition(|notice| notice.gravity == Gravity::Grave);
    for notice in grave {
        let _ = writeln!(out, "> [!CAUTION]\n> {}\n", escape(&notice.text));
    }
    table(&mut out, 2, &tables::cells(run));
    let bargains = crate::stores::bargains(run);
    if !bargains.is_empty() {
        out.push_str("## What you get, what you pay\n\n");
    }
    for bargain in &bargains {
        table(&mut out, 3, &bargain.table());
        list(
            &mut out,
            &bargain
                .footnotes()
                .iter()
                .map(|line| escape(line))
                .collect::<Vec<_>>(),
        );
    }
    let datastores = tables::datastores(run);
    if !datastores.is_empty() {
        out.push_str("## Datastores, side by side\n\n");
        for t in &datastores {
            table(&mut out, 3, t);
        }
    }
    let official = tables::official(run);
    if !official.rows.is_empty() {
        table(&mut out, 2, &official);
        let _ = writeln!(out, "{}\n", escape(NO_CERTIFICATION));
    }
    checks(&mut out, run);
    out.push_str("## Verdicts\n\n");
    for cell in &run.cells {
        verdicts(&mut out, cell);
    }
    if !warnings.is_empty() {
        let lines: Vec<_> = warnings.iter().map(|n| escape(&n.text)).collect();
        out.push_str("## Warnings\n\n");
        list(&mut out, &lines);
    }
    let _ = writeln!(
        out,
        "## About this run\n\n- host: {}\n- {}\n- run `{}`, started {}, assay {}, command `{}`",
        escape(&overview::host(run)),
        escape(&overview::observer(run)),
        code(&run.started.run),
        escape(&run.started.started_at),
        escape(&run.started.assay),
        code(&overview::command(&run.started.command)),
    );
    out
}

/// Text inside backticks, where escapes do not work: backticks themselves and markup are replaced.
fn code(raw: &str) -> String {
    crate::text::line(raw).replace(['`', '<', '>'], "?")
}

fn table(out: &mut String, level: usize, t: &Table) {
    let _ = writeln!(out, "{} {}\n", "#".repeat(level), escape(&t.title));
    if t.rows.is_empty() {
        out.push_str("none\n\n");
        return;
    }
    rows(out, t, MOST);
    out.push('\n');
}

/// A table's head and at most so many of its rows.
pub(crate) fn rows(out: &mut String, t: &Table, most: usize) {
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|c| escape(c)).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    out.push_str(&row(&t.head));
    out.push_str(&format!("|{}\n", " --- |".repeat(t.head.len())));
    for cells in t.rows.iter().take(most) {
        out.push_str(&row(cells));
    }
    if t.rows.len() > most {
        let _ = writeln!(out, "\nand {} more rows in the report", t.rows.len() - most);
    }
}

fn checks(out: &mut String, run: &RunRecord) {
    let _ = writeln!(out, "## Checks\n\n{}\n", Tally::checks(&run.cells));
    for outcome in [Outcome::Failed, Outcome::Errored] {
        let lines: Vec<String> = run
            .cells
            .iter()
            .flat_map(|cell| cell.checks.iter().map(move |check| (cell, check)))
            .filter(|(_, check)| check.counted() == outcome)
            .map(|(cell, check)| {
                format!(
                    "**{}** {} in {}: {}",
                    outcome.word(),
                    escape(&check.id),
                    escape(&cell.id),
                    escape(check.why())
                )
            })
            .collect();
        list(out, &lines);
    }
    let skipped = run
        .cells
        .iter()
        .flat_map(|cell| &cell.checks)
        .filter(|check| check.counted() == Outcome::Skipped)
        .map(|check| check.why());
    let lines: Vec<String> = by_reason(skipped)
        .into_iter()
        .map(|(reason, n)| format!("skipped {n}: {}", escape(reason)))
        .collect();
    list(out, &lines);
}

fn verdicts(out: &mut String, cell: &CellRecord) {
    let lines: Vec<String> = cell
        .verdicts
        .iter()
        .map(|v| {
            format!(
                "**{}** {}: {}: {}",
                v.outcome.word(),
                escape(&v.gate),
                escape(&v.what),
                escape(&v.because)
            )
        })
        .collect();
    let _ = writeln!(out, "### {}\n", escape(&cell.id));
    list(out, &lines);
}

fn list(out: &mut String, lines: &[String]) {
    for line in lines.iter().take(MOST) {
        let _ = writeln!(out, "- {line}");
    }
    if lines.len() > MOST {
        let _ = writeln!(out, "- and {} more in the report", lines.len() - MOST);
    }
    if !lines.is_empty() {
        out.push('\n');
    }
}
