//! A shell script as a distribution, and a run to keep it in.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use harness::cell::Cell;
use harness::distribution::{
    Access, ArtifactNeed, CommandLine, Datastore, Distribution, ReadyWhen, ServerSpec, Surface,
};
use harness::scope::{Resource, Scope};
use harness::target::native::NativeTarget;
use harness::target::{Cluster, ProvisionError, Target};
use reports::budget::Budget;

use crate::support;
pub use crate::support::{DEADLINE, block_on, until};

/// A program with arguments as a distribution. `{self}`, `{address}` and `{data}` are replaced.
pub struct Script {
    program: PathBuf,
    args: Vec<String>,
}

impl Distribution for Script {
    fn name(&self) -> &'static str {
        "script"
    }
    fn surfaces(&self) -> &'static [Surface] {
        &[]
    }
    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Sqlite]
    }
    fn artifacts(&self) -> &'static [ArtifactNeed] {
        &[]
    }
    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let own = std::env::current_exe().unwrap();
        let fill = |text: &String| {
            text.replace("{self}", &own.to_string_lossy())
                .replace("{address}", &spec.address.to_string())
                .replace("{data}", &spec.data_dir.to_string_lossy())
        };
        CommandLine {
            program: self.program.clone(),
            args: self.args.iter().map(fill).collect(),
            env: vec![("ASSAY_TEST".into(), "yes".into())],
        }
    }
    fn access(&self, spec: &ServerSpec<'_>) -> Access {
        Access::Etcd {
            url: format!("http://{}:7000", spec.address),
        }
    }
    fn ready_when(&self, _: harness::cell::Shape) -> &'static [ReadyWhen] {
        &[ReadyWhen::Listening]
    }
    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &[]
    }
    fn etcd_metrics(&self, _: &ServerSpec<'_>) -> Option<String> {
        None
    }
}

/// A run with a state folder of its own.
pub struct Run {
    pub state: PathBuf,
    pub scope: Scope,
    pub target: NativeTarget,
    cells: std::cell::Cell<u32>,
    _folder: Option<tempfile::TempDir>,
}

impl Run {
    pub fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut run = Self::at(folder.path().to_owned())?;
        run._folder = Some(folder);
        Ok(run)
    }

    pub fn at(state: PathBuf) -> Result<Self> {
        let scope = Scope::open(&state, "run-1")?;
        Ok(Self {
            state,
            scope,
            target: NativeTarget::OWN,
            cells: std::cell::Cell::new(0),
            _folder: None,
        })
    }

    pub fn cell(&self, program: &str, args: &[&str], budget: Budget) -> Result<Cell> {
        let nth = self.cells.replace(self.cells.get() + 1);
        let logs = self.state.join(format!("logs-{nth}"));
        std::fs::create_dir_all(&logs)?;
        let script = Script {
            program: program.into(),
            args: args.iter().map(ToString::to_string).collect(),
        };
        Ok(Cell {
            id: format!("native-script-{nth}"),
            distribution: Box::leak(Box::new(script)),
            datastore: Datastore::Sqlite,
            shape: Default::default(),
            env: Vec::new(),
            agents: 0,
            budget,
            disk: None,
            binaries: Default::default(),
            work: self.scope.work().join(format!("cell-{nth}")),
            keep: false,
            logs,
        })
    }

    pub async fn start(&self, script: &str, budget: Budget) -> Result<Box<dyn Cluster>> {
        let cell = self.cell("/bin/sh", &["-c", script], budget)?;
        let provisioning = self.target.provision(&cell, &self.scope);
        Ok(tokio::time::timeout(DEADLINE, provisioning).await??)
    }

    /// The same in a cell with a disk of its own.
    pub async fn start_on_disk(&self, script: &str) -> Result<Box<dyn Cluster>> {
        let mut cell = self.cell("/bin/sh", &["-c", script], Budget::edge())?;
        cell.disk = Some(64 << 20);
        let provisioning = self.target.provision(&cell, &self.scope);
        Ok(tokio::time::timeout(DEADLINE, provisioning).await??)
    }

    /// The reason for which a program cannot be provisioned; everything made for it must be gone.
    pub async fn refusal(&self, program: &str) -> Result<String> {
        let cell = self.cell(program, &[], Budget::edge())?;
        let reason = match self.target.provision(&cell, &self.scope).await {
            Ok(_) => anyhow::bail!("{program} was started"),
            Err(ProvisionError::Failed(error)) => format!("{error:#}"),
            Err(ProvisionError::Unavailable(reason)) => reason,
        };
        self.nothing_stands()?;
        Ok(reason)
    }

    pub fn nothing_stands(&self) -> Result<()> {
        support::nothing_stands(&self.scope)
    }
}

/// Destroys a cluster and looks for itself whether everything that stood in the ledger has gone.
pub async fn destroy(run: &Run, cluster: Box<dyn Cluster>) -> Result<()> {
    let standing = run.scope.standing();
    let left = tokio::time::timeout(DEADLINE, cluster.destroy()).await?;
    ensure!(left.is_empty(), "leftovers: {left:?}");
    let gone = run.scope.standing();
    all_gone(standing.iter().filter(|resource| !gone.contains(resource)))?;
    Ok(())
}

/// Looks for what these resources were, without asking assay.
pub fn all_gone<'a>(resources: impl IntoIterator<Item = &'a Resource>) -> Result<()> {
    for resource in resources {
        let there = match resource {
            Resource::Process {
                pid, start_ticks, ..
            } => {
                // A zombie that the machine's first process has yet to reap is nobody's leftover.
                let boot_id = harness::scope::boot_id();
                let (pid, start_ticks) = (*pid, *start_ticks);
                harness::scope::Identity {
                    pid,
                    start_ticks,
                    boot_id,
                }
                .is_alive()
            }
            Resource::Cgroup { path } | Resource::Folder { path } => path.exists(),
            Resource::Loop { image } => devices_of(image)?,
            // `native` makes no other kind; one that is not looked for is not gone.
            Resource::Objects { .. } | Resource::Sysctl { .. } => true,
            Resource::Interface { name } => {
                std::path::Path::new("/sys/class/net").join(name).exists()
            }
            Resource::Engine(held) => anyhow::bail!("{held} was not made natively"),
        };
        ensure!(!there, "{} is still there", resource.describe());
    }
    Ok(())
}

/// Whether a loop device serves an image, as the kernel tells.
fn devices_of(image: &std::path::Path) -> Result<bool> {
    let name = image.to_string_lossy();
    for entry in std::fs::read_dir("/sys/block")?.flatten() {
        let backing = std::fs::read_to_string(entry.path().join("loop/backing_file"));
        if backing.is_ok_and(|text| text.starts_with(&*name)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Waits until the cluster's log has a line that begins so; returns the rest of that line.
pub async fn logged(cluster: &dyn Cluster, begins: &str) -> Result<String> {
    support::logged(cluster.log(), begins).await
}

/// The address that a script was given, which its etcd URL names.
pub fn address(cluster: &dyn Cluster) -> Result<std::net::IpAddr> {
    let Access::Etcd { url } = cluster.access() else {
        anyhow::bail!("a script's access is an etcd URL");
    };
    let host = url
        .strip_prefix("http://")
        .and_then(|url| url.split(':').next());
    Ok(host.context("no host in the URL")?.parse()?)
}
