//! The matrix as a page.

use std::fmt::Write as _;

use super::{Meeting, MutantMatrix, MutantRow};
use crate::format;
use crate::html::page;
use crate::outcome::Outcome;
use crate::text::html as escape;

pub(super) fn render(matrix: &MutantMatrix) -> String {
    let title = format!(
        "Checks and the mutants that they kill: {} {}",
        matrix.distribution, matrix.version
    );
    let (class, word) = if matrix.proven() {
        ("passed", "PROVEN")
    } else {
        ("failed", "NOT PROVEN")
    };
    let mut body = format!(
        "<div class=\"banner {class}\"><strong>{word}</strong>{}</div>\n\
         <p class=\"soft\">Each check ran once as it is and once under each defect that it says it notices, put between it and \
         the server. A check that a defect does not make fail proves nothing.</p>\n",
        matrix.sums()
    );
    let (good, bad): (Vec<_>, Vec<_>) = matrix.rows.iter().partition(|row| row.proven());
    let (skipped, bad): (Vec<_>, Vec<_>) = bad
        .into_iter()
        .partition(|row| row.control == Outcome::Skipped);
    for (heading, rows) in [("Not proven", bad), ("Proven", good), ("Skipped", skipped)] {
        if !rows.is_empty() {
            let _ = writeln!(body, "<h2>{heading}: {}</h2>", rows.len());
            table(&mut body, &rows);
        }
    }
    if !matrix.left.is_empty() {
        body.push_str("<h2>Still there</h2>\n<ul>");
        for path in &matrix.left {
            let _ = write!(body, "<li><code>{}</code></li>", escape(path));
        }
        body.push_str("</ul>\n");
    }
    page(&escape(&title), &body)
}

fn table(out: &mut String, rows: &[&MutantRow]) {
    out.push_str("<table class=\"mutants\">\n<tr><th>check</th><th>mutants</th></tr>\n");
    for row in rows {
        let _ = write!(out, "<tr><td><code>{}</code></td><td>", escape(&row.check));
        if let Some(reason) = &row.control_reason {
            let _ = write!(
                out,
                "without a mutant {}: {}",
                row.control.word(),
                escape(reason)
            );
        }
        for cell in &row.cells {
            let class = match cell.meeting {
                Meeting::Killed => "passed",
                Meeting::Survived | Meeting::Idle => "failed",
                Meeting::Errored => "errored",
            };
            let _ = write!(
                out,
                "<details class=\"mutant\"><summary><span class=\"tag {class}\">{}</span> {}, {}</summary>{}</details>",
                cell.meeting.word(),
                escape(&cell.mutant),
                format::millis(cell.took_ms),
                escape(&cell.reason)
            );
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</table>\n");
}
