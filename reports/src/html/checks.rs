//! The table of checks, one row a check, with official names and the evidence of failures.

use std::fmt::Write as _;

use super::tag;
use crate::event::CheckFinding;
use crate::figures::Tally;
use crate::format;
use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};
use crate::text::{html as escape, html_block};

pub(super) fn render(run: &RunRecord) -> String {
    let mut out = String::new();
    for cell in run.cells.iter().filter(|cell| !cell.checks.is_empty()) {
        let tally = Tally::checks([cell]);
        let _ = writeln!(out, "<h3>{}: {tally}</h3>", escape(&cell.id));
        let mut checks: Vec<&CheckFinding> = cell.checks.iter().collect();
        // The gravest first; a stable sort keeps the order of the areas within each class.
        checks.sort_by_key(|c| std::cmp::Reverse(c.counted()));
        let (bad, good): (Vec<_>, Vec<_>) = checks
            .into_iter()
            .partition(|c| c.counted() >= Outcome::Errored);
        if !bad.is_empty() {
            table(&mut out, cell, &bad);
        }
        if !good.is_empty() {
            let _ = writeln!(
                out,
                "<details><summary>{} passed and {} skipped checks</summary>",
                tally.passed, tally.skipped
            );
            table(&mut out, cell, &good);
            out.push_str("</details>\n");
        }
    }
    out
}

fn table(out: &mut String, cell: &CellRecord, checks: &[&CheckFinding]) {
    out.push_str("<table class=\"checks\">\n<tr><th>outcome</th><th>check</th></tr>\n");
    for check in checks {
        row(out, cell, check);
    }
    out.push_str("</table>\n");
}

fn row(out: &mut String, cell: &CellRecord, check: &CheckFinding) {
    let bound = cell.bound(check).map(|bound| format!(", {bound}"));
    let _ = write!(
        out,
        "<tr><td>{}</td><td><code>{}</code><br>{}<br><span class=\"soft\">{}, {}{}</span>",
        tag(check.counted()),
        escape(&check.id),
        escape(&check.title),
        format::count(check.facts as usize, "fact"),
        format::millis(check.took_ms),
        escape(&bound.unwrap_or_default())
    );
    if check.counted() != Outcome::Passed {
        let _ = write!(out, "<br>{}", escape(check.why()));
    }
    if !check.official.is_empty() {
        let names: String = check
            .official
            .iter()
            .map(|name| format!("<li>{}</li>", escape(name)))
            .collect();
        let _ = write!(
            out,
            "<details><summary>official names</summary><ul>{names}</ul></details>"
        );
    }
    if check.counted() >= Outcome::Errored && !check.evidence.is_empty() {
        out.push_str("<details><summary>evidence</summary>");
        for piece in &check.evidence {
            let _ = write!(out, "<pre>{}</pre>", html_block(piece));
        }
        out.push_str("</details>");
    }
    out.push_str("</td></tr>\n");
}
