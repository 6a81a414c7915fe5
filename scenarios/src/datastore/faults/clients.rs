//! Clients that write keys of their own, come what may: they go on through a fault, and read before they write again
//! what they no longer know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use reports::history::{Answer, Key, Request, Revision};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::super::common::bench::{Bench, Client, Sent};

/// How many.
pub const CLIENTS: u32 = 4;
/// Keys of each.
pub const KEYS_EACH: u32 = 3;
/// Bytes of each value.
const BYTES: usize = 512;
/// Between two requests of one client: a few hundred writes a second in all, so that a single fsync has few of them.
const PAUSE: Duration = Duration::from_millis(5);
/// After a failure, so that a server that refuses at once is not flooded.
const BACK_OFF: Duration = Duration::from_millis(50);

/// A write that was acknowledged.
#[derive(Debug, Clone, Copy)]
pub struct Ack {
    /// When it was sent.
    pub call: Instant,
    /// When it was acknowledged.
    pub end: Instant,
    /// Its revision, where the answer tells.
    pub revision: Option<Revision>,
}

/// What all clients saw.
#[derive(Debug, Default)]
pub struct Seen {
    /// In the order of their answers.
    pub acks: Vec<Ack>,
    /// Requests that failed, by class, with the moment at which each was sent.
    pub failed: Vec<(Instant, &'static str)>,
    /// The server's words at the first failure of each class.
    pub words: BTreeMap<&'static str, String>,
}

/// Running clients.
pub struct Clients {
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
    seen: Arc<Mutex<Seen>>,
}

impl Clients {
    /// Starts them.
    pub fn start(bench: &Bench) -> Self {
        let (stop, stopped) = watch::channel(false);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut tasks = JoinSet::new();
        for nth in 0..CLIENTS {
            let keys = (nth * KEYS_EACH..(nth + 1) * KEYS_EACH).collect();
            let (client, stopped, seen) = (bench.client(), stopped.clone(), seen.clone());
            tasks.spawn(work(client, keys, stopped, seen));
        }
        Self { stop, tasks, seen }
    }

    /// What they saw so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes sent after a moment and acknowledged.
    pub fn acknowledged_after(&self, from: Instant) -> usize {
        self.seen()
            .acks
            .iter()
            .filter(|ack| ack.call >= from)
            .count()
    }

    /// The first acknowledgement of a write that was sent after a moment.
    pub fn first_after(&self, from: Instant) -> Option<Ack> {
        self.seen()
            .acks
            .iter()
            .find(|ack| ack.call >= from)
            .copied()
    }

    /// Stops each after the request that it is at.
    ///
    /// # Errors
    /// When one panicked.
    pub async fn stop(mut self) -> anyhow::Result<Seen> {
        self.stop.send_replace(true);
        while let Some(done) = self.tasks.join_next().await {
            done.context("a client panicked")?;
        }
        Ok(std::mem::take(&mut *self.seen()))
    }
}

/// What a client knows of a key.
#[derive(Clone, Copy)]
enum Known {
    Unsure,
    Absent,
    At(Revision),
}

async fn work(
    mut client: Client,
    keys: Vec<Key>,
    stopped: watch::Receiver<bool>,
    seen: Arc<Mutex<Seen>>,
) {
    let mut known = vec![Known::Unsure; keys.len()];
    for turn in 0_u64.. {
        if *stopped.borrow() {
            return;
        }
        let at = (turn as usize) % keys.len();
        let key = keys[at];
        // Of sixteen turns of a key two read and one deletes; each is its own, whatever the number of keys.
        let round = turn / keys.len() as u64 % 16;
        let sent = match (known[at], round) {
            (Known::Unsure, _) | (_, 5 | 11) => client.send(key, Request::Get, 0).await,
            (Known::Absent, _) => client.create(key, BYTES).await,
            (Known::At(revision), 15) => client.delete(key, revision).await,
            (Known::At(revision), _) => client.update(key, revision, BYTES).await,
        };
        let deleting = matches!(known[at], Known::At(_)) && round == 15;
        known[at] = learn(&sent, deleting);
        let failed = note(&sent, &seen);
        tokio::time::sleep(if failed { BACK_OFF } else { PAUSE }).await;
    }
}

fn learn(sent: &Sent, deleting: bool) -> Known {
    match &sent.answer {
        Answer::Written { .. } if deleting => Known::Absent,
        Answer::Written {
            revision: Some(revision),
        } => Known::At(*revision),
        Answer::Read { found: None, .. } => Known::Absent,
        Answer::Read {
            found: Some(version),
            ..
        }
        | Answer::Conflict {
            current: Some(version),
            ..
        } => Known::At(version.revision),
        _ => Known::Unsure,
    }
}

/// Notes an answer; whether it was none.
fn note(sent: &Sent, seen: &Mutex<Seen>) -> bool {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (class, reason) = match &sent.answer {
        Answer::Written { revision } => {
            seen.acks.push(Ack {
                call: sent.call,
                end: sent.end,
                revision: *revision,
            });
            return false;
        }
        Answer::Read { .. } | Answer::Conflict { .. } => return false,
        Answer::Refused { reason } => ("refused", reason),
        Answer::Unknown { reason } => ("unknown", reason),
    };
    seen.failed.push((sent.call, class));
    seen.words.entry(class).or_insert_with(|| reason.clone());
    true
}
