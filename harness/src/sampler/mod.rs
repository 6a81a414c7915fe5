//! Samplers: sources of readings.

use reports::metric::Metric;

/// A source of readings. Implementations keep their file descriptors open and allocate nothing per sample
/// beyond the readings themselves.
pub trait Sampler: Send {
    /// Where it reads, such as `cgroup-v1`.
    fn name(&self) -> &str;
    /// Reads once, appending to `into`.
    ///
    /// # Errors
    /// When the source is gone; the sampler loop then stops asking it.
    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> std::io::Result<()>;
}
