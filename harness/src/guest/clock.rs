//! The guest's clock as a pace, and the guest's random numbers after its clock stood still.

use std::time::Duration;

use anyhow::Context;

use super::control::Control;
use super::protocol::Kind;

/// Bytes that a new seed has: the kernel's generator takes 32.
const SEED_BYTES: usize = 32;

impl Control {
    /// Waits on the guest's clock, and tells what that monotonic clock then shows. Whoever looks at a guest in such
    /// steps looks equally often however busy this host is.
    ///
    /// # Errors
    /// As any request.
    pub async fn tick(&self, after: Duration) -> anyhow::Result<Duration> {
        let wait = after.as_millis().to_string().into_bytes();
        // On a busy host the guest's clock may run far slower than ours.
        let reply = self
            .request(Kind::Tick, vec![wait], TICK_WITHIN + after)
            .await?;
        let seconds: f64 = reply
            .number(0)
            .context("failed to understand the guest's clock")?;
        Duration::try_from_secs_f64(seconds).context("failed to understand the guest's clock")
    }

    /// Mixes fresh random bytes into the guest's generator: two guests that go on from one saved state would else
    /// draw the same keys and names.
    ///
    /// # Errors
    /// When this host gives none, or as any request.
    pub async fn reseed(&self) -> anyhow::Result<()> {
        let mut seed = Vec::with_capacity(SEED_BYTES);
        while seed.len() < SEED_BYTES {
            seed.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        self.short(Kind::Reseed, vec![seed]).await.map(drop)
    }
}

/// Beyond the time itself.
const TICK_WITHIN: Duration = Duration::from_secs(30);
