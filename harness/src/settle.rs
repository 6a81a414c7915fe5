//! From a server that is ready to one that is driven: its cold start goes into the record, its place may save it, and
//! its version is asked for. Any of it may take minutes, so Ctrl-C and the server's end are heeded meanwhile.

use std::time::Duration;

use reports::event::EventKind;

use crate::cancel::Cancel;
use crate::cold_start;
use crate::journal::CellSink;
use crate::ready::Ready;
use crate::scenario::Phase;
use crate::target::{Cluster, Exit};
use crate::version;

/// How long its place may take to save it; a guest of 512 MiB takes half a second, and each step has a deadline of its
/// own.
const SAVED_WITHIN: Duration = Duration::from_secs(300);

/// How long a cluster may take to go: more than its steps, each of which has a deadline of its own, may take together.
const DESTROYED_WITHIN: Duration = Duration::from_secs(300);

/// Why a ready server is not driven.
#[derive(Debug)]
pub enum Unsettled {
    /// Ctrl-C.
    Interrupted,
    /// It ended.
    Died(Exit),
}

/// Records the start of a ready server. `patience` stretches deadlines; `ask_version`: nobody knows its version yet.
pub async fn settle(
    patience: u32,
    cluster: &dyn Cluster,
    sink: &CellSink,
    ready: &Ready,
    boot: Phase,
    ask_version: bool,
    cancel: &Cancel,
) -> Result<(), Unsettled> {
    let settling = async {
        match cluster.start_unseen() {
            None => cold_start::record(cluster, sink, ready, &boot.end()),
            Some(why) => cold_start::skip(cluster, sink, ready, why),
        }
        let within = SAVED_WITHIN * patience;
        match tokio::time::timeout(within, cluster.served()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => sink.warn(format!("{error:#}")),
            Err(_) => sink.warn(format!(
                "failed to save the ready server within {within:?}; the run goes on without"
            )),
        }
        if ask_version && let Some(version) = version::told(&ready.access, cluster.access()).await {
            sink.emit(EventKind::VersionTold { version });
        }
    };
    tokio::select! {
        () = cancel.cancelled() => Err(Unsettled::Interrupted),
        exit = cluster.ended() => Err(Unsettled::Died(exit)),
        () = settling => Ok(()),
    }
}

/// Destroys a cluster; gives what stays, one line each.
pub async fn destroy(cluster: Box<dyn Cluster>, patience: u32) -> Vec<String> {
    let within = DESTROYED_WITHIN * patience;
    let destroyed = tokio::time::timeout(within, cluster.destroy()).await;
    destroyed.unwrap_or_else(|_| {
        vec![format!(
            "the clean-up did not end within {within:?}; run `assay sweep`"
        )]
    })
}
