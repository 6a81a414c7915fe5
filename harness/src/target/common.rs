//! What targets do alike.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use futures::future::BoxFuture;
use reports::event::BudgetEvidence;
use tokio::sync::watch;

use super::Exit;
use super::native::Holdings;
use crate::cell::Cell;
use crate::cgroup::{Counters, Limits};
use crate::scope::{Resource, Scope};

/// Enters a cell's work folder into the ledger and makes it.
pub(super) fn make_work_folder(cell: &Cell, scope: &Scope, holdings: &mut Holdings) -> Result<()> {
    ensure!(
        cell.work.starts_with(scope.work()) && cell.work != scope.work(),
        "failed to use the work folder {}: it must lie beneath {}",
        cell.work.display(),
        scope.work().display()
    );
    let path: PathBuf = cell.work.clone();
    holdings.enter(Resource::Folder { path })?;
    fs_err::create_dir_all(&cell.work).context("failed to make the work folder; free some disk")
}

/// Resolves when somebody tells how the server ended.
pub(super) fn told(ended: &watch::Receiver<Option<Exit>>) -> BoxFuture<'static, Exit> {
    let mut ended = ended.clone();
    async move {
        match ended.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(exit)) => exit.clone(),
            // The task that tells is gone with its runtime, and with it the server.
            _ => Exit {
                code: None,
                signal: None,
                oom_killed: false,
            },
        }
    }
    .boxed()
}

/// What a cgroup's own figures say of a budget that it enforces.
pub(super) fn evidence(limits: &Limits, counters: &Counters, stayed: bool) -> BudgetEvidence {
    BudgetEvidence {
        enforced: true,
        memory_limit_bytes: limits.memory_bytes,
        cpu_limit_milli: limits.cpu_milli,
        peak_bytes: counters.peak_bytes,
        oom_kills: counters.oom_kills,
        limit_hits: counters.limit_hits,
        throttled_share: (counters.periods > 0)
            .then(|| counters.throttled_periods as f64 / counters.periods as f64),
        stayed_in_cgroup: stayed,
        ..BudgetEvidence::default()
    }
}
