//! `report.html`: one file that works without network and without scripts.
//!
//! Everything that came from the device under test passes [`crate::text::html`] or
//! [`crate::text::html_block`]; a content security policy forbids scripts and loading in case one slipped through.

use std::fmt::Write as _;

use crate::exit::{ExitCode, exit_code};
use crate::outcome::Outcome;
use crate::overview::{self, Gravity};
use crate::record::RunRecord;
use crate::tables::{self, Table};
use crate::text::{html as escape, html_block as escape_inline};
use crate::{RenderError, RenderedFile, Report, one_file};

mod cards;
mod checks;
mod evidence;
mod footer;
mod histories;
mod official;
mod plots;
mod stores;

/// The full report.
pub struct Html;

impl Report for Html {
    fn name(&self) -> &'static str {
        "html"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        Ok(one_file("report.html", render(run)))
    }
}

/// A section: its anchor, its heading, and what renders its body. An empty body leaves the section out.
type Section = (&'static str, &'static str, fn(&RunRecord) -> String);

const SECTIONS: &[Section] = &[
    ("cells", "Cells", cards::render),
    ("bargain", "What you get, what you pay", stores::render),
    ("plots", "Plots", plots::render),
    ("datastores", "Datastores, side by side", datastores),
    ("official", "Official conformance tests", official::render),
    ("checks", "Checks", checks::render),
    (
        "histories",
        "What the judges found in the histories",
        histories::render,
    ),
    ("footprint", "Measurements", measurements),
    ("budget", "Budget evidence and verdicts", evidence::render),
    ("warnings", "Warnings", footer::warnings),
    ("host", "Host and observer", footer::host),
    ("reproduce", "How to reproduce", footer::reproduce),
];

fn render(run: &RunRecord) -> String {
    let title = escape(&overview::title(run));
    let mut out = String::new();
    let _ = writeln!(
        out,
        "<p class=\"soft\">{}; {}; assay {}</p>",
        escape(&run.started.started_at),
        escape(&overview::host(run)),
        escape(&run.started.assay)
    );
    banners(&mut out, run);
    let bodies: Vec<(&Section, String)> = SECTIONS
        .iter()
        .map(|section| (section, section.2(run)))
        .filter(|(_, body)| !body.is_empty())
        .collect();
    out.push_str("<nav>");
    for ((anchor, heading, _), _) in &bodies {
        let _ = write!(out, "<a href=\"#{anchor}\">{heading}</a> ");
    }
    out.push_str("</nav>\n");
    for ((anchor, heading, _), body) in &bodies {
        let _ = writeln!(
            out,
            "<section id=\"{anchor}\">\n<h2>{heading}</h2>\n{body}</section>"
        );
    }
    page(&title, &out)
}

/// A page that works without network and without scripts. Both arguments are HTML already.
pub(crate) fn page(title: &str, body: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en-GB\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; img-src data:\">\n<title>{title}</title>\n\
         <style>\n{}</style>\n</head>\n<body>\n<h1>{title}</h1>\n{body}</body>\n</html>\n",
        include_str!("../../assets/report.css")
    )
}

fn banners(out: &mut String, run: &RunRecord) {
    for notice in overview::notices(run) {
        if notice.gravity != Gravity::Grave {
            continue;
        }
        if notice.text.starts_with(overview::SPECIMEN) {
            let _ = writeln!(
                out,
                "<div class=\"grave specimen\"><strong>{}</strong>{}</div>",
                overview::SPECIMEN,
                with_commands(overview::HOW_TO_GET_K3S)
            );
        } else {
            let _ = writeln!(out, "<div class=\"grave\">{}</div>", escape(&notice.text));
        }
    }
    let code = exit_code(run);
    let class = match code {
        ExitCode::Passed => "passed",
        ExitCode::CheckFailed | ExitCode::BudgetExceeded => "failed",
        ExitCode::NothingRan => "skipped",
        _ => "errored",
    };
    let headline = overview::headline(run);
    let rest = headline
        .strip_prefix(overview::word(code))
        .unwrap_or(&headline);
    let _ = writeln!(
        out,
        "<div class=\"banner {class}\"><strong>{}</strong>{}</div>",
        overview::word(code),
        escape(rest)
    );
    reasons(out, run);
}

/// The gravest findings, right below the headline: what failed before what errored.
fn reasons(out: &mut String, run: &RunRecord) {
    const MOST: usize = 6;
    let verdicts = run
        .cells
        .iter()
        .flat_map(|c| c.verdicts.iter().map(move |v| (c, v)));
    let mut bad: Vec<_> = verdicts
        .filter(|(_, v)| v.outcome >= Outcome::Errored)
        .collect();
    bad.sort_by_key(|(_, v)| std::cmp::Reverse(v.outcome));
    if bad.is_empty() {
        return;
    }
    out.push_str("<ul class=\"reasons\">\n");
    for (cell, v) in bad.iter().take(MOST) {
        let _ = writeln!(
            out,
            "<li>{} {}: {}: {}</li>",
            tag(v.outcome),
            escape(&cell.id),
            escape(&v.what),
            escape(&v.because)
        );
    }
    if bad.len() > MOST {
        let _ = writeln!(
            out,
            "<li>and {} more, see the verdicts</li>",
            bad.len() - MOST
        );
    }
    out.push_str("</ul>\n");
}

/// assay's own words: what stands between backticks is a command.
fn with_commands(words: &str) -> String {
    let parts = words.split('`').enumerate();
    parts
        .map(|(nth, part)| match nth % 2 {
            0 => escape_inline(part),
            _ => format!("<code>{}</code>", escape(part)),
        })
        .collect()
}

fn datastores(run: &RunRecord) -> String {
    let side_by_side = tables::datastores(run);
    if side_by_side.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "<p class=\"soft\">Closed loop: each client waits for its answer before it asks again. \
         &ldquo;-&rdquo; under a quantile: too few operations to support it. \
         One-node etcd is not a cluster of etcd.</p>\n",
    );
    for t in side_by_side {
        out.push_str(&table(&t, "figures"));
    }
    let all = tables::latencies(run);
    out.push_str("<details><summary>All latencies, with counts and all quantiles</summary>\n");
    out.push_str(&table(&all, "figures two"));
    out.push_str("</details>\n");
    out
}

fn measurements(run: &RunRecord) -> String {
    tables::measurements(run)
        .iter()
        .map(|t| table(t, "figures two"))
        .collect()
}

/// A table that scrolls on its own where the screen is narrow.
fn table(t: &Table, class: &str) -> String {
    let mut out = format!(
        "<h3>{}</h3>\n<div class=\"scroll\"><table class=\"{class}\">\n<tr>",
        escape(&t.title)
    );
    for head in &t.head {
        let _ = write!(out, "<th>{}</th>", escape(head));
    }
    out.push_str("</tr>\n");
    for row in &t.rows {
        out.push_str("<tr>");
        for cell in row {
            let _ = write!(out, "<td>{}</td>", escape(cell));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table></div>\n");
    out
}

/// The coloured word of an outcome. The word itself is there, so that colour is never the only sign.
fn tag(outcome: Outcome) -> String {
    let word = outcome.word();
    format!("<span class=\"tag {word}\">{word}</span>")
}
