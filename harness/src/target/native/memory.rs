//! Less memory than the server uses, until the kernel kills it.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::link::Ends;
use crate::cgroup::Cgroup;

/// A kernel that finds something to reclaim again and again takes its time over killing.
const KILLED_WITHIN: Duration = Duration::from_secs(90);
/// How long the server's end may take to be known after the kernel's count of kills has risen.
const KNOWN_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts: version 1 accepts only what it can reach by reclaiming.
const SQUEEZE_EVERY: Duration = Duration::from_millis(20);
/// How far below its usage the limit is put.
const BELOW: u64 = 1 << 20;

/// How it went.
pub(super) struct Exhausted {
    /// Usage before, bytes.
    pub usage: u64,
    /// The lowest limit that the kernel took, bytes.
    pub lowest: u64,
    /// Kills that the kernel counted.
    pub kills: u64,
}

/// Lowers the limit until the kernel has killed; the caller restores it, whatever this gives. It has asked for the
/// server's end.
pub(super) async fn exhaust(cgroup: &Cgroup, ends: &Ends) -> Result<Exhausted> {
    let kills = || cgroup.counters().oom_kills;
    let before =
        kills().context("failed to exhaust the memory: this kernel does not count its kills")?;
    let usage = cgroup
        .usage()
        .context("failed to exhaust the memory: its usage cannot be read")?;
    let (begun, mut lowest) = (Instant::now(), usage);
    while ends.down().is_none() {
        if kills() > Some(before) {
            // It may have been another process of the cell than the server.
            ends.down_within(KNOWN_WITHIN).await;
            break;
        }
        if begun.elapsed() > KILLED_WITHIN {
            bail!(
                "failed to exhaust the memory: nothing was killed within {KILLED_WITHIN:?} at a limit of {lowest} bytes, \
                 {usage} were in use before"
            );
        }
        let limit = cgroup.usage().unwrap_or(usage).saturating_sub(BELOW);
        let target = cgroup.clone();
        // The kernel may reclaim for long in this very call.
        let set = tokio::task::spawn_blocking(move || target.set_memory_limit(Some(limit))).await;
        if set.is_ok_and(|set| set.is_ok()) {
            lowest = lowest.min(limit);
        }
        tokio::time::sleep(SQUEEZE_EVERY).await;
    }
    Ok(Exhausted {
        usage,
        lowest,
        kills: kills().unwrap_or(0).saturating_sub(before),
    })
}
