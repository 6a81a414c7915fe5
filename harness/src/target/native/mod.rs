//! `native`: the server as a process of this host, in namespaces and a cgroup of its own.
//!
//! The chain is assay -> keeper -> init, which becomes the server:
//! - the *keeper* (`assay __keeper`, single-threaded, outside the cell's cgroup) makes the namespaces, prepares
//!   mounts and the network in them, starts init, reports how the server ends, and starts it again when it is told to.
//!   Its standard input is a pipe from assay: at its end, also when assay was killed, it kills the server and ends;
//! - *init* (`assay __init`) enters the cgroup before anything else, then executes the server, so that the
//!   budget holds from the server's first instruction and nothing of assay stays inside.
//!
//! Without root, or where the kernel refuses, the same chain runs without namespaces or without a cgroup, and
//! the evidence says why: the budget is then observed, not enforced.

mod cluster;
mod disk;
mod disk_faults;
mod faults;
mod filler;
mod holdings;
mod init;
mod keeper;
mod launch;
mod link;
mod memory;
mod mounts;
mod observe;
mod own_pages;
mod preflight;
mod protocol;
mod trace;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::cell::{Cell, Shape};
use crate::scope::Scope;
use crate::target::{Cluster, ProvisionError, Target, TargetKind, Timing};

pub(super) use holdings::Holdings;
pub(crate) use init::init;
pub(crate) use keeper::keeper;
pub(crate) use observe::descendants;
pub(super) use observe::memory_of;
pub(super) use own_pages::forget_cached;

pub(crate) const KEEPER: &str = "__keeper";
pub(crate) const INIT: &str = "__init";

/// This target, in the table.
pub(super) const KIND: TargetKind = TargetKind {
    name: NAME,
    title: "processes of this host, in namespaces and a cgroup of their own",
    found_by: None,
    open: |_| Ok(Arc::new(NativeTarget::OWN)),
};

const NAME: &str = "native";

/// The target `native`.
#[derive(Debug, Clone)]
pub struct NativeTarget {
    /// The program that serves the inner commands of [`crate::internal()`]; `None` is this very program, even if
    /// its file was replaced by a build meanwhile.
    pub helper: Option<PathBuf>,
}

impl NativeTarget {
    /// With this program as its own helper.
    pub const OWN: Self = Self { helper: None };

    fn helper(&self) -> &Path {
        self.helper
            .as_deref()
            .unwrap_or(Path::new("/proc/self/exe"))
    }
}

impl Target for NativeTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn timing(&self) -> Timing {
        Timing::Real
    }

    /// Their cells' disks need loop devices and mounts.
    fn has_faults(&self) -> bool {
        rustix::process::geteuid().is_root()
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::ApiServer]
    }

    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>> {
        launch::provision(self.helper(), cell, scope).boxed()
    }
}
