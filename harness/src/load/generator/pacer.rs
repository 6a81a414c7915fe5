//! When each request of an open loop is due, and waiting for that moment.
//!
//! The runtime's own timers count in milliseconds, which would be most of what SQLite takes for a write; the kernel's
//! are exact to some ten microseconds.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use crate::sys;

/// A schedule at a fixed rate, and a timer.
pub struct Pacer {
    origin: Instant,
    per_second: f64,
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    /// # Errors
    /// When the kernel gives no timer.
    pub fn new(origin: Instant, per_second: f64) -> anyhow::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)
            .context("failed to make a timer for the open loop")?;
        Ok(Self {
            origin,
            per_second,
            timer: sys::awaited(timer).context("failed to wait for the open loop's timer")?,
        })
    }

    /// When request `nth` is due.
    pub fn due(&self, nth: u64) -> Instant {
        self.origin + Duration::from_secs_f64(nth as f64 / self.per_second)
    }

    /// How many requests are due until a moment, itself left out.
    pub fn due_before(&self, at: Instant) -> u64 {
        let mut count =
            (at.saturating_duration_since(self.origin).as_secs_f64() * self.per_second) as u64;
        // Rounding may put it one off in either direction.
        while count > 0 && self.due(count - 1) >= at {
            count -= 1;
        }
        while self.due(count) < at {
            count += 1;
        }
        count
    }

    /// Waits until a moment.
    ///
    /// # Errors
    /// When the timer fails.
    pub async fn until(&self, at: Instant) -> anyhow::Result<()> {
        let ahead = at.saturating_duration_since(Instant::now());
        if ahead.is_zero() {
            // The clients' turn comes between two requests that are both late.
            tokio::task::yield_now().await;
            return Ok(());
        }
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: ahead.as_secs().cast_signed(),
                tv_nsec: ahead.subsec_nanos().into(),
            },
        };
        timerfd_settime(self.timer.get_ref(), TimerfdTimerFlags::empty(), &spec)
            .context("failed to set the open loop's timer")?;
        loop {
            let mut ready = self.timer.readable().await?;
            let mut fired = [0_u8; 8];
            match rustix::io::read(ready.get_inner(), &mut fired) {
                Ok(_) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error).context("failed to read the open loop's timer"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_schedule_has_neither_gap_nor_overlap() {
        let pacer = Pacer::new(Instant::now(), 30_000.0).unwrap();
        for nth in [0, 1, 2, 2999, 1_000_000] {
            assert_eq!(pacer.due_before(pacer.due(nth)), nth);
            let after = pacer.due(nth) + Duration::from_nanos(1);
            assert_eq!(pacer.due_before(after), nth + 1);
        }
    }

    #[tokio::test]
    async fn it_never_wakes_early() {
        let pacer = Pacer::new(Instant::now(), 2000.0).unwrap();
        for nth in 0..20 {
            pacer.until(pacer.due(nth)).await.unwrap();
            assert!(Instant::now() >= pacer.due(nth));
        }
    }
}
