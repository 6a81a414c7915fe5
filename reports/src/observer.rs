//! What the instrument itself used.

use serde::{Deserialize, Serialize};

/// What the instrument itself used during the run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Observer {
    /// CPU time of the whole assay process, milliseconds.
    pub cpu_ms: f64,
    /// Highest resident set size, bytes.
    pub max_rss_bytes: u64,
    /// CPU time of the sampler thread, milliseconds.
    pub sampler_cpu_ms: f64,
    /// Time for which the sampler ran, milliseconds.
    pub sampler_wall_ms: f64,
    /// The part of `sampler_cpu_ms` after the servers were ready, at 10 Hz; 0 in journals that did not tell it apart.
    #[serde(default)]
    pub settled_cpu_ms: f64,
    /// The part of `sampler_wall_ms` after the servers were ready, at 10 Hz.
    #[serde(default)]
    pub settled_wall_ms: f64,
    /// Samples taken.
    pub samples: u64,
    /// Worst lateness of a sample against its schedule, milliseconds.
    pub worst_lateness_ms: f64,
}
