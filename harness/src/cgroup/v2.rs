//! Making a cgroup on the unified hierarchy.

use std::path::Path;

use reports::budget::Budget;

use super::v1::{PERIOD_US, make};
use super::{Refused, write};

pub(super) fn create(parent: &Path, folder: &Path, budget: &Budget) -> Result<(), Refused> {
    delegate(parent)?;
    make(folder)?;
    if let Some(bytes) = budget.memory_bytes {
        write(&folder.join("memory.max"), &bytes.to_string())?;
        let swap = folder.join("memory.swap.max");
        if swap.exists() {
            write(&swap, "0")?;
        }
    }
    if let Some(milli) = budget.cpu_milli {
        let quota = milli * PERIOD_US / 1000;
        write(&folder.join("cpu.max"), &format!("{quota} {PERIOD_US}"))?;
    }
    Ok(())
}

/// Switches the controllers on for the parent's children. Those that are on stay on when the run ends: others
/// may have come to rely on them, and the kernel offers no counting.
fn delegate(parent: &Path) -> Result<(), Refused> {
    let file = parent.join("cgroup.subtree_control");
    let on = |text: &str, name: &str| text.split_ascii_whitespace().any(|c| c == name);
    let mut enabled = std::fs::read_to_string(&file).unwrap_or_default();
    for (name, needed) in [
        ("memory", true),
        ("cpu", true),
        ("io", false),
        ("pids", false),
    ] {
        if on(&enabled, name) {
            continue;
        }
        match std::fs::write(&file, format!("+{name}")) {
            Ok(()) => {}
            Err(_) if !needed => {}
            Err(error) => {
                let next = match error.raw_os_error() {
                    Some(16) => {
                        "processes sit in that cgroup itself; run assay on the host, or in a container with its own cgroup namespace whose processes were moved into a child first"
                    }
                    Some(2) => "the controller is not delegated to it",
                    Some(30) => {
                        "cgroups are read-only here; in a container, start it with --privileged"
                    }
                    _ => "run as root, or have the controllers delegated",
                };
                return Err(Refused(format!(
                    "failed to switch on the controller {name} in {} ({error}); {next}",
                    parent.display()
                )));
            }
        }
        enabled = std::fs::read_to_string(&file).unwrap_or_default();
    }
    Ok(())
}
