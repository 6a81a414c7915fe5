//! What the judges found: judge by history, with the facts and the operations that show a failure.

use std::fmt::Write as _;

use super::tag;
use crate::format;
use crate::histories::HistoryRecord;
use crate::judge::JUDGES;
use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};
use crate::text::{html as escape, html_block};

pub(super) fn render(run: &RunRecord) -> String {
    let mut out = String::new();
    for cell in run.cells.iter().filter(|cell| !cell.histories.is_empty()) {
        let _ = writeln!(out, "<h3>{}</h3>", escape(&cell.id));
        table(&mut out, cell);
        for history in &cell.histories {
            findings(&mut out, history);
        }
    }
    if !out.is_empty() {
        promises(&mut out);
    }
    out
}

fn table(out: &mut String, cell: &CellRecord) {
    out.push_str("<table>\n<tr><th>history</th><th>operations</th>");
    for judge in JUDGES {
        let _ = write!(out, "<th>{}</th>", judge.name);
    }
    out.push_str("</tr>\n");
    for history in &cell.histories {
        let _ = write!(
            out,
            "<tr><td>{}</td><td>{}</td>",
            escape(&history.title()),
            history.operations
        );
        for judge in JUDGES {
            let mut findings = history.findings.iter();
            match findings.find(|finding| finding.judge == judge.name) {
                Some(finding) => {
                    let facts = match finding.outcome {
                        Outcome::Skipped => String::new(),
                        _ => format::count(finding.facts as usize, "fact"),
                    };
                    let _ = write!(out, "<td>{} {facts}</td>", tag(finding.outcome));
                }
                None => out.push_str("<td>not asked</td>"),
            }
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</table>\n");
}

fn findings(out: &mut String, history: &HistoryRecord) {
    for finding in &history.findings {
        if finding.outcome < Outcome::Errored {
            continue;
        }
        let _ = write!(
            out,
            "<p>{} <strong>{}</strong> in {}: {}</p>",
            tag(finding.outcome),
            escape(&finding.judge),
            escape(&history.title()),
            escape(&finding.because)
        );
        if !finding.evidence.is_empty() {
            out.push_str("<details><summary>evidence</summary>");
            for piece in &finding.evidence {
                let _ = write!(out, "<pre>{}</pre>", html_block(piece));
            }
            out.push_str("</details>");
        }
        out.push('\n');
    }
}

fn promises(out: &mut String) {
    out.push_str("<details><summary>what each judge holds a history to</summary><ul>");
    for judge in JUDGES {
        let _ = write!(
            out,
            "<li><strong>{}</strong>: {}</li>",
            judge.name, judge.promise
        );
    }
    out.push_str("</ul></details>\n");
}
