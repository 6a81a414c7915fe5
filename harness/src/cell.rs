//! A cell: one target x distribution x datastore x budget.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use reports::budget::Budget;

use crate::distribution::{Datastore, Distribution};

/// How much of Kubernetes a server is made to run. A closed set, hence an enum.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// API server, controllers and datastore: no kubelet, so that no pod runs.
    #[default]
    ControlPlane,
    /// The control plane with its kubelet, container runtime and pods.
    Node,
    /// API server and datastore alone: no controller runs, so that every check of one must fail.
    ApiServer,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ControlPlane => "control-plane",
            Self::Node => "node",
            Self::ApiServer => "api-server",
        })
    }
}

/// One cell of the matrix, with everything that its target needs to provision it.
#[derive(Clone)]
pub struct Cell {
    /// Its id, such as `native-k3s-sqlite-edge`; unique within a run.
    pub id: String,
    /// What is under test.
    pub distribution: &'static dyn Distribution,
    /// What backs it.
    pub datastore: Datastore,
    /// How much of Kubernetes it runs.
    pub shape: Shape,
    /// Variables that the server gets besides its own, such as `GOGC=40`; part of the id.
    pub env: Vec<(String, String)>,
    /// How many agents join its server, each with a budget like the server's; part of the id where it is not 0.
    pub agents: u8,
    /// What it may use.
    pub budget: Budget,
    /// The size of a disk of its own for the server's data, bytes; `None`: they lie in the work folder. Only for cells
    /// in which faults are injected: it costs a file system and a loop device.
    pub disk: Option<u64>,
    /// Resolved binaries by the name under which [`Distribution::artifacts`] asks for them.
    pub binaries: BTreeMap<&'static str, PathBuf>,
    /// A short private folder on a real disk; made and removed by the target.
    pub work: PathBuf,
    /// Whether the work folder outlives the cell. It is the user's from then on: not in the ledger, not swept.
    pub keep: bool,
    /// Where the server's logs go; made by the runner, kept after the cell.
    pub logs: PathBuf,
}
