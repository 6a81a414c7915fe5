//! A container that runs for a cell, its server's or an agent's: from the plan to the finding of its cgroup.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use testcontainers::ContainerAsync;
use testcontainers::bollard::models::ContainerInspectResponse;
use testcontainers::bollard::query_parameters::InspectContainerOptions;
use tokio::sync::watch;

use super::container::{Plan, ServerImage};
use super::start::{identity, start};
use super::watch::{LastSeen, Watched, watch};
use crate::cgroup::{self, Cgroup};
use crate::engine::{self, Engine, Privilege};
use crate::scope::{Resource, start_ticks};
use crate::target::native::Holdings;
use crate::target::{Exit, ProvisionError};

/// How long the log of a container that ended at once may take to be copied.
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// A running container, and what is known of it.
pub(super) struct Member {
    pub container: ContainerAsync<ServerImage>,
    /// As the engine told it after the start.
    pub found: ContainerInspectResponse,
    pub privilege: Privilege,
    pub pid: i32,
    pub at: Instant,
    pub cgroup: Cgroup,
}

impl Member {
    /// Enters the container into the ledger, makes it and starts it. `what` names its first process there.
    pub async fn run(
        engine: &Engine,
        hierarchy: &cgroup::Hierarchy,
        plan: &Plan,
        log: &Path,
        what: &str,
        holdings: &mut Holdings,
    ) -> Result<Self, ProvisionError> {
        holdings.enter(Resource::Engine(plan.held.clone()))?;
        let asked = Instant::now();
        let (container, privilege) = start(plan).await?;
        let found = inspect(engine, &container).await?;
        let (pid, at) = match identity(found.clone(), asked) {
            Ok(known) => known,
            Err(error) => return Err(last_words(engine, &container, log, error).await.into()),
        };
        let (cgroup, start_ticks) = match prove(hierarchy, pid, container.id()) {
            Ok(proven) => proven,
            // A process that has ended is nowhere to be seen either.
            Err(reason) => match identity(inspect(engine, &container).await?, asked) {
                Ok(_) => return Err(ProvisionError::Unavailable(reason)),
                Err(error) => return Err(last_words(engine, &container, log, error).await.into()),
            },
        };
        holdings.enter(Resource::Process {
            pid,
            start_ticks,
            what: format!("{what} of a cell, in a container"),
        })?;
        Ok(Self {
            container,
            found,
            privilege,
            pid,
            at,
            cgroup,
        })
    }

    /// Copies its log from now on, and watches for its end.
    pub fn watch(
        &self,
        engine: &Engine,
        log: PathBuf,
    ) -> (watch::Receiver<Option<Exit>>, LastSeen) {
        let seen = LastSeen::default();
        seen.refresh(&self.cgroup);
        let (docker, id) = (engine.docker.clone(), self.container.id().to_owned());
        let log = tokio::spawn(async move {
            // A torn log is evidence all the same, and its end says so.
            if let Err(error) = engine::follow(&docker, &id, &log).await {
                let words = format!("\nassay: the rest of this log is missing: {error:#}\n");
                let file = std::fs::File::options().append(true).open(&log);
                let _ = file
                    .and_then(|mut file| std::io::Write::write_all(&mut file, words.as_bytes()));
            }
        });
        let ended = watch(Watched {
            docker: engine.docker.clone(),
            container: self.container.id().to_owned(),
            pid: self.pid,
            cgroup: self.cgroup.clone(),
            seen: seen.clone(),
            log,
        });
        (ended, seen)
    }
}

async fn inspect(
    engine: &Engine,
    container: &ContainerAsync<ServerImage>,
) -> Result<ContainerInspectResponse> {
    engine
        .docker
        .inspect_container(container.id(), None::<InspectContainerOptions>)
        .await
        .context("failed to ask the engine for the container")
}

/// An error with what the server said at its end: that is all that explains it, and it goes with the container.
async fn last_words(
    engine: &Engine,
    container: &ContainerAsync<ServerImage>,
    log: &Path,
    error: anyhow::Error,
) -> anyhow::Error {
    let copying = engine::follow(&engine.docker, container.id(), log);
    let _ = tokio::time::timeout(LOG_WITHIN, copying).await;
    let words = crate::text::last_words(log);
    let last = words.lines().next_back().unwrap_or("it said nothing");
    anyhow!("{error:#}: {last}; its log: {}", log.display())
}

/// The cgroup of the container's first process, and the start time by which that process is known. Nothing may be
/// signalled before this: an engine in another pid namespace tells pids that are someone else's here.
fn prove(hierarchy: &cgroup::Hierarchy, pid: i32, id: &str) -> Result<(Cgroup, u64), String> {
    let born = start_ticks(pid);
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    let cgroup = Cgroup::of_container(hierarchy, &text, id)?;
    match born {
        // Unchanged, so that what was read in between was of the same process.
        Some(ticks) if start_ticks(pid) == born => Ok((cgroup, ticks)),
        _ => Err("the server ended while its cgroup was looked for; try again".to_owned()),
    }
}
