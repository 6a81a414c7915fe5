//! This very program as a distribution, and a run to keep it in.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use harness::cell::{Cell, Shape};
use harness::distribution::{
    Access, AgentSpec, ArtifactNeed, CommandLine, Datastore, Distribution, ReadyWhen, ServerSpec,
    Surface,
};
use harness::engine::bollard::Docker;
use harness::engine::bollard::query_parameters::ListContainersOptionsBuilder;
use harness::engine::{Held, LABEL, What};
use harness::scope::{Resource, Scope};
use harness::target::docker::DockerTarget;
use harness::target::{Cluster, ProvisionError, Target};
use reports::budget::Budget;

use crate::support;
pub use crate::support::{DEADLINE, block_on, logged, until};

/// This program with arguments. `{address}` and `{data}` are replaced.
struct Probe {
    args: Vec<String>,
}

impl Distribution for Probe {
    fn name(&self) -> &'static str {
        "probe"
    }
    fn surfaces(&self) -> &'static [Surface] {
        &[]
    }
    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Sqlite]
    }
    fn artifacts(&self) -> &'static [ArtifactNeed] {
        const { &[ArtifactNeed::always("probe")] }
    }
    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let fill = |text: &String| {
            text.replace("{address}", &spec.address.to_string())
                .replace("{data}", &spec.data_dir.to_string_lossy())
        };
        CommandLine {
            program: spec.binaries["probe"].clone(),
            args: self.args.iter().map(fill).collect(),
            env: vec![("ASSAY_TEST".into(), "yes".into())],
        }
    }
    fn has_agents(&self) -> bool {
        true
    }
    fn agent(&self, spec: &AgentSpec<'_>) -> Option<CommandLine> {
        Some(CommandLine {
            program: spec.binaries["probe"].clone(),
            args: vec!["probe-serve".into(), "0.0.0.0:7000".into()],
            env: vec![("ASSAY_TEST".into(), spec.name.to_owned())],
        })
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
        // A run's id is in labels, so that tests that run at once must not share it.
        let scope = Scope::open(&state, &format!("run-{}", uuid::Uuid::new_v4().simple()))?;
        Ok(Self {
            state,
            scope,
            _folder: None,
        })
    }

    pub fn cell(&self, args: &[&str], budget: Budget) -> Result<Cell> {
        let nth = uuid::Uuid::new_v4().as_fields().0;
        let logs = self.state.join(format!("logs-{nth:x}"));
        std::fs::create_dir_all(&logs)?;
        let probe = Probe {
            args: args.iter().map(ToString::to_string).collect(),
        };
        Ok(Cell {
            id: format!("docker-probe-{nth:x}"),
            distribution: Box::leak(Box::new(probe)),
            datastore: Datastore::Sqlite,
            shape: Shape::ControlPlane,
            env: Vec::new(),
            agents: 0,
            budget,
            disk: None,
            binaries: BTreeMap::from([("probe", std::env::current_exe()?)]),
            work: self.scope.work().join(format!("{nth:x}")),
            keep: false,
            logs,
        })
    }

    pub async fn start(&self, args: &[&str], budget: Budget) -> Result<Box<dyn Cluster>> {
        self.start_on(&DockerTarget::default(), args, budget).await
    }

    pub async fn start_on(
        &self,
        target: &DockerTarget,
        args: &[&str],
        budget: Budget,
    ) -> Result<Box<dyn Cluster>> {
        let cell = self.cell(args, budget)?;
        let provisioning = target.provision(&cell, &self.scope);
        Ok(tokio::time::timeout(DEADLINE, provisioning).await??)
    }

    /// Why a cell cannot be provisioned, and whether that skips it. Everything made for it must be gone.
    pub async fn refusal(&self, cell: &Cell) -> Result<(String, bool)> {
        let refused = match DockerTarget::default().provision(cell, &self.scope).await {
            Ok(cluster) => {
                cluster.destroy().await;
                bail!("it was started");
            }
            Err(ProvisionError::Failed(error)) => (format!("{error:#}"), false),
            Err(ProvisionError::Unavailable(reason)) => (reason, true),
        };
        self.nothing_stands()?;
        Ok(refused)
    }

    pub fn nothing_stands(&self) -> Result<()> {
        support::nothing_stands(&self.scope)
    }
}

/// A client of the engine at an address, asked without assay's help.
pub fn client(address: &str) -> Result<Docker> {
    let path = address.strip_prefix("unix://").context("no socket")?;
    Ok(Docker::connect_with_unix(
        path,
        60,
        harness::engine::bollard::API_DEFAULT_VERSION,
    )?)
}

/// Whether any of these is still there, asked of the engine itself, and whether anything has the run's label.
pub async fn all_gone(docker: &Docker, resources: &[Resource]) -> Result<()> {
    for resource in resources {
        let there = match resource {
            Resource::Engine(held) => is_there(docker, held).await,
            Resource::Folder { path } => path.exists(),
            Resource::Process {
                pid, start_ticks, ..
            } => harness::scope::start_ticks(*pid) == Some(*start_ticks),
            Resource::Sysctl { path, before } => std::fs::read_to_string(path)?.trim() != before,
            other => bail!("{} was not made in an engine", other.describe()),
        };
        ensure!(!there, "{} is still there", resource.describe());
    }
    for run in resources.iter().filter_map(|resource| match resource {
        Resource::Engine(held) => Some(&held.run),
        _ => None,
    }) {
        let filters = std::collections::HashMap::from([("label", vec![format!("{LABEL}={run}")])]);
        let options = ListContainersOptionsBuilder::new()
            .all(true)
            .filters(&filters)
            .build();
        let left = docker.list_containers(Some(options)).await?;
        ensure!(left.is_empty(), "still labelled with the run: {left:?}");
    }
    Ok(())
}

async fn is_there(docker: &Docker, held: &Held) -> bool {
    match held.what {
        What::Container => docker.inspect_container(&held.name, None).await.is_ok(),
        What::Network => docker.inspect_network(&held.name, None).await.is_ok(),
        What::Image => docker.inspect_image(&held.name).await.is_ok(),
    }
}
