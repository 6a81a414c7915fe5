//! Faults: what a target can do to its server, each with a witness. Without a witness there is no verdict.

use std::time::{Duration, Instant};

use futures::future::BoxFuture;

use super::Exit;

/// Why a target without these doors injects none.
pub const NOT_HERE: &str = "faults are injected by the target native alone, which has the server's processes, cgroup and \
     disk at hand, and by root; give --target native as root";

/// A fault, or its end, with what shows that it was so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witness {
    /// From when on it may have been felt.
    pub from: Instant,
    /// When it was seen to be so.
    pub seen: Instant,
    /// What was seen: a name and the kernel's or the server's own words.
    pub facts: Vec<(&'static str, String)>,
}

impl std::fmt::Display for Witness {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (nth, (name, value)) in self.facts.iter().enumerate() {
            let separator = if nth == 0 { "" } else { "; " };
            write!(f, "{separator}{name}: {value}")?;
        }
        Ok(())
    }
}

/// How a server is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// As at first.
    Plain,
    /// Under `strace`, which delays each of its fsyncs and fdatasyncs; 0 only counts them. strace's own memory and CPU
    /// time are charged to the cell from then on.
    SlowSync {
        /// Before each call.
        delay: Duration,
    },
}

/// The fsyncs and fdatasyncs of a server that was started with [`Start::SlowSync`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Syncs {
    /// How many were answered so far.
    pub calls: u64,
    /// Of these, how many were delayed.
    pub delayed: u64,
    /// What each took, the delay included, as strace measured it; ascending, microseconds.
    pub took_us: Vec<u64>,
}

/// What can be done to a server. Each door returns when what was asked for is seen to be so.
///
/// Each fails with a sentence, when the place has no means, or what was asked for is not seen.
pub trait Faults: Send + Sync {
    /// SIGKILL to the server and all that it started. [`super::Cluster::ended`] tells nothing of this end.
    fn kill(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Starts a server again that was killed or fell: the same command on the same data, in the same cgroup and network
    /// namespace. Returns when it was executed; readiness is the caller's business.
    fn start(&self, how: Start) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Stops every process of the cell where it is.
    fn freeze(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Lets them go on.
    fn thaw(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Lowers the memory limit until the kernel kills the server, then restores it. The budget's evidence counts none
    /// of this.
    fn exhaust_memory(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Takes all free space of the cell's disk.
    fn fill_disk(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Gives it back.
    fn free_disk(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Makes the cell's disk read-only, as a failing device does; what was not synced is lost.
    fn break_disk(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// Repairs it, as a reboot does; there must be no server.
    fn mend_disk(&self) -> BoxFuture<'_, anyhow::Result<Witness>>;
    /// The syncs so far of a server that is traced.
    ///
    /// # Errors
    /// When it is not, or the trace cannot be read.
    fn syncs(&self) -> anyhow::Result<Syncs>;
    /// Whether the server may end by itself without ending the run: a fault may drive it to that. Taking the excuse back
    /// while it is down ends the run.
    fn excuse(&self, excused: bool);
    /// Undoes whatever is still in force, so that what follows meets the server as it was made: a scenario may have
    /// failed half-way. Returns when the server was executed.
    fn undo(&self) -> BoxFuture<'_, anyhow::Result<()>>;
    /// How the server ended, if it is down; after [`Faults::kill`], too.
    fn down(&self) -> Option<Exit>;
}
