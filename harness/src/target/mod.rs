//! Targets: places where a cluster is made.

pub mod native;

use std::net::IpAddr;
use std::time::Instant;

use futures::future::BoxFuture;
use reports::event::BudgetEvidence;

use crate::cell::Cell;
use crate::distribution::{Access, CommandLine};
use crate::sampler::Sampler;
use crate::scope::Scope;

/// Whether wall time on a target is a real machine's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Wall time is real.
    Real,
    /// Wall time is an emulator's; gates on time abstain.
    Emulated,
}

/// Why a cluster could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ProvisionError {
    /// The host lacks something; the cell is skipped with this reason.
    #[error("{0}")]
    Unavailable(String),
    /// Making it failed. Whatever was made has been removed or stands in the ledger.
    #[error("{0:#}")]
    Failed(#[from] anyhow::Error),
}

/// How a server ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether the kernel counts an OOM kill in its cgroup.
    pub oom_killed: bool,
}

/// A place where clusters are made; one per kind of place.
pub trait Target: Sync {
    /// Its name, as in `--target`.
    fn name(&self) -> &'static str;
    /// Whether wall time there is real.
    fn timing(&self) -> Timing;
    /// Provisions a cell: starts its server inside its budget. Returns as soon as the server runs;
    /// readiness is the runner's business.
    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>>;
}

/// A live cluster.
pub trait Cluster: Send + Sync {
    /// The address at which its server is reached from here.
    fn address(&self) -> IpAddr;
    /// How to get at it; paths are valid here.
    fn access(&self) -> &Access;
    /// The command line that was started.
    fn command(&self) -> &CommandLine;
    /// The server's data folder, valid here.
    fn data_dir(&self) -> &std::path::Path;
    /// The server's log file.
    fn log(&self) -> &std::path::Path;
    /// The moment at which the server was executed.
    fn started(&self) -> Instant;
    /// Fresh samplers of it.
    ///
    /// # Errors
    /// When a source that must exist cannot be opened.
    fn samplers(&self) -> anyhow::Result<Vec<Box<dyn Sampler>>>;
    /// Resident and proportional set size, per process: too dear for the loop, taken at phase ends.
    fn processes(&self) -> Vec<ProcessMemory>;
    /// Resolves when the server ends, asked or not. May be called more than once.
    fn ended(&self) -> BoxFuture<'static, Exit>;
    /// What the kernel says of the budget now. `hold_ms`, `serving_after_hold` and `restarts` are the runner's.
    fn budget_evidence(&self) -> BudgetEvidence;
    /// Ends the server and removes everything. Returns what stayed, one line each.
    fn destroy(self: Box<Self>) -> BoxFuture<'static, Vec<String>>;
}

/// The memory of one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessMemory {
    /// Its `comm`.
    pub name: String,
    /// Its pid, as seen from here.
    pub pid: i32,
    /// Resident set size, bytes.
    pub rss_bytes: u64,
    /// Proportional set size, bytes; `None` where the kernel does not tell.
    pub pss_bytes: Option<u64>,
}

/// The targets that exist.
pub static TARGETS: &[&dyn Target] = &[&native::NativeTarget::OWN];
