//! Findings as a table or as JSON. Pure.

use std::fmt::Write;

use serde::Serialize;

use super::{Finding, State, fix};

/// How the table is meant to look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Colours the states.
    pub colour: bool,
    /// Shows commands as root types them, without sudo.
    pub is_root: bool,
}

/// Renders findings (all, or those that were asked for) as an aligned table; what is not well is followed by what to do about it.
pub fn render_text(findings: &[Finding], can_run: bool, look: Look) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.what.len())
        .max()
        .unwrap_or(0);
    let indent = " ".repeat(width + 12);
    let mut text = String::new();
    for finding in findings {
        let state = state(finding.state, look.colour);
        // Details quote files of the host, which may hold anything.
        let detail: String = finding.detail.chars().filter(|c| !c.is_control()).collect();
        let _ = writeln!(text, "{:width$}  {state}  {detail}", finding.what);
        if finding.state == State::Ok {
            continue;
        }
        let _ = writeln!(text, "{indent}for: {}", finding.enables);
        if let Some(fix) = &finding.fix {
            let _ = writeln!(text, "{indent}fix: {}", fix::shown(fix, look.is_root));
        }
    }
    let fixable = findings
        .iter()
        .filter(|finding| finding.fix.is_some())
        .count();
    let verdict = if can_run {
        "assay suite all can run here"
    } else {
        "assay suite all cannot run here until the missing essentials are mended"
    };
    let _ = writeln!(text, "\n{verdict}.");
    if fixable > 0 {
        let _ = writeln!(
            text,
            "assay doctor --fix runs the {fixable} command(s) above; --only <id> picks one."
        );
    }
    text
}

fn state(state: State, colour: bool) -> String {
    let (word, code) = match state {
        State::Ok => ("ok", 32),
        State::Degraded => ("degraded", 33),
        State::Missing => ("missing", 31),
    };
    // Padded before it is coloured, since escape codes have no width.
    if colour {
        format!("\u{1b}[{code}m{word:8}\u{1b}[0m")
    } else {
        format!("{word:8}")
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    can_run: bool,
    findings: &'a [Finding],
}

/// Renders findings as JSON: `{"schema": 1, "can_run": ..., "findings": [...]}`.
pub fn render_json(findings: &[Finding], can_run: bool) -> String {
    let document = Document {
        schema: 1,
        can_run,
        findings,
    };
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}
