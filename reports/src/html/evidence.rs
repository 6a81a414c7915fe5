//! Verdicts with what they rest on, the kernel's evidence, and unasked ends of the server.

use std::fmt::Write as _;

use super::{table, tag};
use crate::event::BudgetEvidence;
use crate::format;
use crate::record::{CellRecord, RunRecord};
use crate::tables::{NONE, Table};
use crate::text::{html as escape, html_block};

pub(super) fn render(run: &RunRecord) -> String {
    let mut out: String = run.cells.iter().map(verdicts).collect();
    let with: Vec<(&CellRecord, &BudgetEvidence)> = run
        .cells
        .iter()
        .filter_map(|cell| Some((cell, cell.budget.as_ref()?)))
        .collect();
    if !with.is_empty() {
        out.push_str(&table(&kernel(&with), "figures"));
    }
    out
}

fn verdicts(cell: &CellRecord) -> String {
    let mut out = format!("<h3>{}</h3>\n", escape(&cell.id));
    if cell.verdicts.is_empty() {
        out.push_str("<p>It was not judged.</p>\n");
    } else {
        out.push_str("<table class=\"verdicts\">\n");
        for v in &cell.verdicts {
            let _ = writeln!(
                out,
                "<tr><td>{}</td><td>{}: {}<br><span class=\"soft\">{}</span></td></tr>",
                tag(v.outcome),
                escape(&v.gate),
                escape(&v.what),
                escape(&v.because)
            );
        }
        out.push_str("</table>\n");
    }
    for death in &cell.deaths {
        let _ = writeln!(
            out,
            "<p>The server ended {} after the start of the cell: {}</p>\n\
             <details><summary>end of its log</summary><pre>{}</pre></details>",
            format::millis((death.at_ms - cell.started_ms).max(0.0)),
            escape(&death.how),
            html_block(&death.log_tail)
        );
    }
    out
}

fn size(bytes: Option<u64>) -> String {
    bytes.map_or(NONE.into(), |b| format::bytes(b as f64))
}

/// A limit, with what it is where no cgroup has it.
fn of_kernel(evidence: &BudgetEvidence, limit: String) -> String {
    if evidence.machine && limit != NONE {
        format!("{limit}, all that the machine's kernel has")
    } else {
        limit
    }
}

/// The evidence's peak, with what it is where it is not the kernel's own mark of a cgroup.
fn peak(evidence: &BudgetEvidence) -> String {
    let bytes = size(evidence.peak_bytes);
    if evidence.peak_bytes.is_none() || evidence.of_a_cgroup() {
        bytes
    } else if evidence.machine {
        format!("{bytes}, sampled, of the whole machine")
    } else {
        format!("{bytes}, resident sets of the last processes, added up")
    }
}

fn kernel(cells: &[(&CellRecord, &BudgetEvidence)]) -> Table {
    type Line = (&'static str, fn(&BudgetEvidence) -> String);
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let lines: &[Line] = &[
        ("enforced", |e| {
            match (e.enforced, &e.not_enforced_because) {
                (true, _) if e.machine => "by the machine's size".into(),
                (true, _) => "by a cgroup".into(),
                (false, Some(why)) => format!("observed only: {why}"),
                (false, None) => "observed only".into(),
            }
        }),
        ("memory limit read back", |e| {
            of_kernel(e, size(e.memory_limit_bytes))
        }),
        ("CPU limit read back", |e| {
            let cpu = e.cpu_limit_milli;
            of_kernel(e, cpu.map_or(NONE.into(), |c| format!("{c} mCPU")))
        }),
        ("peak", peak),
        ("OOM kills", |e| {
            e.oom_kills
                .map_or("not counted".into(), |kills| kills.to_string())
        }),
        ("times the limit was hit", |e| {
            // What a machine lacks, its kernel reclaims: there is no limit to count hits of.
            if e.of_a_cgroup() {
                format::number(e.limit_hits as f64)
            } else {
                NONE.into()
            }
        }),
        ("throttled share of periods", |e| {
            e.throttled_share.map_or(NONE.into(), format::percent)
        }),
        ("unasked ends", |e| e.restarts.to_string()),
        ("hold period", |e| format::millis(e.hold_ms)),
    ];
    let mut head = vec!["kernel's evidence".to_owned()];
    head.extend(cells.iter().map(|(cell, _)| cell.id.clone()));
    let mut rows: Vec<Vec<String>> = lines
        .iter()
        .map(|(name, of)| {
            let mut row = vec![(*name).to_owned()];
            row.extend(cells.iter().map(|(_, evidence)| of(evidence)));
            row
        })
        .collect();
    let mut stayed = vec!["in its cgroup when last seen".to_owned()];
    stayed.extend(cells.iter().map(|(_, e)| {
        if e.of_a_cgroup() {
            yes(e.stayed_in_cgroup)
        } else {
            "it has none of its own".into()
        }
    }));
    rows.push(stayed);
    let mut serving = vec!["serving after the hold period".to_owned()];
    serving.extend(
        cells
            .iter()
            .map(|(_, e)| e.serving_after_hold.map_or(NONE.into(), yes)),
    );
    rows.push(serving);
    Table {
        title: "What the kernel says".into(),
        head,
        rows,
    }
}
