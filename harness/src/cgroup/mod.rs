//! cgroups: one per cell, made for its budget and removed with it.
//!
//! Rules of the kernel that shape this: charges do not move with a process, so the server is started inside;
//! on v1 the memory limit must be set before memory+swap; on v2 a cgroup's controllers are switched on in its
//! parent, which must then hold no processes of its own (Documentation/admin-guide/cgroup-v2.rst, "No Internal
//! Process Constraint"; the root is exempt).

mod detect;
mod found;
mod freeze;
mod procs;
mod readings;
mod remove;
mod squeeze;
mod v1;
mod v2;

use std::path::{Path, PathBuf};

use reports::budget::Budget;

pub use detect::{Hierarchy, Layout, Mode, V1Mounts, detect, probe};
pub use freeze::{Freezer, thaw_folder};
pub use procs::{beneath as processes_in, kill_all};
pub use readings::{Counters, Limits, quota_milli};
pub use remove::{remove_folder, thaw_ours};

/// Every cgroup of assay is named `assay-` and 8 random hexadecimal digits.
pub const PREFIX: &str = "assay-";

/// Why a cgroup could not be made: a sentence with the next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// One cell's cgroup. Holds paths, no resource: [`Cgroup::create`] makes it, [`remove_folder`] removes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cgroup {
    name: String,
    hierarchy: Hierarchy,
    /// The part of its path that is nobody else's: its own name, or the id of the container whose it is.
    mark: String,
}

impl Cgroup {
    /// Plans a cgroup of this name; makes nothing.
    #[must_use]
    pub fn plan(hierarchy: &Hierarchy, id: &str) -> Self {
        let name = format!("{PREFIX}{id}");
        Self {
            mark: name.clone(),
            name,
            hierarchy: hierarchy.clone(),
        }
    }

    /// Its folders: one on v2, one for each hierarchy on v1 (co-mounted controllers share one).
    #[must_use]
    pub fn folders(&self) -> Vec<PathBuf> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts
                .distinct()
                .iter()
                .map(|m| m.join(&self.name))
                .collect(),
            Hierarchy::V2 { mount } => vec![mount.join(&self.name)],
        }
    }

    /// The folder that counts memory.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => mounts.memory.join(&self.name),
            Hierarchy::V2 { mount } => mount.join(&self.name),
        }
    }

    /// On v1, the folder of a controller, where it is mounted.
    #[must_use]
    pub(crate) fn v1_folders(&self) -> Option<V1Mounts> {
        match &self.hierarchy {
            Hierarchy::V1(mounts) => Some(mounts.map(|mount| mount.join(&self.name))),
            Hierarchy::V2 { .. } => None,
        }
    }

    /// Makes it and sets the budget's limits. What was made stays for [`remove_folder`], also after an error.
    ///
    /// # Errors
    /// When the kernel refuses: read-only or not delegated cgroups, a missing controller, inner processes.
    pub fn create(&self, budget: &Budget) -> Result<(), Refused> {
        match &self.hierarchy {
            Hierarchy::V1(_) => v1::create(self, budget),
            Hierarchy::V2 { mount } => v2::create(mount, &self.memory(), budget),
        }
    }

    /// The files into which a process writes `0` to enter.
    #[must_use]
    pub fn entrances(&self) -> Vec<PathBuf> {
        self.folders()
            .iter()
            .map(|folder| folder.join("cgroup.procs"))
            .collect()
    }

    /// The limits as the kernel tells them.
    #[must_use]
    pub fn limits(&self) -> Limits {
        readings::limits(self)
    }

    /// The kernel's counters for the evidence. All zero or `None` once the cgroup is gone.
    #[must_use]
    pub fn counters(&self) -> Counters {
        readings::counters(self)
    }

    /// The processes in it and beneath it, as pids of this pid namespace.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        procs::beneath(&self.memory())
    }

    /// Whether a process sits in it or beneath it, in each hierarchy that counts or limits; `None` when there
    /// is no such process. The name is random, so finding it in the path is proof enough, also where
    /// `/proc/<pid>/cgroup` and the mounts are rooted differently.
    #[must_use]
    pub fn holds(&self, pid: i32) -> Option<bool> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        // A process that has ended and waits to be reaped is shown at the root, wherever it was.
        let alive = procs::is_running(pid)?;
        alive.then(|| self.is_in(&text))
    }

    fn is_in(&self, proc_cgroup: &str) -> bool {
        let needed: &[&str] = match &self.hierarchy {
            Hierarchy::V1(_) => &["memory", "cpu"],
            Hierarchy::V2 { .. } => &[""],
        };
        needed.iter().all(|controller| {
            proc_cgroup.lines().any(|line| {
                let mut fields = line.splitn(3, ':').skip(1);
                fields
                    .next()
                    .is_some_and(|names| names.split(',').any(|name| name == *controller))
                    && fields.next().is_some_and(|path| {
                        path.split('/')
                            .any(|part| found::is_marked(part, &self.mark))
                    })
            })
        })
    }
}

/// Moves this process into a cgroup; 0 means the writer itself, whatever its pid namespace.
///
/// # Errors
/// A sentence: the cgroup is gone, or refuses.
pub(crate) fn join(entrances: &[PathBuf]) -> Result<(), String> {
    for entrance in entrances {
        std::fs::write(entrance, "0").map_err(|error| {
            format!(
                "failed to enter the cgroup through {} ({error})",
                entrance.display()
            )
        })?;
    }
    Ok(())
}

fn write(file: &Path, value: &str) -> Result<(), Refused> {
    std::fs::write(file, value).map_err(|error| {
        Refused(format!(
            "failed to write {value} to {} ({error}); run as root on a host whose cgroups are writable",
            file.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_inside_only_if_every_limiting_hierarchy_says_so() {
        let mounts = V1Mounts::rooted_at(Path::new("/sys/fs/cgroup"));
        let v1 = Cgroup::plan(&Hierarchy::V1(mounts), "0badcafe");
        assert!(v1.is_in("4:memory:/assay-0badcafe\n2:cpu,cpuacct:/x/assay-0badcafe/init\n0::/\n"));
        assert!(!v1.is_in("4:memory:/k3s\n2:cpu,cpuacct:/assay-0badcafe\n"));
        assert!(!v1.is_in("4:memory:/assay-0badcafe\n"));
        let mount = PathBuf::from("/sys/fs/cgroup");
        let v2 = Cgroup::plan(&Hierarchy::V2 { mount }, "0badcafe");
        assert!(v2.is_in("0::/assay-0badcafe/init\n"));
        assert!(!v2.is_in("0::/assay-0badcafe0\n"));
        assert!(!v2.is_in(""));
    }
}
