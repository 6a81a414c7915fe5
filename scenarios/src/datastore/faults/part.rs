//! One part of a scenario: clients write, a fault strikes or none does, clients write on, and everything is listed.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use harness::scenario::ScenarioContext;
use reports::history::{Key, Level, MarkKind, Revision};
use reports::metric::Unit;

use super::super::common::bench::Bench;
use super::super::common::follow::Follower;
use super::clients::{CLIENTS, Clients, KEYS_EACH, Seen};
use super::clock::{self, Recovery, Resumed};
use super::strike::Strike;

/// Fewer acknowledged writes before, or after, say nothing.
const FLOOR: u64 = 50;
/// The key that is written last of all.
const LAST: Key = CLIENTS * KEYS_EACH;
/// How long clients write before, and after, at least.
const CALM: Duration = Duration::from_secs(2);
/// How long that may take.
const CALM_WITHIN: Duration = Duration::from_secs(60);
/// How long a server may take to serve again; stretched for servers that run slower.
const RECOVERS_WITHIN: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The datastore itself where it is reached, else the API before it.
pub fn level(cx: &ScenarioContext<'_>) -> Level {
    match cx.cluster.datastore() {
        Ok(_) => Level::Datastore,
        Err(_) => Level::Api,
    }
}

/// Runs one part; without a strike it is the control.
pub async fn run(
    cx: &ScenarioContext<'_>,
    level: Level,
    strike: Option<Strike>,
) -> anyhow::Result<()> {
    let part = strike.map_or("control", Strike::word);
    let opened = Bench::open_part(cx, level, part, LAST + 1, FLOOR).await?;
    let bench = opened.context("failed to reach the datastore; the warnings say why")?;
    let outcome = recorded(cx, &bench, strike).await;
    bench.end(outcome).await
}

async fn recorded(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    strike: Option<Strike>,
) -> anyhow::Result<()> {
    let part = strike.map_or("control", Strike::word);
    let phase = cx.phase(part);
    let labels = [bench.label(), ("part", part.to_owned())];
    let handle = bench.handle();
    let from = bench.store.revision().await? + 1;
    let follower = Follower::begin(&bench.store, handle.clone(), from).await?;
    let mut watch = Resumed::of(follower, from);
    let begun = Instant::now();
    let clients = Clients::start(bench);
    calm(&clients, begun, "before the fault").await?;
    let struck = match strike {
        None => {
            tokio::time::sleep(CALM).await;
            None
        }
        Some(strike) => Some(harm(cx, bench, strike).await?),
    };
    let after = struck.map_or_else(Instant::now, |(_, ended)| ended);
    let within = RECOVERS_WITHIN * cx.patience;
    let seams = (&bench.store, &handle);
    let recovery = clock::measure(cx, seams, &clients, &mut watch, (after, within)).await;
    if struck.is_some() {
        tell_recovery(cx, bench, &recovery, within, watch.resumed);
    }
    ensure!(
        recovery.first_write.is_some(),
        "no write was acknowledged within {within:?} after the end of {part}"
    );
    if let (Some(_), Some(first)) = (struck, recovery.first_write) {
        let witness = format!("a write was acknowledged {first:?} after the end of {part}");
        handle.mark_at(after + first, MarkKind::Recovered, witness);
    }
    calm(&clients, Instant::now(), "after the fault").await?;
    let seen = clients.stop().await?;
    drop(phase.end());
    let last = bench.client().create(LAST, 64).await;
    cx.state(
        &bench.about(&format!("a last write succeeds after {part}")),
        last.version().is_ok(),
        1,
        format!("it was answered by {:?}", last.answer),
    );
    watch.end().await;
    listed(bench, last.version().map_or(0, |version| version.revision)).await?;
    figures(cx, &labels, &seen, struck);
    Ok(())
}

/// Waits until clients have written for long enough, and enough.
async fn calm(clients: &Clients, from: Instant, when: &str) -> anyhow::Result<()> {
    loop {
        let acknowledged = clients.acknowledged_after(from) as u64;
        if acknowledged >= 2 * FLOOR && from.elapsed() >= CALM {
            return Ok(());
        }
        ensure!(
            from.elapsed() < CALM_WITHIN,
            "only {acknowledged} writes were acknowledged {when} within {CALM_WITHIN:?}; {} are needed: {:?}",
            2 * FLOOR,
            clients.seen().words
        );
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Does it, lets it last, and undoes it; the moments from which and until which it may have been felt.
async fn harm(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    strike: Strike,
) -> anyhow::Result<(Instant, Instant)> {
    let faults = cx.cluster.faults().map_err(anyhow::Error::msg)?;
    let handle = bench.handle();
    faults.excuse(strike.may_end_it());
    let began = strike.begin(faults, &bench.store).await?;
    handle.mark_at(
        began.from,
        MarkKind::FaultBegan(strike.word().into()),
        began.to_string(),
    );
    // Its length is part of the fault; nothing is awaited.
    tokio::time::sleep(strike.lasts()).await;
    let ended = strike.end(faults).await?;
    handle.mark_at(
        ended.seen,
        MarkKind::FaultEnded(strike.word().into()),
        ended.to_string(),
    );
    cx.warn(format!("{}: {began}; ended: {ended}", cx.scenario()));
    faults.excuse(false);
    Ok((began.from, ended.seen))
}

fn tell_recovery(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    recovery: &Recovery,
    within: Duration,
    resumed: u32,
) {
    let source = "from the end of the fault, as clients see it";
    let parts = [
        ("recovery_first_write", recovery.first_write),
        ("recovery_ready", recovery.ready),
        ("recovery_watch", recovery.watch),
    ];
    for (name, took) in parts {
        if let Some(took) = took {
            let millis = took.as_secs_f64() * 1e3;
            cx.measure(name, Unit::Milliseconds, millis, &[bench.label()], source);
        }
    }
    let all = parts.iter().all(|(_, took)| took.is_some());
    cx.state(
        &bench.about("it serves again without hands"),
        all,
        parts.len() as u64,
        format!(
            "first write after {:?}, ready after {:?}, the watch (taken up again {resumed} times) after {:?}; {within:?} are \
             granted",
            recovery.first_write, recovery.ready, recovery.watch
        ),
    );
}

/// Lists everything as the state at the end.
async fn listed(bench: &Bench, newest: Revision) -> anyhow::Result<()> {
    let handle = bench.handle();
    let call = Instant::now();
    let mut listing = bench
        .store
        .list(0, None)
        .await
        .context("failed to list the end")?;
    listing.client = handle.enlist(1);
    listing.call = handle.at(call);
    listing.end = handle.now();
    listing.is_final = true;
    ensure!(
        listing.revision >= newest,
        "the last list is of revision {}, older than the last write's {newest}",
        listing.revision
    );
    handle.list(listing);
    Ok(())
}

/// What clients saw before, during and after.
fn figures(
    cx: &ScenarioContext<'_>,
    labels: &[(&'static str, String); 2],
    seen: &Seen,
    struck: Option<(Instant, Instant)>,
) {
    let when = |at: Instant| match struck {
        Some((from, _)) if at < from => "before",
        Some((_, to)) if at < to => "during",
        Some(_) => "after",
        None => "control",
    };
    let moments: &[&str] = match struck {
        Some(_) => &["before", "during", "after"],
        None => &["control"],
    };
    for moment in moments {
        let count = |name: &str, value: usize, more: Option<&str>| {
            let mut labels = labels.to_vec();
            labels.push(("when", (*moment).to_owned()));
            labels.extend(more.map(|class| ("class", class.to_owned())));
            cx.measure(
                name,
                Unit::Count,
                value as f64,
                &labels,
                "counted by the clients",
            );
        };
        let acks = seen.acks.iter().filter(|ack| when(ack.end) == *moment);
        count("acknowledged_writes", acks.count(), None);
        for class in ["refused", "unknown"] {
            let failed = seen
                .failed
                .iter()
                .filter(|(at, of)| *of == class && when(*at) == *moment);
            count("failed_requests", failed.count(), Some(class));
        }
    }
    for (class, words) in &seen.words {
        cx.warn(format!("{}: the first {class}: {words}", cx.scenario()));
    }
}
