//! Samples from a cluster that assay did not make: over ssh from the device, or from what the cluster tells.
//!
//! Such sources are slow. A task asks each at its own period and keeps the newest answer; the sampling loop takes it
//! once.

mod device;
mod kubelet;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reports::metric::Metric;
use tokio::task::JoinHandle;

use super::Sampler;
use crate::api::Api;

type Slot = Arc<Mutex<Option<Vec<(Metric, f64)>>>>;

/// A source that is asked in the background for as long as this lives.
pub struct Remote {
    name: String,
    period: Duration,
    newest: Slot,
    task: JoinHandle<()>,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Remote {
    /// How often there is something new.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// A sampler that takes what came last.
    #[must_use]
    pub fn sampler(&self) -> Box<dyn Sampler> {
        Box::new(Newest {
            name: self.name.clone(),
            slot: Arc::clone(&self.newest),
        })
    }
}

struct Newest {
    name: String,
    slot: Slot,
}

impl Sampler for Newest {
    fn name(&self) -> &str {
        &self.name
    }

    /// Nothing at all between two answers: a value that was read once is one sample.
    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> std::io::Result<()> {
        let newest = self
            .slot
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        into.extend(newest.into_iter().flatten());
        Ok(())
    }
}

/// Finds the best source: the device itself where `ssh` names it, else the kubelet of the only node, else the
/// metrics API.
///
/// # Errors
/// A sentence: why nothing can be sampled.
pub async fn open(ssh: Option<&str>, api: &Api) -> Result<Remote, String> {
    match ssh {
        Some(device) => device::open(device).await,
        None => kubelet::open(api).await,
    }
}

fn put(slot: &Slot, readings: Vec<(Metric, f64)>) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(readings);
}
