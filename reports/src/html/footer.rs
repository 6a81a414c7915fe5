//! Warnings, host, observer, and how to reproduce the run.

use std::fmt::Write as _;

use crate::overview::{self, Gravity};
use crate::record::RunRecord;
use crate::text::html as escape;

pub(super) fn warnings(run: &RunRecord) -> String {
    let mut out = String::new();
    for notice in overview::notices(run) {
        if notice.gravity == Gravity::Warning {
            let _ = writeln!(out, "<li>{}</li>", escape(&notice.text));
        }
    }
    let leftovers = run.cells.iter().flat_map(|cell| &cell.leftovers).count();
    let ended = run.cells.iter().all(|cell| cell.finished_ms.is_some());
    let left = match (leftovers, ended) {
        (0, true) => "Nothing was left behind.".to_owned(),
        (0, false) => {
            "A cell did not report its end, so what it left behind is unknown.".to_owned()
        }
        (n, _) => format!(
            "{} left behind; see the top.",
            crate::format::count(n, "thing")
        ),
    };
    if out.is_empty() {
        out.push_str("<li>No warnings.</li>\n");
    }
    format!("<ul>\n{out}</ul>\n<p>{left}</p>\n")
}

pub(super) fn host(run: &RunRecord) -> String {
    let mut out = format!(
        "<p>{}</p>\n<p>{}</p>\n",
        escape(&overview::host(run)),
        escape(&overview::observer(run))
    );
    if !run.started.host.facts.is_empty() {
        out.push_str("<table class=\"verdicts\">\n");
        for (name, fact) in &run.started.host.facts {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}</td></tr>",
                escape(name),
                escape(fact)
            );
        }
        out.push_str("</table>\n");
    }
    out
}

pub(super) fn reproduce(run: &RunRecord) -> String {
    let mut out = format!(
        "<pre>{}</pre>\n<p class=\"soft\">Run {}, assay {}. To judge and render this record again: \
         <code>assay report {}</code></p>\n",
        escape(&overview::command(&run.started.command)),
        escape(&run.started.run),
        escape(&run.started.assay),
        escape(&run.started.run)
    );
    for cell in &run.cells {
        let _ = writeln!(
            out,
            "<details><summary>{}: server command and artifacts</summary>\n<pre>{}</pre>",
            escape(&cell.id),
            escape(&overview::command(&cell.spec.command))
        );
        for (name, origin) in &cell.spec.artifacts {
            let _ = writeln!(
                out,
                "<p class=\"soft\"><code>{}</code> {}</p>",
                escape(name),
                escape(origin)
            );
        }
        out.push_str("</details>\n");
    }
    out
}
