//! The soak: a modest rate of writes with readers beside it, for a while, recorded to be judged.
//!
//! The mix is that of etcd's own robustness traffic for Kubernetes: 90 updates to 5 creates and 5 deletes, on few keys
//! that clients share, so that conditions fail now and then. Beside the writers one reader lists in pages and some follow.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::StreamExt;
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::load::{self, Handle, Kind, Mix, Pace, Recorder, Store, Workload};
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use reports::history::{Header, Level, Watched, WatchedKind};
use reports::metric::Unit;

/// See the module.
pub struct MixedSoak;

/// Operations a second: a quarter of what SQLite keeps up with through an API server on one CPU.
const PER_SECOND: f64 = 50.0;
/// Keys, shared by all.
const KEYS: u32 = 40;
/// Watches of everything.
const WATCHES: usize = 3;
/// Items of a reader's page.
const PAGE: u32 = 10;
/// The reader's rest between two lists.
const REST: Duration = Duration::from_millis(500);
/// How long watches may take for what was written last; stretched for servers that run slower.
const CATCH_UP: Duration = Duration::from_secs(10);

/// Seconds of writing, at each level.
fn seconds(profile: Profile) -> f64 {
    match profile {
        Profile::Quick => 4.0,
        Profile::Default => 20.0,
        Profile::Full => 600.0,
    }
}

impl Scenario for MixedSoak {
    fn name(&self) -> &'static str {
        "mixed_soak"
    }

    fn title(&self) -> &'static str {
        "50 writes a second on shared keys with lists and watches beside them, recorded and judged"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let mut levels = 0;
            // Half of the time each: a scenario has ten minutes in all.
            for level in [Level::Datastore, Level::Api] {
                match Store::open(cx, level, "soak").await {
                    Ok(store) => {
                        levels += 1;
                        let outcome = soak(cx, &store).await;
                        let closed = store.close().await;
                        outcome?;
                        closed.context("failed to remove what the soak wrote")?;
                    }
                    Err(why) => {
                        cx.warn(format!("mixed_soak: nothing at the level {level:?}: {why}"))
                    }
                }
            }
            ensure!(
                levels > 0,
                "failed to reach the datastore at any level; the warnings say why"
            );
            Ok(())
        }
        .boxed()
    }
}

async fn soak(cx: &ScenarioContext<'_>, store: &Store) -> anyhow::Result<()> {
    let level = match store.level() {
        Level::Datastore => "datastore",
        Level::Api => "api",
    };
    let workload = Workload {
        mix: Mix {
            create: 5,
            update: 90,
            delete: 5,
            get: 5,
            list: 0,
        },
        keys: KEYS,
        shared: true,
        pace: Pace::Open {
            per_second: PER_SECOND,
        },
        in_flight: 16,
        seconds: seconds(cx.profile) / 2.0 * f64::from(cx.patience),
        ..Workload::default()
    };
    let begun = store.revision().await?;
    let recorder = Recorder::create(
        cx,
        Header {
            level: store.level(),
            suite: cx.suite().to_owned(),
            scenario: cx.scenario().to_owned(),
            part: level.to_owned(),
            keys: store.key_names(workload.key_count()),
            revision: begun,
            floor: load::FLOOR,
        },
    )?;
    let phase = cx.phase(level);
    let outcome = beside_readers(cx, store, &workload, &recorder.handle()).await;
    drop(phase);
    recorder.close()?;
    let load = outcome?;
    let labels = [("level", level.to_owned())];
    for kind in Kind::ALL {
        let tally = load.kind(kind);
        let errors = tally.refused + tally.unknown;
        if errors > 0 || !tally.latency.is_empty() {
            cx.latency(kind.word(), &labels, &tally.latency, errors, load.interval);
        }
    }
    let source = "answers that came within the interval";
    let measure = |name, unit, value, source| {
        cx.measure_of(
            name,
            unit,
            value,
            &labels,
            Some(load.answered_within),
            source,
        );
    };
    measure("throughput", Unit::PerSecond, load.achieved(), source);
    measure(
        "offered_rate",
        Unit::PerSecond,
        PER_SECOND,
        "the workload's own",
    );
    let source = "writes whose condition no longer held";
    measure("conflicts", Unit::Count, load.conflicts() as f64, source);
    measure(
        "errors",
        Unit::Count,
        load.errors() as f64,
        "counted by the clients",
    );
    let floor = load.above_floor();
    ensure!(
        floor.is_ok(),
        "{level}: {}",
        floor.err().unwrap_or_default()
    );
    Ok(())
}

/// Runs the workload with the readers beside it, then waits until every watch has what was written last, and takes the
/// state at the end.
async fn beside_readers(
    cx: &ScenarioContext<'_>,
    store: &Store,
    workload: &Workload,
    history: &Handle,
) -> anyhow::Result<load::Load> {
    let from = store.revision().await? + 1;
    let (tell, last) = tokio::sync::watch::channel(i64::MAX);
    let mut watches = Vec::new();
    for _ in 0..WATCHES {
        let stream = store.watch(from).await.context("failed to open a watch")?;
        let (history, last) = (history.clone(), last.clone());
        watches.push(tokio::spawn(follow(stream, history, last)));
    }
    let lister = tokio::spawn(lists(store.clone(), history.clone(), last));
    let ran = load::run(store, workload, Some(history), cx.cancel).await;
    // Nobody writes any more: the newest revision of any key is the last change that a watch is owed.
    let ended = one_list(store, history, true).await;
    let newest = match &ended {
        Ok(newest) => *newest,
        Err(_) => 0,
    };
    // The readers may have ended; then that is in the history.
    let _ = tell.send(newest);
    let granted = CATCH_UP * cx.patience;
    let caught_up = tokio::time::timeout(granted, async {
        for watch in &mut watches {
            let _ = watch.await;
        }
    });
    // What a watch lacks by then is in the history, and its judge's to say.
    if caught_up.await.is_err() {
        cx.warn(format!(
            "mixed_soak: a watch lacked the last change for {granted:?}"
        ));
    }
    watches.iter().for_each(tokio::task::JoinHandle::abort);
    lister.abort();
    let load = ran?;
    ended.context("failed to list the state at the end")?;
    Ok(load)
}

/// Records a watch until it has delivered the last change.
async fn follow(
    mut stream: load::WatchStream,
    history: Handle,
    mut last: tokio::sync::watch::Receiver<i64>,
) {
    let watch = history.enlist_watch();
    let tell = |kind| {
        history.watch(Watched {
            watch,
            at: history.now(),
            kind,
        });
    };
    let mut seen = 0;
    loop {
        let next = tokio::select! {
            next = stream.next() => next,
            changed = last.changed() => match changed {
                Ok(()) if *last.borrow() > seen => continue,
                _ => break,
            },
        };
        match next {
            None => return,
            Some(Ok(kind)) => {
                if let WatchedKind::Changed { revision, .. }
                | WatchedKind::Bookmark { revision }
                | WatchedKind::Stranger { revision, .. } = &kind
                {
                    seen = seen.max(*revision);
                }
                tell(kind);
                if seen >= *last.borrow() {
                    break;
                }
            }
            Some(Err(error)) => {
                tell(WatchedKind::Ended {
                    how: error.to_string(),
                });
                return;
            }
        }
    }
    tell(WatchedKind::Ended {
        how: "closed".to_owned(),
    });
}

/// Lists again and again until the writing is over.
async fn lists(store: Store, history: Handle, last: tokio::sync::watch::Receiver<i64>) {
    while *last.borrow() == i64::MAX {
        // A list that failed is no list; the writers' answers show what was wrong.
        let _ = one_list(&store, &history, false).await;
        tokio::time::sleep(REST).await;
    }
}

/// Lists everything in pages, records it, and gives the newest revision in it.
async fn one_list(store: &Store, history: &Handle, is_final: bool) -> anyhow::Result<i64> {
    let call = Instant::now();
    let mut listing = store.list(PAGE, None).await?;
    listing.client = history.enlist(1);
    listing.call = history.at(call);
    listing.end = history.now();
    listing.is_final = is_final;
    let newest = listing
        .items
        .iter()
        .map(|(_, version)| version.revision)
        .max();
    history.list(listing);
    Ok(newest.unwrap_or(0))
}
