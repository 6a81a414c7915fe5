//! What a judge found.

use serde::{Deserialize, Serialize};

use crate::outcome::Outcome;

/// No finding tells more operations than this; `because` tells how many there are.
const EVIDENCE: usize = 12;

/// What one judge found in one history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The judge.
    pub judge: String,
    /// Its class. Undecided is `Errored`, and so is a judge that looked at nothing; `Skipped`: the history has nothing
    /// that the judge could be asked about.
    pub outcome: Outcome,
    /// How many facts it examined: what a fact is, `because` says.
    pub facts: u64,
    /// What it rests on, in a sentence.
    pub because: String,
    /// The operations that show it, capped.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
}

/// A finding in the making: facts are counted, violations are collected.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Facts so far.
    pub(super) facts: u64,
    /// Violations so far.
    pub(super) violations: u64,
    evidence: Vec<String>,
    undecided: Option<String>,
}

impl Tally {
    pub(super) fn fact(&mut self) {
        self.facts += 1;
    }

    /// A violation, told lazily: a broken history may have a hundred thousand of them.
    pub(super) fn violation(&mut self, tell: impl FnOnce() -> String) {
        self.violations += 1;
        if self.evidence.len() < EVIDENCE {
            self.evidence.push(tell());
        }
    }

    /// Something could not be decided. A violation outweighs it.
    pub(super) fn undecided(&mut self, why: String) {
        self.undecided.get_or_insert(why);
    }

    /// The finding; `what` is the fact's name in the plural, `wrong` is what a violation is called.
    pub(super) fn finding(self, judge: &str, what: &str, wrong: &str) -> Finding {
        let facts = self.facts;
        let (outcome, because) = if self.violations > 0 {
            (
                Outcome::Failed,
                format!("{} {wrong}, among {facts} {what}", self.violations),
            )
        } else if let Some(why) = self.undecided {
            (Outcome::Errored, format!("undecided: {why}"))
        } else if facts == 0 {
            let because = format!("there were no {what} to look at, so it says nothing");
            (Outcome::Errored, because)
        } else {
            (
                Outcome::Passed,
                format!("{facts} {what}, all as they must be"),
            )
        };
        Finding {
            judge: judge.to_owned(),
            outcome,
            facts,
            because,
            evidence: self.evidence,
        }
    }
}

impl Finding {
    /// A judge that the history has nothing for.
    pub(super) fn skipped(judge: &str, because: &str) -> Self {
        Self::bare(judge, Outcome::Skipped, because)
    }

    /// A judge that could not be asked.
    #[must_use]
    pub fn errored(judge: &str, because: &str) -> Self {
        Self::bare(judge, Outcome::Errored, because)
    }

    fn bare(judge: &str, outcome: Outcome, because: &str) -> Self {
        Self {
            judge: judge.to_owned(),
            outcome,
            facts: 0,
            because: because.to_owned(),
            evidence: Vec::new(),
        }
    }
}
