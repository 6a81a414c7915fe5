//! The matrix of checks and mutants: which defect each check noticed, on which server.

mod html;
mod markdown;
mod text;

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// How a check met a mutant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Meeting {
    /// The check failed, as it must.
    Killed,
    /// The check passed: it does not see the defect.
    Survived,
    /// The check passed because the defect never came to act: the declaration is wrong.
    Idle,
    /// The check was Errored: nothing is proven.
    Errored,
}

impl Meeting {
    /// The lower-case word used in every output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Survived => "survived",
            Self::Idle => "idle",
            Self::Errored => "errored",
        }
    }
}

/// One cell of the matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MutantCell {
    /// The mutant's name.
    pub mutant: String,
    /// How it went.
    pub meeting: Meeting,
    /// What the check said.
    pub reason: String,
    /// Milliseconds until it said so.
    pub took_ms: f64,
}

/// A check under no mutant and under each of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MutantRow {
    /// The check's id.
    pub check: String,
    /// Under no mutant. Anything but Passed makes the row worthless.
    pub control: Outcome,
    /// Why the control did not pass.
    pub control_reason: Option<String>,
    /// The cells; empty unless the control passed.
    pub cells: Vec<MutantCell>,
}

impl MutantRow {
    /// Whether the check is proven: it passes on the healthy server and kills at least one mutant and all that it declares.
    #[must_use]
    pub fn proven(&self) -> bool {
        self.control == Outcome::Passed
            && !self.cells.is_empty()
            && self.killed() == self.cells.len()
    }

    /// The number of mutants that it killed.
    #[must_use]
    pub fn killed(&self) -> usize {
        let killed = |cell: &&MutantCell| cell.meeting == Meeting::Killed;
        self.cells.iter().filter(killed).count()
    }

    fn verdict(&self) -> &'static str {
        match self.control {
            Outcome::Skipped => "skipped",
            _ if self.proven() => "proven",
            _ => "NOT PROVEN",
        }
    }

    /// Milliseconds under all its mutants together.
    fn took_ms(&self) -> f64 {
        // An empty sum is minus nought.
        self.cells
            .iter()
            .map(|cell| cell.took_ms)
            .sum::<f64>()
            .max(0.0)
    }
}

/// The whole matrix.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MutantMatrix {
    /// The distribution that served, as `--distribution` names it.
    pub distribution: String,
    /// What the server calls its version; hostile text.
    pub version: String,
    /// One row a check, in the order of the table.
    pub rows: Vec<MutantRow>,
    /// Paths of objects that stayed behind.
    pub left: Vec<String>,
}

impl MutantMatrix {
    /// Cells of this kind.
    #[must_use]
    pub fn count(&self, meeting: Meeting) -> usize {
        self.rows
            .iter()
            .flat_map(|row| &row.cells)
            .filter(|cell| cell.meeting == meeting)
            .count()
    }

    /// Whether every check that was not skipped is proven, and at least one was.
    #[must_use]
    pub fn proven(&self) -> bool {
        let mut examined = self
            .rows
            .iter()
            .filter(|row| row.control != Outcome::Skipped)
            .peekable();
        examined.peek().is_some() && examined.all(MutantRow::proven)
    }

    /// The sums in one line.
    #[must_use]
    pub fn sums(&self) -> String {
        let skipped = self
            .rows
            .iter()
            .filter(|row| row.control == Outcome::Skipped)
            .count();
        format!(
            "{} checks, {} proven, {skipped} skipped; {} mutants killed, {} survived, {} idle, {} errored",
            self.rows.len(),
            self.rows.iter().filter(|row| row.proven()).count(),
            self.count(Meeting::Killed),
            self.count(Meeting::Survived),
            self.count(Meeting::Idle),
            self.count(Meeting::Errored)
        )
    }

    /// For a terminal: one line a check, its mutants beneath it, then the sums.
    #[must_use]
    pub fn text(&self) -> String {
        text::render(self)
    }

    /// For a repository: a table without times, so that it changes only with what it says.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// For a browser: one file, without network and without scripts.
    #[must_use]
    pub fn html(&self) -> String {
        html::render(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> MutantMatrix {
        let cell = |mutant: &str, meeting| MutantCell {
            mutant: mutant.to_owned(),
            meeting,
            reason: "seen: <b>".to_owned(),
            took_ms: 120.0,
        };
        let row = |check: &str, control, cells| MutantRow {
            check: check.to_owned(),
            control,
            control_reason: (control != Outcome::Passed).then(|| "no | such thing".to_owned()),
            cells,
        };
        MutantMatrix {
            distribution: "reference".to_owned(),
            version: "v1.36.0".to_owned(),
            rows: vec![
                row(
                    "a/kills",
                    Outcome::Passed,
                    vec![cell("m", Meeting::Killed), cell("n", Meeting::Killed)],
                ),
                row("a/lacks", Outcome::Skipped, Vec::new()),
            ],
            left: Vec::new(),
        }
    }

    #[test]
    fn a_matrix_is_proven_by_kills_alone() {
        let mut matrix = matrix();
        assert!(matrix.proven());
        for meeting in [Meeting::Survived, Meeting::Idle, Meeting::Errored] {
            matrix.rows[0].cells[1].meeting = meeting;
            assert!(!matrix.proven(), "{meeting:?}");
        }
        matrix.rows.remove(0);
        assert!(!matrix.proven(), "where all was skipped nothing is proven");
    }

    #[test]
    fn a_check_without_mutants_or_with_a_failed_control_is_not_proven() {
        let mut matrix = matrix();
        matrix.rows[0].cells.clear();
        assert!(!matrix.proven());
        matrix.rows[0].control = Outcome::Failed;
        assert!(!matrix.proven());
    }

    #[test]
    fn every_rendering_tells_the_sums_and_escapes() {
        let matrix = matrix();
        let sums = "2 checks, 1 proven, 1 skipped; 2 mutants killed, 0 survived, 0 idle, 0 errored";
        for text in [matrix.text(), matrix.markdown(), matrix.html()] {
            assert!(text.contains(sums), "{text}");
        }
        assert!(matrix.html().contains("seen: &lt;b&gt;"));
        assert!(matrix.markdown().contains("no \\| such thing"));
        let text = serde_json::to_string(&matrix).unwrap_or_default();
        assert_eq!(
            serde_json::from_str::<MutantMatrix>(&text).ok(),
            Some(matrix)
        );
    }
}
