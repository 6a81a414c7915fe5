//! From a server that is ready to one that is driven: its cold start goes into the record, its place may save it, and
//! its version is asked for. Any of it may take minutes, so Ctrl-C and the server's end are heeded meanwhile.

use reports::event::EventKind;

use crate::cancel::Cancel;
use crate::cold_start;
use crate::journal::CellSink;
use crate::ready::Ready;
use crate::scenario::Phase;
use crate::target::{Cluster, Exit};
use crate::version;

/// Why a ready server is not driven.
#[derive(Debug)]
pub enum Unsettled {
    /// Ctrl-C.
    Interrupted,
    /// It ended.
    Died(Exit),
}

/// Records the start of a ready server. `ask_version`: nobody knows its version yet.
pub async fn settle(
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
        if let Err(error) = cluster.served().await {
            sink.warn(format!("{error:#}"));
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
