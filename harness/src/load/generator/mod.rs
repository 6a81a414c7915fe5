//! The generator: clients that ask, at a pace, for a while.
//!
//! It runs on a thread of its own with a connection of its own, so that neither the sampler nor the runner's tasks
//! delay it, and requests that are due together leave in one write. All clients of a run share that thread: no lock is
//! between them.

mod client;
mod closed;
mod keys;
mod open;
mod pacer;
mod window;

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::{Context, ensure};
use reports::history::Listing;
use tokio::task::LocalSet;

use super::recorder::Handle;
use super::store::Store;
use super::tally::Load;
use super::workload::{Pace, Workload};
use crate::cancel::Cancel;
use client::Client;
use window::Window;

/// Keys on a page of the list by which the clients learn what is there.
const LEARNING_PAGE: u32 = 1000;

/// Runs a workload to its end, and records it into a history if one is given. First it lists the store, so that the
/// clients know what is there, and creates what a workload without creates needs.
///
/// # Errors
/// When the store cannot be reached or listed, the workload asks for nothing, or the run was cancelled.
pub async fn run(
    store: &Store,
    workload: &Workload,
    history: Option<&Handle>,
    cancel: &Cancel,
) -> anyhow::Result<Load> {
    ensure!(
        workload.mix.sum() > 0 && workload.seconds > 0.0,
        "failed to run a workload: it asks for nothing; give its mix weights and its length seconds"
    );
    if let Pace::Open { per_second } = workload.pace {
        ensure!(
            per_second.is_finite() && per_second > 0.0,
            "failed to run a workload: {per_second} requests a second are no rate"
        );
    }
    let (give_up, given_up) = tokio::sync::watch::channel(false);
    let job = Job {
        store: store.clone(),
        workload: workload.clone(),
        history: history.cloned(),
        cancel: cancel.clone(),
        given_up,
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    std::thread::Builder::new()
        .name("load".into())
        .spawn(move || {
            // Nobody waits any more when the scenario was given up.
            let _ = tell.send(job.run());
        })
        .context("failed to start the generator's thread")?;
    let outcome = told
        .await
        .context("failed to run a workload: its thread ended");
    // Dropped earlier, when whoever waits here is, it ends the thread.
    drop(give_up);
    outcome?
}

/// What the thread is given.
struct Job {
    store: Store,
    workload: Workload,
    history: Option<Handle>,
    cancel: Cancel,
    given_up: tokio::sync::watch::Receiver<bool>,
}

impl Job {
    fn run(mut self) -> anyhow::Result<Load> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("failed to start the generator's runtime")?;
        let mut given_up = self.given_up.clone();
        let cancel = self.cancel.clone();
        LocalSet::new().block_on(&runtime, async move {
            tokio::select! {
                load = self.drive() => load,
                () = cancel.cancelled() => anyhow::bail!("interrupted while a workload ran"),
                // An error: the sender is gone.
                _ = given_up.wait_for(|stop| *stop) => anyhow::bail!("nobody waits for this workload any more"),
            }
        })
    }

    async fn drive(&mut self) -> anyhow::Result<Load> {
        let deadline = std::time::Duration::from_secs_f64(self.workload.deadline);
        let store = self
            .store
            .another_connection()
            .await?
            .with_deadline(deadline);
        let learnt = self.learn(&store).await?;
        let clients = self.clients(&store, &learnt);
        fill(&clients, &self.workload).await?;
        let offered = match self.workload.pace {
            Pace::Open { per_second } => Some(per_second),
            Pace::Closed { .. } => None,
        };
        let load = Rc::new(RefCell::new(Load::new(
            offered,
            Window::length(&self.workload),
        )));
        match self.workload.pace {
            Pace::Closed { .. } => closed::drive(clients, &self.workload, &load).await?,
            Pace::Open { per_second } => {
                open::drive(clients, &self.workload, per_second, &load).await?;
            }
        }
        let load = Rc::try_unwrap(load).map_err(|_| anyhow::anyhow!("a client did not end"))?;
        Ok(load.into_inner())
    }

    /// Lists what is there, and records that too.
    async fn learn(&self, store: &Store) -> anyhow::Result<Listing> {
        let call = self.history.as_ref().map(Handle::now);
        let mut listing = store
            .list(LEARNING_PAGE, None)
            .await
            .context("failed to list the store before the workload")?;
        if let Some(history) = &self.history {
            listing.client = history.enlist(1);
            listing.call = call.unwrap_or(0);
            listing.end = history.now();
            history.list(listing.clone());
        }
        listing.items.sort_unstable_by_key(|(key, _)| *key);
        Ok(listing)
    }

    fn clients(&self, store: &Store, learnt: &Listing) -> Vec<Client> {
        let count = self.workload.clients();
        let first = self
            .history
            .as_ref()
            .map_or(0, |history| history.enlist(count));
        (0..count)
            .map(|nth| {
                let workload = &self.workload;
                let number = first + nth;
                let (all, shared) = (workload.key_count(), workload.shared);
                let mut keys = keys::Keys::share(all, shared, nth, count, workload.seed, number);
                keys.learn_all(learnt);
                Client {
                    store: store.clone(),
                    history: self.history.clone(),
                    number,
                    keys: RefCell::new(keys),
                    value_bytes: workload.value_bytes,
                    page: workload.page,
                }
            })
            .collect()
    }
}

/// Creates, unmeasured, the keys that a workload without creates is about. It gives up on a client's keys at the first
/// that could not be created.
async fn fill(clients: &[Client], workload: &Workload) -> anyhow::Result<()> {
    if workload.mix.create > 0 || workload.mix.update + workload.mix.get == 0 {
        return Ok(());
    }
    // With shared keys every client knows all of them: one fills for all, and the others learn by their conflicts.
    let filling = if workload.shared {
        &clients[..1]
    } else {
        clients
    };
    let filled = futures::future::join_all(filling.iter().map(Client::fill)).await;
    filled.into_iter().collect()
}
