//! The recovery clock: the end of the fault, the first write that is acknowledged, ready, and the watch going on.

use std::time::{Duration, Instant};

use harness::drive::still_serving;
use harness::load::{Handle, Store};
use harness::scenario::ScenarioContext;
use reports::history::Revision;

use super::super::common::follow::{Followed, Follower};
use super::clients::Clients;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What came when, from the end of the fault; `None`: not within the time that was granted.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The first write that was sent after it and acknowledged.
    pub first_write: Option<Duration>,
    /// The server says that it is ready.
    pub ready: Option<Duration>,
    /// A watch has delivered that write, or a later one.
    pub watch: Option<Duration>,
}

/// A watch that is taken up again wherever the server ended it.
pub struct Resumed {
    running: Option<Follower>,
    next: Revision,
    /// How often it was taken up again.
    pub resumed: u32,
}

impl Resumed {
    /// Begins it.
    pub fn of(follower: Follower, from: Revision) -> Self {
        Self {
            running: Some(follower),
            next: from,
            resumed: 0,
        }
    }

    /// Whether it has delivered a revision, or something later. Takes it up again where it has ended.
    async fn reached(&mut self, store: &Store, handle: &Handle, revision: Revision) -> bool {
        match &mut self.running {
            Some(follower) if !follower.is_over() => follower.reaches(revision, LOOK_EVERY).await,
            _ => {
                let reached = self.take().await >= revision;
                let begun = Follower::begin(store, handle.clone(), self.next);
                // A server that starts may let a request hang.
                if let Ok(Ok(follower)) = tokio::time::timeout(Duration::from_secs(5), begun).await
                {
                    self.running = Some(follower);
                    self.resumed += 1;
                }
                reached
            }
        }
    }

    async fn take(&mut self) -> Revision {
        let ended = match self.running.take() {
            Some(follower) => follower.end().await.unwrap_or_default(),
            None => Followed::default(),
        };
        let newest = ended.seen.iter().map(|seen| seen.revision).max();
        self.next = self.next.max(newest.map_or(self.next, |newest| newest + 1));
        self.next - 1
    }

    /// Ends it.
    pub async fn end(mut self) {
        self.take().await;
    }
}

/// Waits for all three, beside each other.
pub async fn measure(
    cx: &ScenarioContext<'_>,
    (store, handle): (&Store, &Handle),
    clients: &Clients,
    watch: &mut Resumed,
    (from, within): (Instant, Duration),
) -> Recovery {
    let end = from + within;
    let writes = async {
        loop {
            if let Some(ack) = clients.first_after(from) {
                return Some(ack);
            }
            if Instant::now() >= end {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let readiness = async {
        loop {
            let look = tokio::time::timeout(Duration::from_secs(2), still_serving(cx.access));
            if matches!(look.await, Ok(Ok(()))) {
                return Some(from.elapsed());
            }
            if Instant::now() >= end {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let watching = async {
        loop {
            let wanted = clients.first_after(from).and_then(|ack| ack.revision);
            let reached = watch
                .reached(store, handle, wanted.unwrap_or(Revision::MAX))
                .await;
            if reached && wanted.is_some() {
                return Some(from.elapsed());
            }
            if Instant::now() >= end {
                return None;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let (first, ready, watch) = tokio::join!(writes, readiness, watching);
    Recovery {
        first_write: first.map(|ack| ack.end.saturating_duration_since(from)),
        ready,
        watch,
    }
}
