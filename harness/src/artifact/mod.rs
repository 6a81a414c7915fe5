//! Artifacts: where the binaries under test come from.
//!
//! A K3s binary is taken from the first of `--k3s-binary`, `K3S_BINARY`, the cache, `PATH` and a download.
//! What was named explicitly and is unfit is an error; what was merely found and is unfit is passed over
//! with a warning. Everything that is downloaded is verified against a pin or its release's checksum file
//! before it gets its final name.

pub mod args;
mod binary;
mod cache;
mod checksum;
mod download;
mod elf;
mod entry;
mod error;
mod etcd;
mod fetch;
mod http;
mod k3s;
mod kubernetes;
mod mirror;
mod patience;
pub mod progress;
mod reach;
mod release;
mod resolved;
mod sink;
mod version;

#[cfg(test)]
mod tests;

pub use binary::BinaryProblem;
pub use cache::Cache;
pub use error::ArtifactError;
pub use etcd::{EtcdRequest, resolve_etcd};
pub use fetch::{fetch_k3s, run_fetch};
pub use fixtures::artifacts::Arch;
pub use k3s::{K3sRequest, find_k3s, resolve_k3s};
pub use kubernetes::{KubernetesBinaries, KubernetesRequest, resolve_kubernetes};
pub use mirror::Mirror;
pub use patience::Patience;
pub use progress::Progress;
pub use reach::{AutoK3s, k3s_reachable, resolve_k3s_auto};
pub use release::check_version;
pub use resolved::{Origin, Resolved};
