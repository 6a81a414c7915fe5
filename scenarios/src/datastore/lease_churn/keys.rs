//! Keys with leases of a few seconds: each must be gone within its time and a slack, and none before its time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use harness::profile::Profile;
use harness::scenario::ScenarioContext;
use reports::history::Key;
use reports::metric::Unit;

use super::super::common::bench::{Bench, Contents};
use super::super::common::follow::Follower;
use super::super::common::timing::{self, micros};

/// Bytes of each value.
const VALUE_BYTES: usize = 256;
/// Keys without a lease, which must stay.
const BYSTANDERS: u32 = 5;
/// How late a key may go: etcd looks every half a second and ends at most a thousand leases a second, kine ends one key
/// after the other. Stretched for servers that run slower.
const SLACK: Duration = Duration::from_secs(5);
/// How often what is left is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// How many leases, how many keys on each, and the time that is asked for.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    leases: u32,
    each: u32,
    ttl_seconds: i64,
}

impl Plan {
    fn leased(self) -> u32 {
        self.leases * self.each
    }

    /// All keys.
    pub fn keys(self) -> u32 {
        self.leased() + BYSTANDERS
    }

    /// Acknowledged writes without which it says nothing.
    pub fn floor(self) -> u64 {
        u64::from(self.keys())
    }
}

/// How much is done in a profile.
pub fn plan(profile: Profile) -> Plan {
    let (leases, each, ttl_seconds) = match profile {
        Profile::Quick => (10, 3, 2),
        Profile::Default => (40, 3, 3),
        Profile::Full => (200, 5, 5),
    };
    Plan {
        leases,
        each,
        ttl_seconds,
    }
}

/// When a key may go at the earliest, and must be gone.
#[derive(Debug, Clone, Copy)]
struct Due {
    from: Instant,
    until: Instant,
}

/// See the module.
pub async fn at_datastore(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    plan: Plan,
) -> anyhow::Result<()> {
    let mut stay = Contents::new();
    let bystanders = plan.leased()..plan.keys();
    bench
        .fill(bystanders, VALUE_BYTES, &mut stay, &mut micros()?)
        .await?;
    let from = bench.store.revision().await? + 1;
    let follower = Follower::begin(&bench.store, bench.handle(), from).await?;
    let phase = cx.phase(&format!("{}-keys", bench.level()));
    let begun = Instant::now();
    let mut grants = micros()?;
    let mut due = BTreeMap::new();
    let mut shortened = 0_u64;
    let mut client = bench.client();
    for nth in 0..plan.leases {
        let called = Instant::now();
        let lease = bench.store.lease(plan.ttl_seconds).await?;
        timing::record(&mut grants, called.elapsed())?;
        shortened += u64::from(lease.ttl_seconds < plan.ttl_seconds);
        let ttl = Duration::from_secs(u64::try_from(lease.ttl_seconds).unwrap_or(0));
        for key in nth * plan.each..(nth + 1) * plan.each {
            let sent = client.create_leased(key, VALUE_BYTES, lease.id).await;
            bench.may_be_deleted(key, sent.version()?, sent.call);
            let until = sent.end + ttl + SLACK * cx.patience;
            due.insert(
                key,
                Due {
                    from: called + ttl,
                    until,
                },
            );
        }
    }
    cx.latency("grant", &[bench.label()], &grants, 0, begun.elapsed());
    let left = await_end(bench, &due, &stay).await?;
    let followed = follower.end().await?;
    drop(phase.end());
    ensure!(
        followed.ended.is_none(),
        "the watch for what goes was ended: {:?}",
        followed.ended
    );
    let gone: BTreeMap<Key, Instant> = followed
        .seen
        .iter()
        .filter(|seen| seen.deleted)
        .map(|seen| (seen.key, seen.at))
        .collect();
    state(
        cx,
        bench,
        &Ended {
            due,
            gone,
            left,
            stay,
            shortened,
        },
        plan,
    )
}

/// Waits until only what must stay is left, or the last key is overdue; gives what is there then.
async fn await_end(
    bench: &Bench,
    due: &BTreeMap<Key, Due>,
    stay: &Contents,
) -> anyhow::Result<Contents> {
    let last = due.values().map(|due| due.until).max();
    let last = last.context("no key has a lease")?;
    loop {
        let page = bench.store.list(0, None).await?;
        let leased = page.items.iter().any(|(key, _)| !stay.contains_key(key));
        if !leased || Instant::now() >= last {
            let (listing, _) = bench.list(0, None).await?;
            return Ok(listing.items.into_iter().collect());
        }
        tokio::time::sleep(LOOK).await;
    }
}

struct Ended {
    due: BTreeMap<Key, Due>,
    gone: BTreeMap<Key, Instant>,
    left: Contents,
    stay: Contents,
    shortened: u64,
}

fn state(cx: &ScenarioContext<'_>, bench: &Bench, ended: &Ended, plan: Plan) -> anyhow::Result<()> {
    let facts = ended.due.len() as u64;
    let stayed = ended.due.keys().filter(|key| ended.left.contains_key(key));
    let stayed = stayed.count();
    // By whom nobody was told is known only to be gone by now, which is in time.
    let told = || {
        ended
            .due
            .iter()
            .filter_map(|(key, due)| Some((due, ended.gone.get(key)?)))
    };
    let late = told().filter(|(due, at)| **at > due.until).count();
    let early = told().filter(|(due, at)| **at < due.from).count();
    cx.state(
        &bench.about("every key goes with its lease"),
        stayed == 0 && late == 0,
        facts,
        format!("{stayed} of {facts} keys stayed and {late} went later than the slack allows"),
    );
    cx.state(
        &bench.about("no key goes before its lease has run out"),
        early == 0,
        told().count() as u64,
        format!("{early} of {} did", told().count()),
    );
    let leases = u64::from(plan.leases);
    cx.state(
        &bench.about("a lease is granted for the time asked for, or longer"),
        ended.shortened == 0,
        leases,
        format!(
            "{} of {leases} are shorter than {} s",
            ended.shortened, plan.ttl_seconds
        ),
    );
    let same = |key: &&Key| ended.left.get(key) == ended.stay.get(key);
    let stays = ended.stay.keys().filter(same).count();
    cx.state(
        &bench.about("keys without a lease stay as they were"),
        stays == ended.stay.len(),
        ended.stay.len() as u64,
        format!("{stays} of {} did", ended.stay.len()),
    );
    let mut overdue = micros()?;
    for (due, at) in told() {
        timing::record(&mut overdue, at.saturating_duration_since(due.from))?;
    }
    if !overdue.is_empty() {
        let labels = [bench.label()];
        let samples = Some(overdue.len());
        for (name, value) in [
            ("gone_after_lease_p50", overdue.value_at_quantile(0.5)),
            ("gone_after_lease_max", overdue.max()),
        ] {
            let source =
                "from the earliest moment at which its lease may have run out, as a watch saw it";
            cx.measure_of(
                name,
                Unit::Milliseconds,
                value as f64 / 1e3,
                &labels,
                samples,
                source,
            );
        }
    }
    Ok(())
}
