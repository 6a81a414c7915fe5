//! The container engine: Docker, or Podman by the same API. What assay makes in it carries the run's label.
//!
//! Containers are made by the crate testcontainers, which brings the client bollard; what testcontainers has no
//! word for (images made here, networks with a subnet, removal by a sweep) goes through bollard. Version
//! negotiation: bollard 0.21.1 sends no version, so that engines from Docker 20.10 on answer.

pub mod archive;
mod connect;
mod exec;
mod image;
mod log;
mod network;
mod privilege;
mod pull;
mod remove;
pub mod tar;
mod tools;
mod ulimits;
mod upload;
mod userland;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use connect::{Engine, NoEngine, address, look};
pub use exec::{EXEC_WITHIN, exec};
pub use image::{Content, Packed, architecture, load, pack};
pub use log::follow;
pub use network::make_network;
pub use privilege::Privilege;
pub use pull::have;
pub use remove::remove;
pub use testcontainers::bollard;
pub use tools::{Tool, find};
pub use ulimits::ulimits;

/// The label of everything that assay makes in an engine; its value is the run's id.
pub const LABEL: &str = "dev.assay.run";

/// Something that an engine holds for a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// What it is.
    pub what: What,
    /// The engine's address, such as `unix:///var/run/docker.sock`.
    pub engine: String,
    /// Its name; an image's with its tag.
    pub name: String,
    /// The run's id, which its label must repeat before it is removed.
    pub run: String,
}

/// The kinds of things that assay makes in an engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A container, running or not.
    Container,
    /// A network.
    Network,
    /// An image.
    Image,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            What::Container => "container",
            What::Network => "container network",
            What::Image => "container image",
        };
        write!(f, "{what} {}", self.name)
    }
}
