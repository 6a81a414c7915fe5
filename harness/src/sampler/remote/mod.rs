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

type Slot = Arc<Mutex<Newest>>;

/// What came last and was not taken yet.
#[derive(Default)]
struct Newest {
    readings: Option<Vec<(Metric, f64)>>,
    /// Whether nothing will come any more.
    ended: bool,
}

/// A source that is asked in the background for as long as this lives.
pub struct Remote {
    name: String,
    /// What is sampled, for the record.
    what: &'static str,
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
    /// What is sampled, for the record.
    #[must_use]
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// How often there is something new.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }

    /// A sampler that takes what came last.
    #[must_use]
    pub fn sampler(&self) -> Box<dyn Sampler> {
        Box::new(Taker {
            name: self.name.clone(),
            slot: Arc::clone(&self.newest),
        })
    }
}

struct Taker {
    name: String,
    slot: Slot,
}

impl Sampler for Taker {
    fn name(&self) -> &str {
        &self.name
    }

    /// Nothing at all between two answers: a value that was read once is one sample.
    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> std::io::Result<()> {
        let mut slot = self.slot.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = slot.readings.take();
        if newest.is_none() && slot.ended {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
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
    slot.lock().unwrap_or_else(PoisonError::into_inner).readings = Some(readings);
}

fn end(slot: &Slot) {
    slot.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
}
