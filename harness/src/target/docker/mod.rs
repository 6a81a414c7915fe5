//! `docker`: the server in a container of this machine's engine, Docker or Podman.
//!
//! The budget is the engine's to enforce and the kernel's to witness: limits, peak and OOM kills are read from the
//! container's own cgroup on the host, by the same samplers as on `native`. The server's data folder is a bind
//! mount at the same path inside and outside, so that its kubeconfig and its database are seen from here.

mod cluster;
mod container;
mod launch;
mod node;
mod parts;
mod watch;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::cell::{Cell, Shape};
use crate::scope::Scope;
use crate::target::{Cluster, ProvisionError, Target, TargetKind, Timing};

/// This target, in the table.
pub(super) const KIND: TargetKind = TargetKind {
    name: NAME,
    title: "a container of this machine's engine, Docker or Podman",
    open: |_| Ok(Arc::new(DockerTarget)),
};

const NAME: &str = "docker";

/// The target `docker`.
#[derive(Debug, Clone, Copy)]
pub struct DockerTarget;

impl Target for DockerTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn timing(&self) -> Timing {
        Timing::Real
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::Node]
    }

    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>> {
        launch::provision(cell, scope).boxed()
    }
}
