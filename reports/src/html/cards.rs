//! Cards: one per cell, side by side.

use std::fmt::Write as _;

use super::tag;
use crate::figures::Tally;
use crate::overview::cell_outcome;
use crate::record::{CellRecord, RunRecord};
use crate::text::html as escape;
use crate::{format, tables};

pub(super) fn render(run: &RunRecord) -> String {
    if run.cells.is_empty() {
        return "<p>No cell was started.</p>\n".into();
    }
    let cards: String = run.cells.iter().map(card).collect();
    format!("<div class=\"cards\">\n{cards}</div>\n")
}

fn card(cell: &CellRecord) -> String {
    let outcome = cell_outcome(cell);
    let mut out = format!(
        "<article class=\"card {}\">\n<h3>{}</h3>\n<p>{} <span class=\"soft\">{}</span></p>\n{}<dl>",
        outcome.word(),
        escape(&cell.id),
        tag(outcome),
        escape(&cell.title()),
        bar(cell)
    );
    let mut line = |term: &str, value: String| {
        let _ = write!(out, "<dt>{term}</dt><dd>{}</dd>", escape(&value));
    };
    if cell.spec.specimen {
        line("note", "specimen, not K3s".into());
    }
    line("peak", tables::peak(cell));
    line("limit", tables::limit(cell));
    let ready = tables::ready(cell);
    line("time to ready", ready.unwrap_or("not measured".into()));
    let tally = Tally::checks([cell]);
    line("checks passed", tally.passed.to_string());
    line("checks failed", tally.failed.to_string());
    line("checks skipped", tally.skipped.to_string());
    line("checks errored", tally.errored.to_string());
    let kills = cell.oom_kills();
    line(
        "OOM kills",
        kills.map_or("not counted".into(), |kills| kills.to_string()),
    );
    line("unasked ends", cell.unasked_ends().to_string());
    out.push_str("</dl>\n");
    if let Some(reason) = &cell.reason {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(reason));
    }
    out.push_str("</article>\n");
    out
}

/// Peak against limit. The limit's mark stands at 80 % of the width, so that an excess can be seen as one.
fn bar(cell: &CellRecord) -> String {
    let (Some(peak), Some(limit)) = (cell.peak(), cell.spec.budget.memory_bytes) else {
        return String::new();
    };
    let share = peak.bytes / limit.max(1) as f64;
    let width = (share * 80.0).clamp(0.0, 100.0);
    let over = if share > 1.0 { " class=\"over\"" } else { "" };
    let label = format!(
        "peak {} of {}, {}",
        format::bytes(peak.bytes),
        format::bytes(limit as f64),
        format::percent(share)
    );
    format!(
        "<div class=\"bar\" role=\"img\" aria-label=\"{label}\"><i{over} style=\"width:{width:.1}%\"></i>\
         <b style=\"left:80%\"></b></div>\n<p class=\"soft\">{label}</p>\n"
    )
}
