//! `docker`: the server in a container of this machine's engine, Docker or Podman.
//!
//! The budget is the engine's to enforce and the kernel's to witness: limits, peak and OOM kills are read from the
//! container's own cgroup on the host, by the same samplers as on `native`. The server's data folder is a bind
//! mount at the same path inside and outside, so that its kubeconfig and its database are seen from here.

mod agents;
mod cluster;
mod container;
mod image;
mod launch;
mod member;
mod node;
mod parts;
mod reach;
mod routes;
mod start;
mod watch;

pub(in crate::target) use agents::{SERVER_NAME, pods, token};
pub(in crate::target) use node::CNI;

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;

use crate::cell::{Cell, Shape};
use crate::scope::Scope;
pub use reach::Reach;

use crate::target::{Cluster, ProvisionError, Target, TargetKind, Timing};

/// This target, in the table.
pub(super) const KIND: TargetKind = TargetKind {
    name: NAME,
    title: "a container of this machine's engine, Docker or Podman",
    found_by: Some("docker"),
    open: |args| Ok(Arc::new(DockerTarget::new(args.docker.clone()))),
};

const NAME: &str = "docker";

/// What the command line says of this target.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct DockerArgs {
    /// An image that has the distribution's binaries in /bin, such as rancher/k3s:v1.30.4-k3s1; pulled if need be. By
    /// default one is built from the binaries of this host.
    #[arg(long, value_name = "IMAGE")]
    pub docker_image: Option<String>,
    /// How containers are reached. By default through their bridge, and with a rootless engine through published ports.
    #[arg(long, value_enum, value_name = "HOW")]
    pub docker_reach: Option<Reach>,
}

/// The target `docker`.
#[derive(Debug, Clone, Default)]
pub struct DockerTarget {
    args: DockerArgs,
}

impl DockerTarget {
    /// With these options.
    #[must_use]
    pub fn new(args: DockerArgs) -> Self {
        Self { args }
    }
}

impl Target for DockerTarget {
    fn name(&self) -> &'static str {
        NAME
    }

    fn timing(&self) -> Timing {
        Timing::Real
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::Node, Shape::ApiServer]
    }

    fn has_agents(&self) -> bool {
        true
    }

    fn supplies(&self, artifact: &str) -> bool {
        // What a given image holds is its own business; assay itself is always at hand.
        self.args.docker_image.is_some() && artifact != "assay"
    }

    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>> {
        launch::provision(&self.args, cell, scope).boxed()
    }
}
