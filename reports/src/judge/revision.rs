//! No revision is used again for other content: what a revision made of which key, and at which revision a value was
//! written, are functions, over everything that was said by answers, lists and watches.

use std::collections::HashMap;

use super::case::{Case, Standing};
use super::claim::{self, Claim, Source};
use super::finding::Tally;
use super::{Finding, tell};
use crate::history::Revision;

pub(super) const NAME: &str = "revision";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let mut tally = Tally::default();
    // Of a revision that means two things, both are told.
    let mut first: HashMap<Revision, Claim> = HashMap::new();
    let mut told: HashMap<Revision, u32> = HashMap::new();
    claim::each(case.history, |claim| {
        let standing = case.standing(&claim);
        if matches!(standing, Standing::Phantom(_)) {
            return;
        }
        tally.fact();
        let revision = claim.revision;
        if standing == Standing::Contradicted {
            tally.violation(|| format!("contradicted: {}", tell::claim(case, &claim)));
        } else if case.tainted.contains(&revision) {
            let earlier = first.entry(revision).or_insert(claim);
            // Two writes are two, even if both deleted the same key.
            let writes = matches!(
                (earlier.source, claim.source),
                (Source::Write(one), Source::Write(other)) if one != other
            );
            let differs = writes || (earlier.key, earlier.content) != (claim.key, claim.content);
            let times = told.entry(revision).or_default();
            if differs && *times == 0 {
                *times += 1;
                let earlier = *earlier;
                tally.violation(|| {
                    format!(
                        "revision {revision} was used twice: {}; and {}",
                        tell::claim(case, &earlier),
                        tell::claim(case, &claim)
                    )
                });
            }
        }
    });
    tally.finding(
        NAME,
        "statements of what a revision is",
        "say something else of a revision or a value than others",
    )
}
