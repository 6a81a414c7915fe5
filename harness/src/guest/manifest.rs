//! What a built guest consists of, kept beside it and meant for the record of a run.

use serde::{Deserialize, Serialize};

use super::apt::Package;

/// What a built guest consists of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The key of its content: equal keys are equal guests.
    pub key: String,
    /// What it can run: `base`, `etcd` or `node`.
    pub bundle: String,
    /// The kernel's release, such as `6.1.0-56-cloud-arm64`.
    pub kernel: String,
    /// Its packages, sorted by name; the kernel's own is among them.
    pub packages: Vec<Package>,
    /// Lengths of `kernel`, `initramfs` and `root.ext4`, bytes: a file of another length was cut short.
    pub lengths: [u64; 3],
}
