//! The measured interval of a run, after its warm-up.

use std::time::{Duration, Instant};

use crate::load::workload::Workload;

/// From when to when it counts.
#[derive(Debug, Clone, Copy)]
pub struct Window {
    /// When the measured interval begins.
    pub start: Instant,
    /// When it ends; nothing is due any more.
    pub end: Instant,
}

impl Window {
    /// That of a workload which begins now.
    pub fn of(workload: &Workload) -> Self {
        let origin = Instant::now();
        let start = origin + Duration::from_secs_f64(workload.warm_up.max(0.0));
        Self {
            start,
            end: start + Self::length(workload),
        }
    }

    /// Length of a workload's measured interval.
    pub fn length(workload: &Workload) -> Duration {
        Duration::from_secs_f64(workload.seconds)
    }

    /// Whether a moment lies in the measured interval.
    pub fn holds(&self, at: Instant) -> bool {
        self.start <= at && at < self.end
    }
}
