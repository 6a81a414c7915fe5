//! Judges over histories: pure, so that a history can be judged again from its file.
//!
//! Each defect has one judge that finds it, and the others take its consequences as given; docs/judges.md shows the
//! table, made by mutating good histories. A judge that looked at nothing is errored and never passed; so is one that
//! could not decide, and so is every pass over a history with less load than its header asks for.

mod acknowledged;
mod axis;
mod case;
mod chain;
mod claim;
mod commit;
mod finding;
mod floor;
mod listing;
mod liveness;
mod loss;
mod order;
mod phantom;
mod register;
mod resurrection;
mod revision;
mod settle;
mod stream;
mod tell;
mod watch;
pub mod wgl;

pub use finding::Finding;
pub use liveness::HEARTBEAT;

use case::Case;

use crate::history::{History, Key};
use crate::outcome::Outcome;

/// A judge: its name, and what it holds a history to.
pub struct Judge {
    /// Its name.
    pub name: &'static str,
    /// What is true of a history that it passes, in one sentence.
    pub promise: &'static str,
    judge: fn(&Case<'_>) -> Finding,
}

/// The judges, in the order in which reports show their findings.
pub static JUDGES: &[Judge] = &[
    Judge {
        name: acknowledged::NAME,
        promise: "every acknowledged write survives, or something later does",
        judge: acknowledged::judge,
    },
    Judge {
        name: phantom::NAME,
        promise: "nothing appears that nobody wrote",
        judge: phantom::judge,
    },
    Judge {
        name: order::NAME,
        promise: "one order of the revisions explains every answer, in real time and over all keys",
        judge: order::judge,
    },
    Judge {
        name: register::NAME,
        promise: "some order explains the answers on each key whose revisions do not tell all",
        judge: register::judge,
    },
    Judge {
        name: revision::NAME,
        promise: "no revision is used again for other content",
        judge: revision::judge,
    },
    Judge {
        name: resurrection::NAME,
        promise: "what was deleted does not come back without being created",
        judge: resurrection::judge,
    },
    Judge {
        name: watch::NAME,
        promise: "watches deliver every change once and in order, and their bookmarks are true",
        judge: watch::judge,
    },
    Judge {
        name: liveness::NAME,
        promise: "a watch shows an acknowledged write within five seconds",
        judge: liveness::judge,
    },
    Judge {
        name: listing::NAME,
        promise: "a list is the state at its revision, however many pages it has",
        judge: listing::judge,
    },
];

/// Asks every judge.
#[must_use]
pub fn judge(history: &History) -> Vec<Finding> {
    let case = match Case::read(history) {
        Ok(case) => case,
        Err(why) => return unfit(&format!("the history cannot be judged: {why}")),
    };
    let too_little = floor::too_little(&case);
    let judges = JUDGES.iter().map(|judge| {
        let mut finding = (judge.judge)(&case);
        // What was found was found; but a pass over too little load says nothing.
        if let (Outcome::Passed, Some(why)) = (finding.outcome, &too_little) {
            finding.outcome = Outcome::Errored;
            finding.because = format!("{why}; found nothing in {}", finding.because);
        }
        finding
    });
    judges.collect()
}

/// Every judge errored, for a history that cannot be read or judged.
#[must_use]
pub fn unfit(why: &str) -> Vec<Finding> {
    let judges = JUDGES.iter();
    judges
        .map(|judge| Finding::errored(judge.name, why))
        .collect()
}

/// The search's verdict on one key, whether or not its revisions tell all: the second opinion on the judge of order.
///
/// # Errors
/// When the history cannot be judged at all.
pub fn second_opinion(
    history: &History,
    key: Key,
    budget: &mut u64,
) -> Result<wgl::Verdict, String> {
    let case = Case::read(history)?;
    Ok(register::key_verdict(&case, key, budget))
}
