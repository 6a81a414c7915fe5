//! The summary at the end of a run on a terminal, and `summary.txt`, the same without colour.

use std::fmt::Write as _;

use crate::figures::{Tally, by_reason};
use crate::outcome::Outcome;
use crate::overview::{self, Gravity};
use crate::record::{CellRecord, RunRecord};
use crate::{RenderError, RenderedFile, Report, one_file, tables, text};

/// The plain summary as a file.
pub struct Console;

impl Report for Console {
    fn name(&self) -> &'static str {
        "console"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        Ok(one_file("summary.txt", summary(run, false)))
    }
}

/// The most lines of one kind before the rest is only counted.
const MOST: usize = 20;

/// The summary. Counts of passed, failed, skipped and errored are always there, also when they are 0, and
/// whatever did not pass says why. With `colour`, ANSI colours; the widths do not depend on it.
#[must_use]
pub fn summary(run: &RunRecord, colour: bool) -> String {
    let ink = Ink(colour);
    let mut out = String::new();
    let notices = overview::notices(run);
    for notice in notices.iter().filter(|n| n.gravity == Gravity::Grave) {
        let _ = writeln!(
            out,
            "{}",
            ink.paint("1;33", &wrap(&text::line(&notice.text), "!! "))
        );
    }
    cells(&mut out, run, &ink);
    for bargain in crate::stores::bargains(run) {
        let _ = writeln!(out, "{}", text::line(&bargain.title));
        out.push_str(&columns(&bargain.table(), 1));
        for line in bargain.footnotes() {
            let _ = writeln!(out, "{}", text::line(&line));
        }
        out.push('\n');
    }
    for cell in &run.cells {
        official(&mut out, cell);
    }
    for cell in &run.cells {
        findings(&mut out, cell, &ink);
    }
    let skipped = run
        .cells
        .iter()
        .flat_map(|cell| &cell.checks)
        .filter(|check| check.counted() == Outcome::Skipped)
        .map(|check| check.why());
    for (reason, n) in by_reason(skipped).into_iter().take(MOST) {
        let _ = writeln!(
            out,
            "{} {n} x {}",
            ink.word(Outcome::Skipped),
            text::line(reason)
        );
    }
    for notice in notices.iter().filter(|n| n.gravity == Gravity::Warning) {
        let _ = writeln!(
            out,
            "{} {}",
            ink.paint("33", "warning"),
            text::line(&notice.text)
        );
    }
    let _ = writeln!(out, "{}", overview::observer(run));
    let _ = writeln!(out, "checks: {}", Tally::checks(&run.cells));
    let verdicts = run
        .cells
        .iter()
        .flat_map(|c| c.verdicts.iter().map(|v| v.outcome));
    let _ = writeln!(out, "verdicts: {}", Tally::of(verdicts));
    let code = crate::exit_code(run);
    let style = if code == crate::ExitCode::Passed {
        "1;32"
    } else {
        "1;31"
    };
    let _ = writeln!(
        out,
        "{} (exit {}): {}",
        ink.paint(style, overview::word(code)),
        code.code(),
        code.meaning()
    );
    out
}

struct Ink(bool);

impl Ink {
    fn paint(&self, style: &str, words: &str) -> String {
        if self.0 {
            format!("\u{1b}[{style}m{words}\u{1b}[0m")
        } else {
            words.to_owned()
        }
    }

    fn word(&self, outcome: Outcome) -> String {
        let style = match outcome {
            Outcome::Passed => "32",
            Outcome::Skipped => "36",
            Outcome::Errored => "35",
            Outcome::Failed => "31",
        };
        self.paint(style, &format!("{:<7}", outcome.word()))
    }
}

/// The table of cells.
fn cells(out: &mut String, run: &RunRecord, ink: &Ink) {
    let text = columns(&tables::cells(run), 2);
    let (head, rows) = text.split_once('\n').unwrap_or((&text, ""));
    let _ = writeln!(out, "{}\n{rows}", ink.paint("2", head));
}

/// A table with columns as wide as their widest entry; the first `names` of them to the left, figures to the right.
pub(crate) fn columns(table: &tables::Table, names: usize) -> String {
    let rows: Vec<Vec<String>> = std::iter::once(&table.head)
        .chain(&table.rows)
        .map(|row| row.iter().map(|c| text::line(c)).collect())
        .collect();
    let widths: Vec<usize> = (0..table.head.len())
        .map(|column| {
            let width = |row: &Vec<String>| row[column].chars().count();
            rows.iter().map(width).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for row in &rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            if column < names {
                let _ = write!(line, "{cell:<width$}");
            } else {
                let _ = write!(line, "{cell:>width$}");
            }
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// The three numbers of a cell, a line each.
fn official(out: &mut String, cell: &CellRecord) {
    let (Some(list), Some(numbers)) = (&cell.official, cell.numbers()) else {
        return;
    };
    let id = text::line(&cell.id);
    let of = match list.minor {
        Some(minor) => format!("official tests of Kubernetes v1.{minor}"),
        None => "no list of official tests".to_owned(),
    };
    let _ = writeln!(out, "{id}  against {of}; this is no certification");
    for (what, count) in [
        ("official", numbers.official),
        ("restated", numbers.restated),
    ] {
        let _ = writeln!(out, "  {what}  {} names: {count}", count.total);
    }
    let (all, other) = (numbers.beyond, numbers.other_minors.total());
    let _ = writeln!(
        out,
        "  beyond    {} checks: {all}; {other} on the lists of other versions, {} on none",
        all.total(),
        all.total() - other
    );
    if let Some(note) = &list.note {
        let _ = writeln!(out, "  note      {}", text::line(note));
    }
    out.push('\n');
}

/// What did not pass in a cell: verdicts, then failed and errored checks.
fn findings(out: &mut String, cell: &CellRecord, ink: &Ink) {
    let id = text::line(&cell.id);
    let verdicts = cell
        .verdicts
        .iter()
        .filter(|v| v.outcome != Outcome::Passed && v.gate != "checks")
        .map(|v| {
            (
                v.outcome,
                format!("{}: {}", v.gate, v.what),
                v.because.as_str(),
            )
        });
    let checks = cell
        .checks
        .iter()
        .filter(|c| c.counted() >= Outcome::Errored)
        .map(|c| (c.counted(), c.id.clone(), c.why()));
    let all: Vec<_> = verdicts.chain(checks).collect();
    for (outcome, what, why) in all.iter().take(MOST) {
        let (what, why) = (text::line(what), text::line(why));
        let _ = writeln!(out, "{} {id}  {what}: {why}", ink.word(*outcome));
    }
    if all.len() > MOST {
        let _ = writeln!(
            out,
            "        {id}  and {} more in the report",
            all.len() - MOST
        );
    }
}

/// Breaks a text into lines of at most 100 characters, each with the mark in front.
fn wrap(words: &str, mark: &str) -> String {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let last = lines.last_mut().expect("there is always a line");
        if !last.is_empty() && last.chars().count() + word.chars().count() >= 100 {
            lines.push(word.to_owned());
        } else {
            if !last.is_empty() {
                last.push(' ');
            }
            last.push_str(word);
        }
    }
    lines
        .iter()
        .map(|line| format!("{mark}{line}"))
        .collect::<Vec<_>>()
        .join("\n")
}
