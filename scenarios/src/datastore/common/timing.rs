//! Latencies in microseconds.

use std::time::Duration;

use hdrhistogram::Histogram;

/// Three digits, growing with what it sees.
pub type Micros = Histogram<u64>;

/// An empty one.
///
/// # Errors
/// Never with three digits; the type says so.
pub fn micros() -> anyhow::Result<Micros> {
    Ok(Histogram::new(3)?)
}

/// Adds a duration; what is shorter than a microsecond counts as one.
///
/// # Errors
/// When it is longer than a histogram can hold, which is ages.
pub fn record(into: &mut Micros, took: Duration) -> anyhow::Result<()> {
    let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    into.record(micros.max(1))?;
    Ok(())
}
