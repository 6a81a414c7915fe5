//! The guest's stream of records as samplers.

use std::path::PathBuf;

use super::evidence::Evidence;
use crate::sampler::Sampler;

/// Stub
pub(super) struct GuestStream;

impl GuestStream {
    pub fn follow(_socket: PathBuf, _evidence: Evidence) -> Self {
        Self
    }
    pub fn samplers(&self) -> Vec<Box<dyn Sampler>> {
        Vec::new()
    }
}
