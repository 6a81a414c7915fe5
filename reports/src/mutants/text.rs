//! The matrix for a terminal.

use std::fmt::Write as _;

use super::{Meeting, MutantMatrix};
use crate::text::line;

pub(super) fn render(matrix: &MutantMatrix) -> String {
    let mut out = String::new();
    for row in &matrix.rows {
        let _ = writeln!(
            out,
            "{:<11} {:<70} {}/{} killed, {:.1} s",
            row.verdict(),
            row.check,
            row.killed(),
            row.cells.len(),
            row.took_ms() / 1000.0
        );
        if let Some(reason) = &row.control_reason {
            let control = row.control.word();
            let _ = writeln!(
                out,
                "            without a mutant: {control}: {}",
                line(reason)
            );
        }
        for cell in &row.cells {
            // What went wrong stands out.
            let word = match cell.meeting {
                Meeting::Killed => "killed".to_owned(),
                other => other.word().to_uppercase(),
            };
            let _ = writeln!(
                out,
                "            {word:<9} {:<36} {:>6.0} ms  {}",
                cell.mutant,
                cell.took_ms,
                line(&cell.reason)
            );
        }
    }
    let _ = writeln!(out, "{}", matrix.sums());
    for path in &matrix.left {
        let _ = writeln!(out, "still there: {}", line(path));
    }
    out
}
