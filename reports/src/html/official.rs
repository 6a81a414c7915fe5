//! The official names of the server's version: three numbers that are never added up, and every name with its state.

use std::fmt::Write as _;

use crate::figures::Tally;
use crate::official::{Count, NO_CERTIFICATION, Numbers, OfficialList, Standing, State};
use crate::record::{CellRecord, RunRecord};
use crate::text::html as escape;

pub(super) fn render(run: &RunRecord) -> String {
    let mut out = String::new();
    for (nth, cell) in run.cells.iter().enumerate() {
        if let (Some(list), Some(numbers)) = (&cell.official, cell.numbers()) {
            one(&mut out, nth, cell, list, &numbers);
        }
    }
    if !out.is_empty() {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(NO_CERTIFICATION));
    }
    out
}

fn one(out: &mut String, nth: usize, cell: &CellRecord, list: &OfficialList, numbers: &Numbers) {
    let against = list.minor.map_or("no list applies".into(), |minor| {
        let names = list.names.len();
        format!("the {names} official tests of Kubernetes v1.{minor}")
    });
    let _ = writeln!(out, "<h3>{}: {}</h3>", escape(&cell.id), escape(&against));
    if let Some(note) = &list.note {
        let _ = writeln!(out, "<p class=\"soft\">{}</p>", escape(note));
    }
    out.push_str("<div class=\"cards numbers\">\n");
    names_card(out, "Official, as they stand", numbers.official);
    names_card(out, "Restated without a kubelet", numbers.restated);
    beyond_card(out, list, numbers);
    out.push_str("</div>\n");
    let standings = cell.standings();
    if !standings.is_empty() {
        names(out, nth, &standings);
    }
}

/// What the letters of the tiers mean.
const TIERS: &str = "Tiers: A needs the API server alone; B the controller manager as well; P takes pods as data that \
     never run; K goes through kubectl; W needs an endpoint that the server can call; R waits for a pod or a node \
     upstream, and its contract is restated here; N needs a node with a kubelet.";

/// A state's class in the style sheet.
fn class(state: State) -> &'static str {
    match state {
        State::NeedsKubelet => "kubelet",
        State::NotImplemented => "missing",
        State::Passed => "passed",
        State::Skipped => "skipped",
        State::NotSelected => "unselected",
        State::Errored => "errored",
        State::Failed => "failed",
    }
}

/// A state of several names.
fn in_the_plural(state: State) -> &'static str {
    match state {
        State::NeedsKubelet => "need a kubelet",
        state => state.words(),
    }
}

fn names_card(out: &mut String, heading: &str, count: Count) {
    let parts: Vec<(&str, &str, usize)> = State::ALL
        .into_iter()
        .map(|state| (class(state), in_the_plural(state), count.of(state)))
        .collect();
    // What needs a kubelet is no gap of this run, so the figure is of those that do not.
    let total = count.total - count.needs_kubelet;
    card(out, heading, count.passed, total, "names", &parts);
    out.push_str("</article>\n");
}

fn beyond_card(out: &mut String, list: &OfficialList, numbers: &Numbers) {
    let Tally {
        passed,
        failed,
        skipped,
        errored,
    } = numbers.beyond;
    let parts = [
        ("failed", "failed", failed),
        ("errored", "errored", errored),
        ("passed", "passed", passed),
        ("skipped", "skipped", skipped),
    ];
    let total = numbers.beyond.total();
    let heading = match list.minor {
        Some(minor) => format!("Beyond v1.{minor}"),
        None => "Beyond any list".to_owned(),
    };
    card(out, &heading, passed, total, "checks", &parts);
    let other = numbers.other_minors.total();
    let _ = writeln!(
        out,
        "<p class=\"soft\">{other} of the lists of other versions, {} of none.</p>\n</article>",
        total - other
    );
}

/// A figure, a bar of its parts, and the parts in words; it leaves the card open.
fn card(
    out: &mut String,
    heading: &str,
    passed: usize,
    total: usize,
    of: &str,
    parts: &[(&str, &str, usize)],
) {
    let _ = write!(
        out,
        "<article class=\"card\">\n<h4>{}</h4>\n<p class=\"number\"><b>{passed}</b> of {total} {of} passed</p>\n\
         <div class=\"stack\" aria-hidden=\"true\">",
        escape(heading)
    );
    let some = || parts.iter().filter(|(_, _, n)| *n > 0);
    for (class, _, n) in some() {
        let _ = write!(out, "<i class=\"s-{class}\" style=\"flex-grow:{n}\"></i>");
    }
    out.push_str("</div>\n<ul class=\"legend\">");
    for (class, words, n) in some() {
        let _ = write!(out, "<li><i class=\"s-{class}\"></i>{n} {words}</li>");
    }
    out.push_str("</ul>\n");
}

/// Every name, behind a fold, with buttons that show one state: radio buttons, for there are no scripts.
fn names(out: &mut String, nth: usize, standings: &[Standing<'_>]) {
    let _ = writeln!(
        out,
        "<details class=\"names\"><summary>every name and its state</summary>\n\
         <input type=\"radio\" name=\"names-{nth}\" id=\"names-{nth}-all\" checked>\
         <label for=\"names-{nth}-all\">all {}</label>",
        standings.len()
    );
    for state in State::ALL {
        let count = standings.iter().filter(|one| one.state == state).count();
        if count > 0 {
            let class = class(state);
            let _ = writeln!(
                out,
                "<input type=\"radio\" name=\"names-{nth}\" id=\"names-{nth}-{class}\" class=\"f-{class}\">\
                 <label for=\"names-{nth}-{class}\">{} {count}</label>",
                state.words()
            );
        }
    }
    let _ = writeln!(out, "<p class=\"soft\">{TIERS}</p>");
    out.push_str(
        "<table class=\"checks\">\n<tr><th>state</th><th>tier</th><th>official test</th></tr>\n",
    );
    let mut sorted: Vec<_> = standings.iter().collect();
    // What failed first; a stable sort keeps the list's order within each state.
    sorted.sort_by_key(|one| State::ALL.iter().position(|state| *state == one.state));
    for one in sorted {
        row(out, one);
    }
    out.push_str("</table>\n</details>\n");
}

fn row(out: &mut String, one: &Standing<'_>) {
    let class = class(one.state);
    let _ = write!(
        out,
        "<tr class=\"s-{class}\"><td><span class=\"tag {class}\">{}</span></td><td>{}</td><td>{}",
        one.state.words(),
        escape(&one.listed.tier),
        escape(&one.listed.name)
    );
    for answer in &one.listed.answers {
        let how = if answer.restated { ", restated" } else { "" };
        let _ = write!(
            out,
            "<br><span class=\"soft\"><code>{}</code>{how}</span>",
            escape(&answer.check)
        );
    }
    if let Some(why) = one.why {
        let _ = write!(out, "<br>{}", escape(why));
    }
    out.push_str("</td></tr>\n");
}
