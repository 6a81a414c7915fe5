//! A comparison as text for a terminal and as Markdown.

use std::fmt::Write as _;

use super::{Change, Comparison, Pair, Row, Spread, headline};
use crate::format;
use crate::metric::Unit;
use crate::tables::Table;
use crate::text;

/// For a terminal.
#[must_use]
pub fn text(comparison: &Comparison) -> String {
    let mut out = format!(
        "A: {}\nB: {}\n",
        text::line(&comparison.a),
        text::line(&comparison.b)
    );
    for pair in &comparison.pairs {
        let _ = writeln!(out, "\n{}", text::line(&title(pair)));
        for line in findings(pair) {
            let _ = writeln!(out, "{}", text::line(&line));
        }
        out.push_str(&crate::console::columns(&table(pair), 1));
    }
    sentences(&mut out, comparison, "");
    let _ = writeln!(out, "\n{}", headline(comparison));
    out
}

/// For a step summary or a comment.
#[must_use]
pub fn markdown(comparison: &Comparison) -> String {
    let escape = text::markdown;
    let mut out = format!(
        "# {} against {}\n\n**{}**\n\n",
        escape(&comparison.a),
        escape(&comparison.b),
        headline(comparison)
    );
    for pair in &comparison.pairs {
        let _ = writeln!(out, "## {}\n", escape(&title(pair)));
        for line in findings(pair) {
            let _ = writeln!(out, "- {}", escape(&line));
        }
        out.push('\n');
        crate::markdown::rows(&mut out, &table(pair), usize::MAX);
        out.push('\n');
    }
    let mut rest = String::new();
    sentences(&mut rest, comparison, "- ");
    for line in rest.lines() {
        // The mark of a list stays, what follows it is text from elsewhere.
        let line = match line.strip_prefix("- ") {
            Some(rest) => format!("- {}", escape(rest)),
            None => escape(line),
        };
        let _ = writeln!(out, "{line}");
    }
    out
}

fn title(pair: &Pair) -> String {
    let repeats = |side: &super::Side| format::count(side.repeats, "server");
    if pair.a.title == pair.b.title {
        format!(
            "{} ({}, {})",
            pair.a.title,
            repeats(&pair.a),
            repeats(&pair.b)
        )
    } else {
        format!(
            "A: {} ({}); B: {} ({})",
            pair.a.title,
            repeats(&pair.a),
            pair.b.title,
            repeats(&pair.b)
        )
    }
}

fn findings(pair: &Pair) -> Vec<String> {
    let of = |f: &super::Finding| {
        format!(
            "{}: {} {} in A, {} in B",
            f.change.words(),
            f.what,
            f.a.word(),
            f.b.word()
        )
    };
    pair.findings.iter().map(of).collect()
}

fn table(pair: &Pair) -> Table {
    Table {
        title: String::new(),
        head: ["figure", "A", "B", "change", "verdict"]
            .map(str::to_owned)
            .into(),
        rows: pair.rows.iter().map(row).collect(),
    }
}

fn row(row: &Row) -> Vec<String> {
    let unit = row.figure.unit.0;
    vec![
        row.figure.words(),
        spread(&row.a, unit),
        spread(&row.b, unit),
        change(row),
        row.difference.change.words().to_owned(),
    ]
}

/// `12.3 ms (11 to 14, n=5)`: the median, the least and greatest value, and how many there are.
#[must_use]
pub fn spread(spread: &Spread, unit: Unit) -> String {
    let middle = format::value(spread.median, unit);
    if spread.n == 1 {
        return format!("{middle} (n=1)");
    }
    format!(
        "{middle} ({} to {}, n={})",
        format::value(spread.least, unit),
        format::value(spread.greatest, unit),
        spread.n
    )
}

/// `+12 % (+8 % to +16 %)`: the change of the median with its 95 % interval.
fn change(row: &Row) -> String {
    let Some(ratio) = row.difference.ratio.filter(|ratio| ratio.is_finite()) else {
        return crate::tables::NONE.to_owned();
    };
    match row.difference.ratio_interval {
        Some((low, high)) if row.difference.change != Change::TooFew => {
            format!("{} ({} to {})", share(ratio), share(low), share(high))
        }
        _ => share(ratio),
    }
}

/// A ratio as people say it: by percent, and by times where that is easier.
fn share(ratio: f64) -> String {
    if ratio >= 3.0 {
        format!("x{}", format::number(ratio))
    } else {
        let percent = (ratio - 1.0) * 100.0;
        // No "-0.0".
        let percent = if percent.abs() < 0.05 { 0.0 } else { percent };
        format!("{percent:+.1} %")
    }
}

fn sentences(out: &mut String, comparison: &Comparison, mark: &str) {
    for (head, lines) in [
        ("not compared", &comparison.refused),
        ("note", &comparison.notes),
    ] {
        if lines.is_empty() {
            continue;
        }
        let _ = writeln!(out, "\n{head}:");
        for line in lines {
            let _ = writeln!(
                out,
                "{}{}",
                if mark.is_empty() { "  " } else { mark },
                text::line(line)
            );
        }
    }
}
