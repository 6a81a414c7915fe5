//! Distributions: what is under test. A distribution describes; it does no I/O.

mod direct;
pub mod etcd;
pub mod existing;
pub mod k3s;
pub mod kubernetes;
pub mod reference;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::cell::Shape;

pub use direct::{DatastoreAccess, TlsFiles};

/// What backs the API server. A closed set, hence an enum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Datastore {
    /// SQLite behind an etcd-protocol shim (kine in K3s).
    Sqlite,
    /// The same, waiting for the disk at each commit: what is acknowledged survives a power cut, as in etcd.
    SqliteFull,
    /// etcd, embedded or beside the server.
    Etcd,
    /// Not told: a cluster that was there already does not say.
    Unknown,
}

impl Datastore {
    /// The ones that can be asked for by name.
    pub const NAMED: [Self; 3] = [Self::Sqlite, Self::SqliteFull, Self::Etcd];

    /// Whether it is SQLite, however it is set.
    #[must_use]
    pub fn is_sqlite(self) -> bool {
        matches!(self, Self::Sqlite | Self::SqliteFull)
    }
}

impl fmt::Display for Datastore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sqlite => "sqlite",
            Self::SqliteFull => "sqlite-full",
            Self::Etcd => "etcd",
            Self::Unknown => "unknown",
        })
    }
}

/// An API that a distribution serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// The Kubernetes API.
    KubernetesApi,
    /// The etcd v3 API.
    EtcdApi,
}

/// What a distribution needs to know to give its server's command line. Paths are those of the place where the
/// server runs: this host's, a container's or a guest's.
#[derive(Debug, Clone)]
pub struct ServerSpec<'a> {
    /// What backs it.
    pub datastore: Datastore,
    /// How much of Kubernetes it runs.
    pub shape: Shape,
    /// Variables to set besides the distribution's own.
    pub env: &'a [(String, String)],
    /// The server's own data folder; exists and is empty.
    pub data_dir: &'a Path,
    /// The address at which assay will reach it.
    pub address: IpAddr,
    /// Whether it has a network namespace of its own, so that every port is free.
    pub private_network: bool,
    /// The address at which the cluster's other nodes reach it, where that is another one.
    pub node_address: Option<IpAddr>,
    /// The secret by which agents may join; `None` where there are none.
    pub token: Option<&'a str>,
    /// Looks up a resolved binary by artifact name.
    pub binaries: &'a std::collections::BTreeMap<&'static str, PathBuf>,
}

/// What a distribution needs to know to give the command line of an agent: a further node, without a control plane.
#[derive(Debug, Clone)]
pub struct AgentSpec<'a> {
    /// Its node's name.
    pub name: &'a str,
    /// Variables to set besides the distribution's own: those of the server.
    pub env: &'a [(String, String)],
    /// The server's address as agents see it.
    pub server: IpAddr,
    /// Its own address as the other nodes see it; `None`: it finds it out, for it has one only.
    pub address: Option<IpAddr>,
    /// The secret that the server was started with.
    pub token: &'a str,
    /// The agent's own data folder; exists and is empty but for images.
    pub data_dir: &'a Path,
    /// Looks up a resolved binary by artifact name.
    pub binaries: &'a std::collections::BTreeMap<&'static str, PathBuf>,
}

/// A program and its arguments. No shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Absolute path of the program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables set besides a minimal environment (PATH, HOME).
    pub env: Vec<(String, String)>,
}

/// How assay gets at a server once it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// A kubeconfig file that the server writes.
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// The context in it; `None` for its current one.
        context: Option<String>,
        /// The API server's URL as seen from here, where the file names another.
        url: Option<String>,
    },
    /// An etcd client URL.
    Etcd {
        /// Such as `http://10.0.0.2:2379`.
        url: String,
    },
}

/// The image that targets side-load into nodes: one static busybox, for the pods' own first process and for assay's
/// probes. Nothing is pulled.
pub const PROBE_IMAGE: &str = "docker.io/assay/probe:1";

/// A condition of readiness; a distribution lists them in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadyWhen {
    /// The access file exists and parses, and its port accepts TCP.
    Listening,
    /// This path answers 200 with credentials.
    Http200(&'static str),
    /// A first write (a ConfigMap, or an etcd key) was served and read back.
    FirstWrite,
    /// A node is Ready and takes pods. Awaited of every node, whatever its distribution lists.
    Node,
    /// The default service account is there: the controllers run, and pods are admitted.
    Controllers,
    /// Every agent is a node that is Ready and takes pods. Awaited where the cell has agents.
    Agents,
    /// A first pod, of [`PROBE_IMAGE`], runs. Awaited of every node, whatever its distribution lists.
    FirstPod,
}

/// A binary that a distribution needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArtifactNeed {
    /// The key in [`crate::cell::Cell::binaries`], such as `k3s`, `etcd`, `assay`.
    pub name: &'static str,
    /// Whether it is needed only with this datastore.
    pub only_for: Option<Datastore>,
    /// A shape that does without it.
    pub not_in: Option<Shape>,
}

impl ArtifactNeed {
    /// Needed with every datastore and in every shape.
    #[must_use]
    pub const fn always(name: &'static str) -> Self {
        Self {
            name,
            only_for: None,
            not_in: None,
        }
    }

    /// Whether a cell needs it.
    #[must_use]
    pub fn applies(&self, datastore: Datastore, shape: Shape) -> bool {
        self.only_for.is_none_or(|only| only == datastore) && self.not_in != Some(shape)
    }
}

/// A distribution: describes; no I/O.
pub trait Distribution: Sync {
    /// Its name, as in `--distribution`.
    fn name(&self) -> &'static str;
    /// What it serves.
    fn surfaces(&self) -> &'static [Surface];
    /// The datastores that it can run on, the default first.
    fn datastores(&self) -> &'static [Datastore];
    /// How much of Kubernetes it can run, the default first.
    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane]
    }
    /// The binaries that it needs.
    fn artifacts(&self) -> &'static [ArtifactNeed];
    /// Whether it is the built-in specimen.
    fn is_specimen(&self) -> bool {
        false
    }
    /// Behaviours that it lacks by design, by the names that checks require
    /// ([`crate::check::Requirement::Behaviour`]): those checks are skipped. Nothing of K3s or Kubernetes belongs here.
    fn lacks(&self) -> &'static [&'static str] {
        &[]
    }
    /// Whether assay makes its clusters, and thereby chooses how many nodes they have.
    fn is_made(&self) -> bool {
        true
    }
    /// The server's command line. The process must stay in the foreground.
    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine;
    /// The command line of an agent, which must wait for its server by itself and stay in the foreground; `None`: it
    /// has no agents.
    fn agent(&self, _spec: &AgentSpec<'_>) -> Option<CommandLine> {
        None
    }
    /// Whether it has agents.
    fn has_agents(&self) -> bool {
        false
    }
    /// How to get at it.
    fn access(&self, spec: &ServerSpec<'_>) -> Access;
    /// When it is ready in this shape, in order.
    fn ready_when(&self, shape: Shape) -> &'static [ReadyWhen];
    /// The folder or files whose size is the database's size on disk, relative to the data folder.
    fn database_paths(&self, datastore: Datastore) -> &'static [&'static str];
    /// Where etcd's Prometheus metrics are served as seen from here: the only view of its fsyncs.
    fn etcd_metrics(&self, spec: &ServerSpec<'_>) -> Option<String>;
    /// How its datastore is reached past the Kubernetes API, where it shows it.
    fn datastore(&self, _spec: &ServerSpec<'_>) -> Option<DatastoreAccess> {
        None
    }
}

/// What a cluster of this distribution lacks: what the distribution does, and nodes where assay made fewer than two. Of
/// a cluster that was there nothing is presumed: if it has too few nodes, that is its failure.
#[must_use]
pub fn lacks(distribution: &dyn Distribution, shape: Shape, agents: u8) -> Vec<&'static str> {
    let mut lacks = distribution.lacks().to_vec();
    let nodes = agents + u8::from(shape == Shape::Node);
    if distribution.is_made() && nodes < 2 {
        lacks.push("two-nodes");
    }
    lacks
}

/// The distributions that exist. `auto` is not one: it is a choice between these.
pub static DISTRIBUTIONS: &[&dyn Distribution] = &[
    &k3s::K3s,
    &kubernetes::Kubernetes,
    &reference::Reference,
    &etcd::Etcd,
];
