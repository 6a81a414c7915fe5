//! Stopping every process of a cgroup at one moment, and letting them go on.
//!
//! Frozen processes of version 1 do not even die of SIGKILL until they are thawed (Documentation/admin-guide/
//! cgroup-v1/freezer-subsystem.rst), so whoever kills thaws first: [`thaw_folder`].

use std::path::{Path, PathBuf};

use super::{Cgroup, Hierarchy, Refused, write};

/// Version 1: `FROZEN`, `FREEZING` or `THAWED`.
const V1_STATE: &str = "freezer.state";
/// Version 2 (Linux 5.2): what is wanted, 0 or 1.
const V2_WANTED: &str = "cgroup.freeze";
/// Version 2: what is so, in the line `frozen`.
const V2_EVENTS: &str = "cgroup.events";

/// The switch of a cgroup that stops its processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freezer {
    folder: PathBuf,
    unified: bool,
}

impl Cgroup {
    /// Its freezer; `None` where the kernel has none.
    #[must_use]
    pub fn freezer(&self) -> Option<Freezer> {
        let freezer = match &self.hierarchy {
            Hierarchy::V1(mounts) => Freezer {
                folder: mounts.freezer.as_ref()?.join(&self.name),
                unified: false,
            },
            Hierarchy::V2 { mount } => Freezer {
                folder: mount.join(&self.name),
                unified: true,
            },
        };
        freezer
            .folder
            .join(freezer.switch())
            .exists()
            .then_some(freezer)
    }
}

impl Freezer {
    fn switch(&self) -> &'static str {
        if self.unified { V2_WANTED } else { V1_STATE }
    }

    /// Asks for it; [`Freezer::state`] tells when it is so.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set(&self, frozen: bool) -> Result<(), Refused> {
        let value = match (self.unified, frozen) {
            (true, true) => "1",
            (true, false) => "0",
            (false, true) => "FROZEN",
            (false, false) => "THAWED",
        };
        write(&self.folder.join(self.switch()), value)
    }

    /// The kernel's own word: `FROZEN`, `FREEZING` or `THAWED`.
    ///
    /// # Errors
    /// When its file cannot be read.
    pub fn state(&self) -> std::io::Result<String> {
        if !self.unified {
            let state = std::fs::read_to_string(self.folder.join(V1_STATE))?;
            return Ok(state.trim().to_owned());
        }
        let wanted = std::fs::read_to_string(self.folder.join(V2_WANTED))?;
        let events = std::fs::read_to_string(self.folder.join(V2_EVENTS))?;
        let frozen = events.lines().any(|line| line == "frozen 1");
        Ok(match (wanted.trim(), frozen) {
            ("1", true) => "FROZEN",
            ("1", false) => "FREEZING",
            _ => "THAWED",
        }
        .to_owned())
    }
}

/// Lets the processes of a cgroup's folder go on, whatever hierarchy it is in. Where nothing is frozen, or there is no
/// such folder, nothing happens.
pub fn thaw_folder(folder: &Path) {
    for (file, value) in [(V1_STATE, "THAWED"), (V2_WANTED, "0")] {
        let file = folder.join(file);
        // Never made here: on another hierarchy the name would be an ordinary, refused file.
        if file.exists() {
            let _ = std::fs::write(file, value);
        }
    }
}
