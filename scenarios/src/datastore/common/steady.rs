//! Writers at a steady rate: an open loop, so that a server that stalls is charged for everybody who waited.

use std::time::{Duration, Instant};

use anyhow::Context;
use reports::history::{Key, Revision};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::bench::{Bench, Client, Contents};

/// One write.
#[derive(Debug, Clone)]
pub struct Write {
    /// When it was due.
    pub due: Instant,
    /// When it was sent.
    pub call: Instant,
    /// When it was answered.
    pub end: Instant,
    /// Its revision, if it was acknowledged; else the answer.
    pub outcome: Result<Revision, String>,
}

/// What writers did.
#[derive(Debug, Default)]
pub struct Writes {
    /// Each write.
    pub all: Vec<Write>,
    /// What is in the store now.
    pub contents: Contents,
}

impl Writes {
    /// The revisions of acknowledged writes.
    pub fn acknowledged(&self) -> impl Iterator<Item = Revision> {
        self.all
            .iter()
            .filter_map(|w| w.outcome.as_ref().ok().copied())
    }

    /// How many were not acknowledged, and the first answer of those.
    pub fn failed(&self) -> (u64, Option<&str>) {
        let mut failed = self.all.iter().filter_map(|w| w.outcome.as_ref().err());
        let first = failed.next();
        (
            failed.count() as u64 + u64::from(first.is_some()),
            first.map(String::as_str),
        )
    }
}

/// Writers that run until they are stopped, or have done their share.
pub struct Steady {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Writes>,
}

/// How fast, how much.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Writes a second, of all writers together.
    pub per_second: f64,
    /// How many clients write; each has its own share of the keys.
    pub writers: u32,
    /// Bytes of each value.
    pub bytes: usize,
    /// How many writes in all; `None`: until they are stopped.
    pub count: Option<u64>,
}

impl Steady {
    /// Starts writers that update `keys`, each its own.
    pub fn start(bench: &Bench, keys: &Contents, rate: Rate) -> Self {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        let writers = rate.writers.clamp(1, keys.len().max(1) as u32);
        for nth in 0..writers {
            let own: Contents = keys
                .iter()
                .skip(nth as usize)
                .step_by(writers as usize)
                .map(|(key, version)| (*key, *version))
                .collect();
            let client = bench.client();
            let every = Duration::from_secs_f64(f64::from(writers) / rate.per_second);
            let schedule = Schedule {
                first: start + every.mul_f64(f64::from(nth) / f64::from(writers)),
                every,
                count: rate.count.map(|count| {
                    let rest = u64::from(u64::from(nth) < count % u64::from(writers));
                    count / u64::from(writers) + rest
                }),
            };
            tasks.spawn(write(client, own, rate.bytes, schedule, stopped.clone()));
        }
        Self { stop, tasks }
    }

    /// Stops them after the write that each is at.
    ///
    /// # Errors
    /// When a writer panicked.
    pub async fn stop(self) -> anyhow::Result<Writes> {
        self.stop.send_replace(true);
        self.done().await
    }

    /// Waits until each has done its share.
    ///
    /// # Errors
    /// When a writer panicked.
    pub async fn done(mut self) -> anyhow::Result<Writes> {
        let mut writes = Writes::default();
        while let Some(own) = self.tasks.join_next().await {
            let own = own.context("a writer panicked")?;
            writes.all.extend(own.all);
            writes.contents.extend(own.contents);
        }
        writes.all.sort_by_key(|write| write.call);
        Ok(writes)
    }
}

#[derive(Debug, Clone, Copy)]
struct Schedule {
    first: Instant,
    every: Duration,
    count: Option<u64>,
}

async fn write(
    mut client: Client,
    keys: Contents,
    bytes: usize,
    schedule: Schedule,
    mut stop: watch::Receiver<bool>,
) -> Writes {
    let order: Vec<Key> = keys.keys().copied().collect();
    let mut writes = Writes {
        all: Vec::new(),
        contents: keys,
    };
    let mut due = schedule.first;
    for key in order.iter().copied().cycle() {
        if schedule.count == Some(writes.all.len() as u64) {
            break;
        }
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep_until(due.into()) => {}
        }
        let Some(expected) = writes.contents.get(&key).map(|version| version.revision) else {
            break;
        };
        let sent = client.update(key, expected, bytes).await;
        let outcome = match sent.version() {
            Ok(version) => {
                writes.contents.insert(key, version);
                Ok(version.revision)
            }
            Err(error) => {
                // The key may have changed all the same: the next write must know.
                if let Ok((Some(version), _)) = client.get(key).await {
                    writes.contents.insert(key, version);
                }
                Err(error.to_string())
            }
        };
        writes.all.push(Write {
            due,
            call: sent.call,
            end: sent.end,
            outcome,
        });
        due += schedule.every;
    }
    writes
}
