//! Two checkers that know nothing of each other agree.

use proptest::prelude::*;
use reports::history::{Answer, Level, Version};
use reports::judge::{second_opinion, wgl::Verdict};

use super::found;
use super::model::{Made, Plan, make};
use super::rng::Rng;

/// Histories without another judge's matter in them: no lists, no watches, no restart, one key, answers with revisions.
fn plan(seed: u64, clients: u32, unknown: u64, deletes: bool) -> Plan {
    Plan {
        seed,
        clients,
        keys: 1,
        operations: 120,
        unknown,
        level: Level::Datastore,
        watches: 0,
        // Much at once, so that there is something to decide.
        think: 20_000_000,
        fault: false,
        forgets: 0,
        reuses: false,
        final_list: true,
        lists: false,
        deletes,
    }
}

/// Lets some reads show any version that the key ever had, without saying of which revision the answer is.
fn corrupt(made: &mut Made, rng: &mut Rng, reads: u64) {
    let versions: Vec<Option<Version>> = made
        .log
        .all
        .iter()
        .map(|applied| applied.version())
        .collect();
    for _ in 0..reads {
        let at = rng.below(made.history.operations.len() as u64) as usize;
        let version = versions[rng.below(versions.len() as u64) as usize];
        if let Answer::Read { found, .. } = &mut made.history.operations[at].answer {
            *found = version;
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_revisions_and_the_search_agree(
        seed in any::<u64>(),
        clients in 2_u32..9,
        unknown in prop::sample::select(vec![0_u64, 20, 150]),
        reads in 0_u64..3,
    ) {
        let mut made = make(&plan(seed, clients, unknown, false));
        corrupt(&mut made, &mut Rng::new(seed), reads);
        for operation in &mut made.history.operations {
            if let Answer::Read { revision, .. } = &mut operation.answer {
                *revision = None;
            }
        }
        let found = found(&made.history);
        let verdict = second_opinion(&made.history, 0, &mut 10_000_000).unwrap();
        prop_assert_ne!(verdict, Verdict::Undecided);
        let order = found.iter().any(|finding| finding.judge == "order");
        prop_assert_eq!(order, verdict != Verdict::Linearizable, "{:#?}", found);
    }
}
