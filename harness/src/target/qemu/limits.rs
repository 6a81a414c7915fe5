//! What the guest's own kernel says of its machine's size: what was asked of the emulator is no evidence.

use crate::cgroup::{Limits, quota_milli};
use crate::guest::{Control, SERVER_CGROUP};

/// More than a kernel writes into any of these files.
const MOST: usize = 16 << 10;

/// The memory and the CPUs that the machine has. What the guest does not tell is `None`.
pub(super) async fn of_machine(control: &Control) -> Limits {
    let meminfo = read(control, "/proc/meminfo").await;
    let online = read(control, "/sys/devices/system/cpu/online").await;
    Limits {
        memory_bytes: meminfo.as_deref().and_then(total),
        cpu_milli: online.as_deref().and_then(cpus).map(|cpus| cpus * 1000),
    }
}

/// The share of the machine's CPUs to which the server's cgroup is held; called where it has a quota, once it is made.
pub(super) async fn of_quota(control: &Control) -> Option<u64> {
    let max = read(control, &format!("/sys/fs/cgroup/{SERVER_CGROUP}/cpu.max")).await?;
    quota_milli(&max)
}

async fn read(control: &Control, path: &str) -> Option<String> {
    let bytes = control.get(path, MOST).await.ok()?;
    String::from_utf8(bytes).ok()
}

/// `MemTotal` of `/proc/meminfo`, bytes: the machine's memory without what its kernel took at boot.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// The number of CPUs in a list such as `0-2,4` (Documentation/admin-guide/cputopology.rst).
fn cpus(list: &str) -> Option<u64> {
    list.trim().split(',').try_fold(0_u64, |sum, range| {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        sum.checked_add(last.checked_sub(first)?.checked_add(1)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_tells_its_memory_and_its_cpus() {
        let meminfo = "MemTotal:         490364 kB\nMemFree:          400000 kB\n";
        assert_eq!(total(meminfo), Some(490_364 << 10));
        for (list, count) in [("0\n", 1), ("0-3\n", 4), ("0-1,3,5-6", 5)] {
            assert_eq!(cpus(list), Some(count), "{list:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_not_known() {
        for bad in [
            "",
            "MemFree: 1 kB",
            "MemTotal: x kB",
            "MemTotal: 5",
            "MemTotal: 99999999999999999 kB",
        ] {
            assert_eq!(total(bad), None, "{bad:?}");
        }
        for bad in ["", "\n", "3-1", "a", "0,", "0-18446744073709551615"] {
            assert_eq!(cpus(bad), None, "{bad:?}");
        }
    }
}
