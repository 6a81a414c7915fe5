//! Watching a container: how it ends, and what its cgroup counted until then. An engine removes the cgroup together
//! with the last process, so that the kernel's counters must have been read before.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::query_parameters::{
    InspectContainerOptions, WaitContainerOptionsBuilder,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::cgroup::{Cgroup, Counters, Limits};
use crate::scope::start_ticks;
use crate::target::Exit;

/// How often the counters are read: a handful of small files, for a cgroup that may vanish at any moment.
const COUNT_EVERY: Duration = Duration::from_millis(200);
/// How long the copy of the log may lag behind the container's end.
const LOG_WITHIN: Duration = Duration::from_secs(10);

/// What the cgroup of a container said last.
#[derive(Debug, Clone, Default)]
pub(super) struct LastSeen(Arc<Mutex<(Limits, Counters)>>);

impl LastSeen {
    /// Reads the cgroup again, if it is still there, and returns what is known.
    pub fn refresh(&self, cgroup: &Cgroup) -> (Limits, Counters) {
        let (limits, counters) = (cgroup.limits(), cgroup.counters());
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // It may have gone between the two readings and now; a torn reading must not replace a whole one.
        if cgroup.memory().is_dir() {
            *last = (limits, counters);
        }
        *last
    }

    fn killed_for_memory(&self) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.1.oom_kills = last.1.oom_kills.max(Some(1));
        last.1.limit_hits = last.1.limit_hits.max(1);
    }
}

/// Who is watched.
pub(super) struct Watched {
    pub docker: Docker,
    pub container: String,
    pub pid: i32,
    pub cgroup: Cgroup,
    pub seen: LastSeen,
    pub log: JoinHandle<()>,
}

/// Watches until the container ends, and tells how.
pub(super) fn watch(watched: Watched) -> watch::Receiver<Option<Exit>> {
    let (tell, ended) = watch::channel(None);
    tokio::spawn(async move {
        let Watched {
            docker,
            container,
            pid,
            cgroup,
            seen,
            log,
        } = watched;
        let counting = async {
            loop {
                seen.refresh(&cgroup);
                tokio::time::sleep(COUNT_EVERY).await;
            }
        };
        let status = tokio::select! {
            status = status(&docker, &container, pid) => status,
            () = counting => None,
        };
        let counted = was_killed_for_memory(&docker, &container).await
            || seen.refresh(&cgroup).1.oom_kills > Some(0);
        if counted {
            seen.killed_for_memory();
        }
        // Its last words explain its end.
        let _ = tokio::time::timeout(LOG_WITHIN, log).await;
        // Nobody waits any more when the cluster was dropped.
        let _ = tell.send(Some(exit(status, counted)));
    });
    ended
}

/// Engines tell a signal as 128 and its number.
fn exit(status: Option<i64>, counted: bool) -> Exit {
    let status = status.and_then(|status| i32::try_from(status).ok());
    let signal = status.filter(|status| (129..=192).contains(status));
    Exit::new(
        status.filter(|_| signal.is_none()),
        signal.map(|status| status - 128),
        counted,
    )
}

/// The exit status of a container. `None`: the engine died, and the container ended without it.
async fn status(docker: &Docker, container: &str, pid: i32) -> Option<i64> {
    let born = start_ticks(pid);
    loop {
        let options = WaitContainerOptionsBuilder::new()
            .condition("not-running")
            .build();
        match docker.wait_container(container, Some(options)).next().await {
            Some(Ok(told)) => return Some(told.status_code),
            // How bollard tells a status other than 0.
            Some(Err(Error::DockerContainerWaitError { code, .. })) => return Some(code),
            // Removed by someone else.
            Some(Err(Error::DockerResponseServerError {
                status_code: 404, ..
            })) => return None,
            // The engine does not answer. A container outlives it; its first process tells the rest.
            _ if born.is_none() || start_ticks(pid) != born => return None,
            _ => tokio::time::sleep(COUNT_EVERY).await,
        }
    }
}

async fn was_killed_for_memory(docker: &Docker, container: &str) -> bool {
    let asked = docker.inspect_container(container, None::<InspectContainerOptions>);
    match tokio::time::timeout(LOG_WITHIN, asked).await {
        Ok(Ok(found)) => found.state.and_then(|state| state.oom_killed) == Some(true),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_above_128_is_a_signal() {
        assert_eq!(exit(Some(137), true).signal, Some(9));
        assert_eq!(exit(Some(137), true).code, None);
        // A process of it was killed, and it went on until it ended by itself.
        assert!(exit(Some(137), true).oom_killed && !exit(Some(1), true).oom_killed);
        assert_eq!(exit(Some(1), false).code, Some(1));
        assert_eq!(exit(Some(255), false).code, Some(255));
        let unknown = exit(None, false);
        assert_eq!((unknown.code, unknown.signal), (None, None));
    }
}
