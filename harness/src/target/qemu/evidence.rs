//! What the guest's records say of the budget: the machine is the budget, so this is about the whole machine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use reports::event::BudgetEvidence;

use crate::cgroup::Limits;
use crate::machine::Size;
use crate::thrash::{Paging, PagingLog, Thrash};

/// What one record of the guest says of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct MachineReading {
    /// `MemAvailable`, bytes.
    pub available: Option<u64>,
    /// `oom_kill` of `/proc/vmstat`.
    pub oom_kills: Option<u64>,
    /// `pgmajfault`.
    pub major_faults: Option<u64>,
    /// `pgscan_kswapd` and `pgscan_direct`.
    pub scanned: Option<u64>,
}

/// What has been seen so far; shared with the task that reads the records.
#[derive(Debug, Clone, Default)]
pub(super) struct Evidence(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    lowest_available: Option<u64>,
    oom_kills: Option<u64>,
    paging: PagingLog,
    /// Of the present boot.
    limits: Limits,
    /// Whether the records stopped coming: then nobody knows the peak.
    lost: bool,
}

impl Evidence {
    pub fn add(&self, at: Instant, reading: &MachineReading) {
        let mut seen = self.lock();
        if let Some(available) = reading.available {
            let lowest = seen.lowest_available.get_or_insert(available);
            *lowest = available.min(*lowest);
        }
        seen.oom_kills = seen.oom_kills.max(reading.oom_kills);
        if let (Some(major_faults), Some(scanned)) = (reading.major_faults, reading.scanned) {
            seen.paging.push(Paging {
                at,
                major_faults,
                scanned,
            });
        }
    }

    /// What the guest's own kernel says of the machine's size.
    pub fn read_back(&self, limits: Limits) {
        self.lock().limits = limits;
    }

    /// The records came to an end while the machine was in use.
    pub fn lose(&self) {
        self.lock().lost = true;
    }

    pub fn thrash(&self, silent_since: Instant) -> Option<Thrash> {
        self.lock().paging.judge(silent_since)
    }

    /// The evidence on a machine of this size. Its memory cannot be exceeded and its server cannot leave it. The
    /// peak is what was not available at the worst moment seen, the kernel's own share included.
    pub fn of(&self, size: Size) -> BudgetEvidence {
        let seen = self.lock();
        let machine = size.memory_mib << 20;
        BudgetEvidence {
            enforced: true,
            not_enforced_because: None,
            memory_limit_bytes: seen.limits.memory_bytes,
            cpu_limit_milli: seen.limits.cpu_milli,
            peak_bytes: seen
                .lowest_available
                .filter(|_| !seen.lost)
                .map(|available| machine.saturating_sub(available)),
            // Nobody counted those after the last record.
            oom_kills: seen.oom_kills.filter(|kills| *kills > 0 || !seen.lost),
            // A machine has no limit that is hit: what it lacks, its kernel reclaims.
            limit_hits: 0,
            throttled_share: None,
            machine: true,
            ..BudgetEvidence::default()
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        // Nothing in the critical sections can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_moment_counts_and_nothing_seen_is_no_peak() {
        let size = Size {
            memory_mib: 512,
            cpus: 1,
        };
        let evidence = Evidence::default();
        let unseen = evidence.of(size);
        assert_eq!((unseen.peak_bytes, unseen.oom_kills), (None, None));
        for (available, oom_kills) in [(400, 0), (100, 2), (300, 2)] {
            let reading = MachineReading {
                available: Some(available << 20),
                oom_kills: Some(oom_kills),
                ..MachineReading::default()
            };
            evidence.add(Instant::now(), &reading);
        }
        let found = evidence.of(size);
        assert_eq!(found.peak_bytes, Some(412 << 20));
        assert_eq!(found.oom_kills, Some(2));
        // Nobody has asked the guest what it has.
        assert_eq!(
            (found.memory_limit_bytes, found.cpu_limit_milli),
            (None, None)
        );
        evidence.read_back(Limits {
            memory_bytes: Some(480 << 20),
            cpu_milli: Some(500),
        });
        let found = evidence.of(size);
        assert_eq!(found.memory_limit_bytes, Some(480 << 20));
        assert_eq!(
            (found.cpu_limit_milli, found.peak_bytes),
            (Some(500), Some(412 << 20))
        );
    }
}
