//! A watch in a task of its own: what it delivers is recorded, and kept with its times.

use std::time::{Duration, Instant};

use anyhow::Context;
use futures::StreamExt;
use harness::load::{Handle, LoadError, Store};
use reports::history::{Change, Key, Revision, Watched, WatchedKind};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A running watch.
pub struct Follower {
    stop: oneshot::Sender<()>,
    newest: watch::Receiver<Revision>,
    task: JoinHandle<Followed>,
}

/// A change that a watch delivered.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Its revision.
    pub revision: Revision,
    /// Its key.
    pub key: Key,
    /// Whether the key is gone by it.
    pub deleted: bool,
    /// When it came.
    pub at: Instant,
}

/// What a watch delivered.
#[derive(Debug, Default)]
pub struct Followed {
    /// Changes, in the order in which they came.
    pub seen: Vec<Seen>,
    /// Changes of keys that nobody here wrote.
    pub strangers: u64,
    /// How it ended, if the server ended it.
    pub ended: Option<String>,
}

impl Follower {
    /// Begins to follow every key of the store from a revision on; returns when the server has confirmed it.
    ///
    /// # Errors
    /// When the watch is refused.
    pub async fn begin(store: &Store, handle: Handle, from: Revision) -> Result<Self, LoadError> {
        let mut stream = store.watch(from).await?;
        let number = handle.enlist_watch();
        let (stop, mut stopped) = oneshot::channel();
        let (tell, newest) = watch::channel(from - 1);
        let task = tokio::spawn(async move {
            let mut followed = Followed::default();
            let record = |kind| {
                handle.watch(Watched {
                    watch: number,
                    at: handle.now(),
                    kind,
                });
            };
            loop {
                let item = tokio::select! {
                    biased;
                    item = stream.next() => item,
                    _ = &mut stopped => {
                        record(WatchedKind::Ended { how: "closed".into() });
                        return followed;
                    }
                };
                let kind = match item {
                    Some(Ok(kind)) => kind,
                    Some(Err(error)) => WatchedKind::Ended {
                        how: error.to_string(),
                    },
                    None => WatchedKind::Ended {
                        how: "the stream ended".into(),
                    },
                };
                record(kind.clone());
                match kind {
                    WatchedKind::Changed {
                        key,
                        change,
                        revision,
                    } => {
                        followed.seen.push(Seen {
                            revision,
                            key,
                            deleted: change == Change::Delete,
                            at: Instant::now(),
                        });
                        tell.send_replace(revision);
                    }
                    WatchedKind::Bookmark { revision } => {
                        tell.send_if_modified(|newest| {
                            let newer = revision > *newest;
                            *newest = revision.max(*newest);
                            newer
                        });
                    }
                    WatchedKind::Stranger { .. } => followed.strangers += 1,
                    WatchedKind::Began { .. } => {}
                    WatchedKind::Ended { how } => {
                        followed.ended = Some(how);
                        return followed;
                    }
                }
            }
        });
        Ok(Self { stop, newest, task })
    }

    /// Waits until a change of this revision or a later one was delivered, or the server said that nothing up to it is
    /// left to deliver. `false`: not within that time, or the watch ended before.
    pub async fn reaches(&mut self, revision: Revision, within: Duration) -> bool {
        let reached = self.newest.wait_for(|newest| *newest >= revision);
        matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
    }

    /// Whether the server has ended it.
    pub fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Ends it and gives what it delivered.
    ///
    /// # Errors
    /// When its task panicked.
    pub async fn end(self) -> anyhow::Result<Followed> {
        // Where the task has ended already nobody takes it.
        let _ = self.stop.send(());
        self.task.await.context("a watcher panicked")
    }
}
