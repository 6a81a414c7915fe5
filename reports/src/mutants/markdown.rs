//! The matrix as a table for a repository's documentation.

use std::fmt::Write as _;

use super::{Meeting, MutantMatrix};
use crate::text::markdown as escape;

pub(super) fn render(matrix: &MutantMatrix) -> String {
    let mut out = format!(
        "# Checks and the mutants that they kill: {}, {}\n\n{}.\n\n| check | verdict | mutants |\n|---|---|---|\n",
        escape(&matrix.distribution),
        escape(&matrix.version),
        matrix.sums()
    );
    for row in &matrix.rows {
        let mutants: Vec<String> = row
            .cells
            .iter()
            .map(|cell| match cell.meeting {
                Meeting::Killed => cell.mutant.clone(),
                other => format!("**{} {}**", cell.mutant, other.word()),
            })
            .collect();
        let what = match &row.control_reason {
            Some(reason) => escape(reason),
            None => mutants.join(", "),
        };
        let _ = writeln!(out, "| `{}` | {} | {what} |", row.check, row.verdict());
    }
    out
}
