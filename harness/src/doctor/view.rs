//! What the checks look at: files below a root that tests replace, and facts gathered beforehand.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A binary that assay looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binary {
    /// It is there; in words which and where.
    Found(String),
    /// It is not there but can be fetched; in words from where.
    Fetchable(String),
    /// It cannot be had; in words why.
    Absent(String),
}

/// A container engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Engine {
    /// Its socket answers; the address.
    Answers(String),
    /// There is a socket that does not answer, or none: in words.
    Silent(String),
    /// There is one that cannot be used from here: in words, with what to do.
    Unusable(String),
}

/// What cannot be read from a file in a fixture tree.
#[derive(Debug, Clone)]
pub struct Facts {
    /// Whether a K3s binary can be had.
    pub k3s: Binary,
    /// Whether an etcd binary can be had; never [`Binary::Fetchable`].
    pub etcd: Binary,
    /// Whether the servers of Kubernetes are there; never [`Binary::Fetchable`].
    pub kubernetes: Binary,
    /// The container engine.
    pub engine: Engine,
    /// The folders that assay writes to, and the bytes free there.
    pub disks: Vec<(String, u64)>,
    /// Seconds since 1970 by the host's clock.
    pub now: i64,
    /// The machine, in Rust's word for it.
    pub arch: String,
    /// Whether a guest has run on this host's own CPU, or why none can.
    pub kvm: Result<(), String>,
    /// The command that fetches K3s.
    pub fetch_k3s: Vec<String>,
}

/// A host as the checks see it.
#[derive(Debug, Clone)]
pub struct HostView {
    /// `/`, or a fixture tree with `proc`, `sys`, `etc`, `usr` in it.
    pub root: PathBuf,
    /// The environment.
    pub variables: BTreeMap<String, String>,
    /// What was gathered beforehand.
    pub facts: Facts,
}

impl HostView {
    /// This host, with what was gathered of it.
    #[must_use]
    pub fn of_this(facts: Facts) -> Self {
        Self {
            root: PathBuf::from("/"),
            variables: std::env::vars_os()
                .filter_map(|(key, value)| {
                    Some((key.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            facts,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// A file's text; `None` when it cannot be read.
    pub(super) fn read(&self, path: &str) -> Option<String> {
        // Not every file of /proc and none of the device tree is promised to be UTF-8.
        let bytes = fs_err::read(self.at(path)).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether a path exists.
    pub(super) fn exists(&self, path: &str) -> bool {
        self.at(path).exists()
    }

    /// Whether a program of this name is in `PATH`.
    pub(super) fn has_program(&self, name: &str) -> bool {
        let path = self
            .variables
            .get("PATH")
            .map_or("/usr/sbin:/usr/bin:/sbin:/bin", String::as_str);
        std::env::split_paths(path).any(|folder| {
            let folder: &Path = folder.strip_prefix("/").unwrap_or(&folder);
            self.root.join(folder).join(name).is_file()
        })
    }

    /// The value after `key:` in a file such as `/proc/self/status` or `/proc/meminfo`.
    pub(super) fn field(&self, path: &str, key: &str) -> Option<String> {
        let text = self.read(path)?;
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':').map(str::trim));
        value.map(str::to_owned)
    }

    /// Whether assay acts as root.
    pub(super) fn is_root(&self) -> bool {
        // Real, effective, saved, file system: the second counts.
        self.field("/proc/self/status", "Uid")
            .is_some_and(|ids| ids.split_whitespace().nth(1) == Some("0"))
    }

    /// Whether systemd is the init system, by sd_booted(3)'s own test.
    pub(super) fn has_systemd(&self) -> bool {
        self.exists("/run/systemd/system")
    }
}
