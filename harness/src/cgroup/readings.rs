//! Limits and counters read back for the evidence. Seldom read, hence plain code; the sampler has its own.

use std::path::Path;

use super::{Cgroup, Hierarchy, V1Mounts};

/// The limits as the kernel tells them; `None` is unlimited or unreadable.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory limit, bytes.
    pub memory_bytes: Option<u64>,
    /// CPU limit, thousandths of a CPU.
    pub cpu_milli: Option<u64>,
}

/// The kernel's counters since the cgroup was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// High-water mark of usage, bytes; `None` before Linux 5.19 on v2.
    pub peak_bytes: Option<u64>,
    /// Processes killed by the OOM killer; `None` where the kernel does not tell (v1 before Linux 4.13), or no more.
    pub oom_kills: Option<u64>,
    /// Times the memory limit was hit.
    pub limit_hits: u64,
    /// Enforcement periods of the CPU quota.
    pub periods: u64,
    /// Of these, those in which the quota was exhausted.
    pub throttled_periods: u64,
}

/// v1 writes "no limit" as the greatest page-aligned number, PAGE_COUNTER_MAX.
const V1_UNLIMITED: u64 = 1 << 62;

pub(super) fn limits(cgroup: &Cgroup) -> Limits {
    match cgroup.v1_folders() {
        Some(folders) => v1_limits(&folders),
        None => v2_limits(&cgroup.memory()),
    }
}

fn v1_limits(folders: &V1Mounts) -> Limits {
    let quota = number(&folders.cpu.join("cpu.cfs_quota_us"));
    let period = number(&folders.cpu.join("cpu.cfs_period_us"));
    Limits {
        memory_bytes: number(&folders.memory.join("memory.limit_in_bytes"))
            .filter(|bytes| *bytes < V1_UNLIMITED),
        cpu_milli: milli(quota, period),
    }
}

fn v2_limits(folder: &Path) -> Limits {
    let max = std::fs::read_to_string(folder.join("cpu.max")).unwrap_or_default();
    Limits {
        memory_bytes: number(&folder.join("memory.max")), // "max" does not parse: unlimited
        cpu_milli: quota_milli(&max),
    }
}

/// Thousandths of a CPU that `cpu.max` allows, such as `50000 100000`; `None` is no quota (`max`) or unreadable.
#[must_use]
pub fn quota_milli(max: &str) -> Option<u64> {
    let mut fields = max.split_ascii_whitespace().map(|field| field.parse().ok());
    milli(fields.next().flatten(), fields.next().flatten())
}

fn milli(quota: Option<u64>, period: Option<u64>) -> Option<u64> {
    (quota? * 1000).checked_div(period?)
}

pub(super) fn counters(cgroup: &Cgroup) -> Counters {
    let memory = cgroup.memory();
    let mut counters = match &cgroup.hierarchy {
        Hierarchy::V1(mounts) => {
            let cpu = mounts.cpu.join(&cgroup.name).join("cpu.stat");
            Counters {
                peak_bytes: number(&memory.join("memory.max_usage_in_bytes")),
                oom_kills: keyed(&memory.join("memory.oom_control"), "oom_kill"),
                // The kernel asks memory+swap first; both limits are equal, so hits are counted there, and
                // with memory alone only where swap is not accounted.
                limit_hits: ["memory.failcnt", "memory.memsw.failcnt"]
                    .iter()
                    .filter_map(|name| number(&memory.join(name)))
                    .sum(),
                periods: keyed(&cpu, "nr_periods").unwrap_or(0),
                throttled_periods: keyed(&cpu, "nr_throttled").unwrap_or(0),
            }
        }
        Hierarchy::V2 { .. } => Counters {
            peak_bytes: number(&memory.join("memory.peak")),
            oom_kills: keyed(&memory.join("memory.events"), "oom_kill"),
            limit_hits: keyed(&memory.join("memory.events"), "max").unwrap_or(0),
            periods: keyed(&memory.join("cpu.stat"), "nr_periods").unwrap_or(0),
            throttled_periods: keyed(&memory.join("cpu.stat"), "nr_throttled").unwrap_or(0),
        },
    };
    // The v1 counters stay 0 on recent kernels (seen on 6.18), but who was killed at the limit has hit it.
    counters.limit_hits = counters.limit_hits.max(counters.oom_kills.unwrap_or(0));
    counters
}

/// A file that holds one number; `-1` (no quota) does not parse.
fn number(file: &Path) -> Option<u64> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// A line `key value` of a file.
fn keyed(file: &Path, key: &str) -> Option<u64> {
    std::fs::read_to_string(file)
        .ok()?
        .lines()
        .find_map(|line| {
            line.strip_prefix(key)?
                .strip_prefix(' ')?
                .trim()
                .parse()
                .ok()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_that_is_not_there_is_not_zero() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cgroup-v1");
        let control = folder.join("memory.oom_control");
        assert_eq!(keyed(&control, "oom_kill"), Some(2));
        // A kernel before 4.13 has the file without the line.
        assert_eq!(keyed(&control, "oom_kills"), None);
        assert_eq!(keyed(&folder.join("nothing"), "oom_kill"), None);
        assert_eq!(quota_milli("50000 100000\n"), Some(500));
        assert_eq!((quota_milli("max 100000\n"), quota_milli("")), (None, None));
    }
}
