//! Removing one resource, whoever asks: the end of a cell, or a sweep.

use std::path::Path;
use std::time::Duration;

use super::process::{Killed, kill_exact};
use super::{Resource, remove_work_folder};

/// How long one killed process, or one emptied cgroup, may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// Removes a resource by its recorded identity. `Ok(true)`: removed now; `Ok(false)`: it was gone, or never made.
///
/// # Errors
/// A sentence: why it stays, and what to do.
pub(super) fn remove(work: &Path, resource: &Resource) -> Result<bool, String> {
    match resource {
        Resource::Process {
            pid, start_ticks, ..
        } => match kill_exact(*pid, *start_ticks, GONE_WITHIN) {
            Killed::Gone => Ok(true),
            Killed::NotThere => Ok(false),
            Killed::Remains(reason) => Err(format!("{reason}; run `assay sweep` again")),
        },
        Resource::Cgroup { path } => crate::cgroup::remove_folder(path, GONE_WITHIN),
        Resource::Objects {
            kubeconfig,
            context,
            uid,
            run,
        } => crate::target::existing::remove_objects(kubeconfig, context.as_deref(), uid, run),
        Resource::Loop { image } => super::loop_device::detach(work, image),
        Resource::Sysctl { path, before } => super::sysctl::restore(path, before),
        Resource::Interface { name } => crate::net::remove_interface(name),
        Resource::Engine(held) => crate::engine::remove(held),
        Resource::Folder { path } => {
            let there = std::fs::symlink_metadata(path).is_ok();
            remove_work_folder(work, path).map(|()| there)
        }
    }
}
