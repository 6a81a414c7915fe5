//! Kubernetes' own conformance tests in a record: the names of one minor version, which checks answer each, and how
//! each stands.
//!
//! The list is recorded, not looked up: an old run keeps the list by which it was judged. Three numbers come of it and
//! are never added up: names that checks make as they stand, names whose contract is restated, and checks beyond the
//! list. None of them is a certification, for that counts upstream's own program only.

use serde::{Deserialize, Serialize};

use crate::event::CheckFinding;
use crate::figures::Tally;
use crate::outcome::Outcome;
use crate::record::CellRecord;

/// What every report says beside the three numbers.
pub const NO_CERTIFICATION: &str = "These are assay's own checks. They are no certification: only a run of the official test program is.";

/// The letter of the tier of tests that need a node with a kubelet.
pub const NEEDS_KUBELET: &str = "N";
/// The letter of the tier of tests that can only be restated without one.
pub const RESTATED: &str = "R";

/// The official names of one minor version, and the checks that answer them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfficialList {
    /// The minor version whose list it is; `None` where no list applies to the server.
    pub minor: Option<u32>,
    /// Whether the names are required of the server: it claims to be Kubernetes of this minor version.
    pub required: bool,
    /// Why the list is another than that of the server's own version, or why nothing is required.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Every name of the list.
    pub names: Vec<ListedName>,
}

/// One name of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedName {
    /// The test's name without tags but `[sig-*]`, in the text of that version.
    pub name: String,
    /// What it needs, by its letter.
    pub tier: String,
    /// The checks that answer it, all of them together; empty where none does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    /// Whether the checks that answer it are not all that it takes: a test that was split later, of which a part has no
    /// check.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
}

/// A check that answers a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// The check's id.
    pub check: String,
    /// Whether it restates the contract and does not make the test as it stands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restated: bool,
    /// Whether this run did not choose it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unselected: bool,
}

/// How an official name stands, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It needs a node with a kubelet, and no check restates it.
    NeedsKubelet,
    /// No check, or not every check that it takes, is there.
    NotImplemented,
    /// Every check that answers it passed.
    Passed,
    /// A check that answers it was skipped.
    Skipped,
    /// This run did not choose a check that answers it.
    NotSelected,
    /// A check that answers it could not be judged, or has no finding.
    Errored,
    /// A check that answers it failed.
    Failed,
}

impl State {
    /// Every state, in the order in which a reader wants them.
    pub const ALL: [Self; 7] = [
        Self::Failed,
        Self::Errored,
        Self::Passed,
        Self::Skipped,
        Self::NotSelected,
        Self::NotImplemented,
        Self::NeedsKubelet,
    ];

    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::NeedsKubelet => "needs a kubelet",
            Self::NotImplemented => "not implemented",
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::NotSelected => "not selected",
            Self::Errored => "errored",
            Self::Failed => "failed",
        }
    }

    fn of(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Passed => Self::Passed,
            Outcome::Skipped => Self::Skipped,
            Outcome::Errored => Self::Errored,
            Outcome::Failed => Self::Failed,
        }
    }
}

/// One official name and how it stands in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The name and its tier.
    pub listed: &'a ListedName,
    /// Whether a pass of it would be one of the restated contract.
    pub restated: bool,
    /// How it stands.
    pub state: State,
    /// Why, where a check did not pass.
    pub why: Option<&'a str>,
}

/// How many names are in each state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Count {
    /// Names in all.
    pub total: usize,
    /// Passed.
    pub passed: usize,
    /// Failed.
    pub failed: usize,
    /// Errored, or without a finding.
    pub errored: usize,
    /// Skipped.
    pub skipped: usize,
    /// Not chosen by this run.
    pub not_selected: usize,
    /// Without a check.
    pub not_implemented: usize,
    /// In need of a kubelet.
    pub needs_kubelet: usize,
}

impl Count {
    fn add(&mut self, state: State) {
        self.total += 1;
        *self.slot(state) += 1;
    }

    fn slot(&mut self, state: State) -> &mut usize {
        match state {
            State::NeedsKubelet => &mut self.needs_kubelet,
            State::NotImplemented => &mut self.not_implemented,
            State::Passed => &mut self.passed,
            State::Skipped => &mut self.skipped,
            State::NotSelected => &mut self.not_selected,
            State::Errored => &mut self.errored,
            State::Failed => &mut self.failed,
        }
    }

    /// How many are in a state.
    #[must_use]
    pub fn of(mut self, state: State) -> usize {
        *self.slot(state)
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped, {} errored, {} not implemented, {} not selected, {} in need of a kubelet",
            self.passed,
            self.failed,
            self.skipped,
            self.errored,
            self.not_implemented,
            self.not_selected,
            self.needs_kubelet
        )
    }
}

/// The three numbers of a cell. They are of different things and are never added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Numbers {
    /// Official names that checks make as they stand, and those that nobody makes.
    pub official: Count,
    /// Official names whose contract is restated.
    pub restated: Count,
    /// Checks that answer no name of the list.
    pub beyond: Tally,
    /// Those of them that answer a name of another minor version's list.
    pub other_minors: Tally,
}

impl CellRecord {
    /// Every official name of the cell's list and how it stands, in the order of the list; empty without a list.
    #[must_use]
    pub fn standings(&self) -> Vec<Standing<'_>> {
        let names = self.official.iter().flat_map(|list| &list.names);
        names.map(|listed| standing(self, listed)).collect()
    }

    /// The three numbers; `None` for a cell without a list: no checks ran in it, or an older assay wrote it.
    #[must_use]
    pub fn numbers(&self) -> Option<Numbers> {
        self.official.as_ref()?;
        let (mut official, mut restated) = (Count::default(), Count::default());
        for standing in self.standings() {
            if standing.restated {
                restated.add(standing.state);
            } else {
                official.add(standing.state);
            }
        }
        let beyond = || self.checks.iter().filter(|check| self.is_beyond(check));
        Some(Numbers {
            official,
            restated,
            beyond: Tally::of(beyond().map(CheckFinding::counted)),
            other_minors: Tally::of(
                beyond()
                    .filter(|check| !check.official.is_empty())
                    .map(CheckFinding::counted),
            ),
        })
    }

    /// What a check is to the cell's list, in words; `None` without a list.
    #[must_use]
    pub fn bound(&self, check: &CheckFinding) -> Option<String> {
        let list = self.official.as_ref()?;
        let names = list.names.iter();
        let answers: Vec<bool> = names
            .flat_map(|listed| listed.answers.iter().map(move |answer| (listed, answer)))
            .filter(|(_, answer)| answer.check == check.id)
            .map(|(listed, answer)| answer.restated || listed.tier == RESTATED)
            .collect();
        Some(match (answers.contains(&false), answers.contains(&true)) {
            (true, true) => "official and restated".into(),
            (true, false) => "official".into(),
            (false, true) => "restated".into(),
            (false, false) if check.official.is_empty() => "beyond conformance".into(),
            (false, false) => list.minor.map_or("beyond this version".into(), |minor| {
                format!("beyond v1.{minor}")
            }),
        })
    }

    fn is_beyond(&self, check: &CheckFinding) -> bool {
        let list = self.official.as_ref();
        !list.is_some_and(|list| answers(list).any(|answer| answer.check == check.id))
    }
}

fn answers(list: &OfficialList) -> impl Iterator<Item = &Answer> {
    list.names.iter().flat_map(|listed| &listed.answers)
}

fn standing<'a>(cell: &'a CellRecord, listed: &'a ListedName) -> Standing<'a> {
    let restated = listed.tier == RESTATED || listed.answers.iter().any(|answer| answer.restated);
    // The gravest answer counts: a name has passed when every check that it takes has.
    let worst = listed.answers.iter().map(|answer| answered(cell, answer));
    let worst = worst.max_by_key(|(state, _)| *state);
    let worst = worst.filter(|_| !listed.incomplete);
    let (state, why) = worst.unwrap_or(if listed.tier == NEEDS_KUBELET {
        (State::NeedsKubelet, None)
    } else {
        (State::NotImplemented, None)
    });
    Standing {
        listed,
        restated,
        state,
        why,
    }
}

fn answered<'a>(cell: &'a CellRecord, answer: &Answer) -> (State, Option<&'a str>) {
    let findings = cell.checks.iter().filter(|check| check.id == answer.check);
    match findings.max_by_key(|check| check.counted()) {
        Some(check) if check.counted() == Outcome::Passed => (State::Passed, None),
        Some(check) => (State::of(check.counted()), Some(check.why())),
        None if answer.unselected => (State::NotSelected, None),
        None => (
            State::Errored,
            Some("it has no finding: the run ended before it"),
        ),
    }
}
