//! What compaction must leave alone, and what it must not hide.

use std::collections::BTreeSet;
use std::time::Duration;

use harness::load::LoadError;
use harness::scenario::ScenarioContext;
use reports::history::Revision;

use super::super::common::bench::{Bench, Contents};
use super::super::common::delivery::Delivery;
use super::super::common::follow::Follower;

/// How long a watch from a compacted revision may take to be refused; stretched for servers that run slower.
const REFUSED_WITHIN: Duration = Duration::from_secs(10);

/// States that a watch from before the compaction is refused, or tells everything; never something with a gap.
pub async fn old_watch(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    old: Revision,
    acknowledged: &BTreeSet<Revision>,
    newest: Revision,
) -> anyhow::Result<()> {
    let (holds, because) = match Follower::begin(&bench.store, bench.handle(), old + 1).await {
        Err(LoadError::Compacted) => (true, "it was refused as compacted".to_owned()),
        Err(error) => return Err(error.into()),
        Ok(mut follower) => {
            // It is over when the watch ends, or has told all there is to tell.
            follower.reaches(newest, REFUSED_WITHIN * cx.patience).await;
            let followed = follower.end().await?;
            let mut delivery = Delivery::default();
            delivery.add(acknowledged, followed.seen.iter().map(|seen| seen.revision));
            let told = followed.seen.len();
            let ended = followed.ended.as_deref();
            match ended {
                Some(how) if told == 0 => (how == "compacted", format!("it was ended: {how}")),
                Some(how) => (
                    false,
                    format!("it told {told} changes and was then ended: {how}"),
                ),
                None => (
                    delivery.lost == 0,
                    format!(
                        "it was not refused, and {} of {} changes did not come",
                        delivery.lost, delivery.expected
                    ),
                ),
            }
        }
    };
    cx.state(
        "a watch of a compacted revision is refused and has no gap",
        holds,
        1,
        because,
    );
    Ok(())
}

/// States that untouched keys are as they were, and deleted ones are away.
pub async fn keys(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    canaries: &Contents,
    doomed: &Contents,
    churned: &Contents,
) -> anyhow::Result<()> {
    let (listing, _) = bench.list(0, None).await?;
    let listed: Contents = listing.items.iter().copied().collect();
    let mut client = bench.client();
    let (mut changed, mut back, mut wrong) = (0, 0, 0);
    for (key, version) in canaries {
        let (found, _) = client.get(*key).await?;
        let same = found == Some(*version) && listed.get(key) == Some(version);
        changed += u64::from(!same);
    }
    for key in doomed.keys() {
        let (found, _) = client.get(*key).await?;
        back += u64::from(found.is_some() || listed.contains_key(key));
    }
    for (key, version) in churned {
        wrong += u64::from(listed.get(key) != Some(version));
    }
    let count = canaries.len() as u64;
    cx.state(
        "keys that nobody touched survive at their revision",
        changed == 0,
        count,
        format!("{changed} of {count} are gone or changed"),
    );
    let count = doomed.len() as u64;
    cx.state(
        "deleted keys stay away",
        back == 0,
        count,
        format!("{back} of {count} are there again"),
    );
    let count = churned.len() as u64;
    cx.state(
        "keys that were written are at their last revision",
        wrong == 0,
        count,
        format!("{wrong} of {count} are not"),
    );
    Ok(())
}
