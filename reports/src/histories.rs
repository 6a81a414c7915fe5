//! The histories of a run: files beside its journal, and what the judges found in each.
//!
//! The journal names a history before its first operation. Who reads a run hands the file's text to [`HistoryRecord`],
//! at the run's end and whenever it is reported again, so that the findings are always of the judges at hand. A history
//! that was named and cannot be read is errored, not forgotten.

use serde::{Deserialize, Serialize};

use crate::history::History;
use crate::judge::{self, Finding};

/// The folder of a run's histories, beside its journal.
pub const FOLDER: &str = "histories";

/// A history that is about to be recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryNamed {
    /// The suite.
    pub suite: String,
    /// The scenario.
    pub scenario: String,
    /// Which part of it.
    pub part: String,
    /// The file, relative to the run's folder: `histories/<name>`.
    pub file: String,
}

/// A history, and what was found in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRecord {
    /// What it is of, and where.
    #[serde(flatten)]
    pub named: HistoryNamed,
    /// Requests and lists in it.
    pub operations: u64,
    /// What each judge found; empty until it was judged.
    pub findings: Vec<Finding>,
}

impl HistoryRecord {
    /// One that nobody has judged yet.
    #[must_use]
    pub fn new(named: HistoryNamed) -> Self {
        Self {
            named,
            operations: 0,
            findings: Vec::new(),
        }
    }

    /// The file, if its name stays inside the run's folder. A journal is another's text.
    #[must_use]
    pub fn file(&self) -> Option<&str> {
        let name = self.named.file.strip_prefix(FOLDER)?.strip_prefix('/')?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let inside = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        inside.then_some(self.named.file.as_str())
    }

    /// Judges it by its file's text, or says why there is none. Earlier findings are replaced.
    pub fn judge(&mut self, text: Result<&str, String>) {
        let read =
            text.and_then(|text| History::from_text(text).map_err(|error| error.to_string()));
        let history = match read {
            Ok(history) => history,
            Err(why) => return self.unread(&why),
        };
        let (header, named) = (&history.header, &self.named);
        if (&header.suite, &header.scenario, &header.part)
            != (&named.suite, &named.scenario, &named.part)
        {
            return self.unread("the file is of another history than the journal says");
        }
        self.operations = (history.operations.len() + history.listings.len()) as u64;
        self.findings = judge::judge(&history);
    }

    fn unread(&mut self, why: &str) {
        self.operations = 0;
        self.findings = judge::unfit(why);
    }

    /// Its name in reports, such as `datastore/faults (kill)`.
    #[must_use]
    pub fn title(&self) -> String {
        let HistoryNamed {
            suite,
            scenario,
            part,
            ..
        } = &self.named;
        format!("{suite}/{scenario} ({part})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Outcome;

    fn of(file: &str) -> HistoryRecord {
        HistoryRecord::new(HistoryNamed {
            suite: "datastore".into(),
            scenario: "s".into(),
            part: "p".into(),
            file: file.into(),
        })
    }

    #[test]
    fn a_name_that_leads_out_of_the_folder_is_none() {
        assert!(of("histories/native-k3s-sqlite-s-p.jsonl").file().is_some());
        for hostile in [
            "",
            "histories",
            "histories/",
            "/etc/passwd",
            "histories/../events.jsonl",
            "histories/..",
            "histories//x",
            "histories/a/b",
            "histories/.hidden",
            "histories/x\0y",
            "historiesx",
        ] {
            assert_eq!(of(hostile).file(), None, "{hostile:?}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_errored_by_every_judge() {
        let mut record = of("histories/x");
        for text in [Err("it is missing".to_owned()), Ok(""), Ok("{}\n")] {
            record.judge(text);
            assert_eq!(record.findings.len(), judge::JUDGES.len());
            let mut findings = record.findings.iter();
            assert!(findings.all(|finding| finding.outcome == Outcome::Errored));
        }
    }
}
