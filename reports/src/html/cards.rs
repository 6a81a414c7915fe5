//! Cards: one per cell, side by side.

use std::fmt::Write as _;

use super::tag;
use crate::event::DiskProbe;
use crate::figures::Tally;
use crate::outcome::Outcome;
use crate::overview::cell_outcome;
use crate::record::{CellRecord, RunRecord};
use crate::repeats::{self, Repeated};
use crate::text::html as escape;
use crate::{format, tables};

pub(super) fn render(run: &RunRecord) -> String {
    if run.cells.is_empty() {
        return "<p>No cell was started.</p>\n".into();
    }
    let cells = repeats::cells(run);
    // Of repeats the first stands for all that went as well.
    let shown = run
        .cells
        .iter()
        .filter(|cell| cell.spec.repeat == 0 || cell_outcome(cell) != Outcome::Passed);
    let cards: String = shown
        .map(|cell| {
            let all = cells
                .iter()
                .find(|all| all.id == cell.base_id() && cell.spec.repeat == 0);
            card(cell, all)
        })
        .collect();
    format!("<div class=\"cards\">\n{cards}</div>\n")
}

fn card(cell: &CellRecord, repeats: Option<&Repeated<'_>>) -> String {
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
    if let Some(all) = repeats
        .map(|repeats| &repeats.all)
        .filter(|all| all.len() > 1)
    {
        let tally = Tally::of(all[1..].iter().map(|cell| cell_outcome(cell)));
        line("repeats", format!("{} more: {tally}", all.len() - 1));
    }
    if let Some(probe) = &cell.disk_probe {
        line("disk", disk(probe));
    }
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

/// How fast the disk is, or why nobody knows.
fn disk(probe: &DiskProbe) -> String {
    let Some(l) = &probe.latency else {
        let why = probe
            .not_probed_because
            .as_deref()
            .unwrap_or("no reason was recorded");
        return format!("not probed: {why}");
    };
    let show = |q: f64| {
        l.quantile_ms(q)
            .map_or(tables::NONE.to_owned(), format::millis)
    };
    format!(
        "fdatasync p50 {}, p99 {} (n={})",
        show(0.5),
        show(0.99),
        l.count
    )
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
