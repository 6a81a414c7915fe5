//! The place where a mutant is put in, and the count of what it changed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{Defect, Mutant};
use crate::api::{Request, Response};

/// One mutant at work.
pub(crate) struct Layer {
    mutant: Mutant,
    defect: Mutex<Box<dyn Defect>>,
    applied: AtomicU64,
}

/// The defect's own memory of one watch: two watches must not mix up their events.
pub(crate) struct Lines(Box<dyn Defect>);

impl Layer {
    pub(crate) fn new(mutant: Mutant) -> Self {
        Self {
            mutant,
            defect: Mutex::new((mutant.make)()),
            applied: AtomicU64::new(0),
        }
    }

    /// How often it changed anything: a mutant that changed nothing was not survived, it was not there.
    pub(crate) fn applied(&self) -> u64 {
        self.applied.load(Ordering::Relaxed)
    }

    pub(crate) fn request(&self, asked: &Request) -> Request {
        let mut wire = asked.clone();
        self.defect
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .request(&mut wire);
        self.count(wire != *asked);
        wire
    }

    pub(crate) fn response(&self, asked: &Request, response: &mut Response) {
        let healthy = response.clone();
        self.defect
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .response(asked, response);
        self.count(*response != healthy);
    }

    pub(crate) fn lines(&self) -> Lines {
        Lines((self.mutant.make)())
    }

    pub(crate) fn line(&self, lines: &mut Lines, asked: &Request, event: Value) -> Vec<Value> {
        let healthy = event.clone();
        let mutated = lines.0.line(asked, event);
        self.count(mutated != [healthy]);
        mutated
    }

    fn count(&self, changed: bool) {
        self.applied
            .fetch_add(u64::from(changed), Ordering::Relaxed);
    }
}
