//! Making a cgroup on version 1 hierarchies.

use std::io::ErrorKind;
use std::path::Path;

use reports::budget::Budget;

use super::{Cgroup, Refused, write};

/// The CPU quota's period: 100 ms, the kernel's and the kubelet's default.
pub(super) const PERIOD_US: u64 = 100_000;

pub(super) fn create(cgroup: &Cgroup, budget: &Budget) -> Result<(), Refused> {
    for folder in cgroup.folders() {
        make(&folder)?;
    }
    let Some(folders) = cgroup.v1_folders() else {
        return Ok(());
    };
    if let Some(bytes) = budget.memory_bytes {
        limit_memory(&folders.memory, bytes)?;
    }
    if let Some(milli) = budget.cpu_milli {
        write(
            &folders.cpu.join("cpu.cfs_period_us"),
            &PERIOD_US.to_string(),
        )?;
        let quota = milli * PERIOD_US / 1000;
        write(&folders.cpu.join("cpu.cfs_quota_us"), &quota.to_string())?;
    }
    Ok(())
}

/// Memory first, then memory+swap: the kernel refuses a memory+swap limit below the memory limit. Both are
/// equal, for a budget with swap beneath it would be fiction.
fn limit_memory(folder: &Path, bytes: u64) -> Result<(), Refused> {
    write(&folder.join("memory.limit_in_bytes"), &bytes.to_string())?;
    let with_swap = folder.join("memory.memsw.limit_in_bytes");
    if with_swap.exists() {
        write(&with_swap, &bytes.to_string())?;
    } else {
        // Without swap accounting, at least never swap because of the limit. Not every kernel has it.
        let _ = write(&folder.join("memory.swappiness"), "0");
    }
    Ok(())
}

pub(super) fn make(folder: &Path) -> Result<(), Refused> {
    std::fs::create_dir(folder).map_err(|error| {
        let next = match error.kind() {
            ErrorKind::PermissionDenied => "run as root",
            ErrorKind::ReadOnlyFilesystem => {
                "cgroups are read-only here; in a container, start it with --privileged"
            }
            ErrorKind::AlreadyExists => "it belongs to another run; try again",
            _ => "check that cgroups are writable here",
        };
        Refused(format!(
            "failed to make the cgroup {} ({error}); {next}",
            folder.display()
        ))
    })
}
