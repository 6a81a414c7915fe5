//! Scopes: who owns what. Each resource enters the ledger on disk *before* it is made, so that `sweep`
//! finds it after any kind of death.

use serde::{Deserialize, Serialize};

/// Something that must not outlive its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// A process, known by pid and start time, so that a re-used pid is never touched.
    Process {
        /// Its pid in assay's pid namespace.
        pid: i32,
        /// Field 22 of `/proc/<pid>/stat`.
        start_ticks: u64,
        /// What it is, for people.
        what: String,
    },
    /// A cgroup folder.
    Cgroup {
        /// Its absolute path.
        path: std::path::PathBuf,
    },
    /// A folder with everything in it.
    Folder {
        /// Its absolute path.
        path: std::path::PathBuf,
    },
    /// A network interface in the host's namespace.
    Interface {
        /// Its name.
        name: String,
    },
}

/// Placeholder until the ledger lands.
#[derive(Debug)]
pub struct Scope;
