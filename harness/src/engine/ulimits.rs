//! Resource limits of a container's processes.
//!
//! Docker hands its own on. Podman as root raises them, which an engine without CAP_SYS_RESOURCE may not ("error setting
//! rlimit"), as in a virtual machine or container that withholds it.

use rustix::process::{Resource, getrlimit};
use testcontainers::bollard::models::ResourcesUlimits;

use super::Engine;
use crate::host::bounding_capabilities;

/// The limits to ask an engine for, which are this process's own; `None`: those that it sets by itself.
#[must_use]
pub fn ulimits(engine: &Engine) -> Option<Vec<ResourcesUlimits>> {
    let raises = engine.podman && !bounding_capabilities().contains(&"SYS_RESOURCE");
    raises.then(own)
}

fn own() -> Vec<ResourcesUlimits> {
    // In the words of Docker's API, where -1 is no limit.
    [("nofile", Resource::Nofile), ("nproc", Resource::Nproc)]
        .into_iter()
        .map(|(name, resource)| {
            let own = getrlimit(resource).maximum;
            let most = match resource {
                // Podman lowers its own to this.
                Resource::Nproc => own.into_iter().chain(pid_max()).min(),
                _ => own,
            };
            let most = most.map_or(-1, |most| i64::try_from(most).unwrap_or(i64::MAX));
            ResourcesUlimits {
                name: Some(name.to_owned()),
                soft: Some(most),
                hard: Some(most),
            }
        })
        .collect()
}

/// No more processes than this are there at once (proc_sys_kernel(5)).
fn pid_max() -> Option<u64> {
    let text = fs_err::read_to_string("/proc/sys/kernel/pid_max").ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_raised() {
        for limit in own() {
            assert!(
                limit.soft == limit.hard && limit.hard != Some(0),
                "{limit:?}"
            );
        }
    }
}
