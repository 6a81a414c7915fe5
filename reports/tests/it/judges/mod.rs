//! The judges, judged: good histories give no finding, and each mutation is found by the judge that is there for it and
//! by no other.

mod agreement;
pub mod log;
pub mod model;
mod mutations;
pub mod plan;
mod plans;
mod rng;
mod table;
mod watches;

use model::{Plan, make};
use reports::history::{History, Request, Revision};
use reports::judge::{Finding, judge};
use reports::outcome::Outcome;

/// What judges found: those that failed, with their words.
fn found(history: &History) -> Vec<Finding> {
    let findings = judge(history).into_iter();
    findings
        .filter(|finding| finding.outcome == Outcome::Failed)
        .collect()
}

/// The revision that a request asks its key to have.
fn expects(request: Request) -> Option<Revision> {
    match request {
        Request::Update { expected, .. } | Request::Delete { expected } => Some(expected),
        _ => None,
    }
}

#[test]
fn a_thousand_good_histories_give_no_finding() {
    let mut passed = std::collections::BTreeMap::<String, u64>::new();
    for seed in 0..1000 {
        for finding in judge(&make(&Plan::of(seed)).history) {
            assert_ne!(finding.outcome, Outcome::Failed, "{seed}: {finding:#?}");
            if finding.outcome == Outcome::Passed {
                *passed.entry(finding.judge).or_default() += 1;
            }
        }
    }
    // That nothing was found says something only where each judge had something to look at.
    assert_eq!(passed.len(), reports::judge::JUDGES.len(), "{passed:?}");
    assert!(passed.values().all(|passed| *passed > 150), "{passed:?}");
}

/// A power cut that takes the last writes, after which their revisions are given out again: two defects, two judges.
#[test]
fn a_roll_back_that_uses_revisions_again_is_told_as_the_two_defects_that_it_is() {
    let mut both = 0;
    for seed in 0..60 {
        let plan = Plan {
            fault: true,
            forgets: 5,
            reuses: true,
            ..Plan::rich(seed)
        };
        let found = found(&make(&plan).history);
        let names: Vec<_> = found.iter().map(|finding| finding.judge.as_str()).collect();
        let known = ["acknowledged", "revision"];
        assert!(
            names.iter().all(|name| known.contains(name)),
            "{seed}: {found:#?}"
        );
        both += usize::from(names == known);
        if let Some(lost) = found.iter().find(|finding| finding.judge == "acknowledged") {
            assert!(
                lost.because.contains("they are a suffix"),
                "{seed}: {found:#?}"
            );
        }
    }
    assert!(both > 40, "{both}");
}
