//! Acknowledged writes survive: each is in the final list, or something later is there instead.

use super::case::{Case, Commit, Fate};
use super::finding::Tally;
use super::{Finding, loss, tell};
use crate::history::Nanos;
use crate::outcome::Outcome;

pub(super) const NAME: &str = "acknowledged";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let mut tally = Tally::default();
    let mut lost: Vec<&Commit> = Vec::new();
    for commit in case.commits.iter().filter(|commit| commit.acknowledged()) {
        tally.fact();
        if commit.fate == Fate::Lost {
            lost.push(commit);
        }
    }
    lost.sort_by_key(|commit| commit.revision);
    for commit in &lost {
        tally.violation(|| format!("lost: {}", tell::commit(case, commit)));
    }
    if case.final_list().is_none() {
        if lost.is_empty() && loss::faults(case).is_empty() {
            let why = "there was no fault to survive, and nobody listed what was there at the end";
            return Finding::skipped(NAME, why);
        }
        let why = "nobody listed what was there at the end, so what survived is not known";
        tally.undecided(why.to_owned());
    }
    let mut finding = tally.finding(NAME, "acknowledged writes", "lost");
    if finding.outcome == Outcome::Failed {
        finding.because.push_str(&shape(case, &lost));
    }
    finding
}

/// Whether what was lost is the end of what was written, as after a power cut, and how old it was.
fn shape(case: &Case<'_>, lost: &[&Commit]) -> String {
    let Some(first) = lost.first() else {
        return String::new();
    };
    let fault = fault_of(case, lost);
    let newest = loss::newest_that_stayed(case, fault.unwrap_or(Nanos::MAX));
    let later = newest > first.revision;
    let holes = if later {
        format!("; they are no suffix: revision {newest} was there afterwards")
    } else {
        "; they are a suffix: nothing later was there afterwards".to_owned()
    };
    let Some(fault) = fault else {
        return format!("{holes}; there was no fault");
    };
    let oldest = lost.iter().map(|commit| fault.saturating_sub(commit.end));
    let oldest = oldest.max().unwrap_or(0);
    format!(
        "{holes}; the oldest was acknowledged {} before the fault",
        tell::duration(oldest)
    )
}

/// The first fault that may have taken the newest of what was lost.
fn fault_of(case: &Case<'_>, lost: &[&Commit]) -> Option<Nanos> {
    let newest = lost.iter().map(|commit| commit.call).max()?;
    let faults = loss::faults(case);
    faults.into_iter().find(|fault| *fault >= newest)
}
