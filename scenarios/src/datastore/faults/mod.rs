//! Faults: several clients write while harm is done to the server, and everything that they saw goes into a history.
//! Beside each there is a control: the same clients for the same time, with no harm done.

mod clients;
mod clock;
mod part;
mod slow_sync;
mod strike;

use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::scenario::{Scenario, ScenarioContext};

pub use slow_sync::SlowSync;
use strike::Strike;

/// SIGKILL. It tests the recovery from a crash, not durability: the kernel keeps what was written.
pub const KILL: Fault = Fault {
    name: "fault_kill",
    title: "SIGKILL under writes: what was acknowledged stays, and how soon it serves again",
    strike: Strike::Kill,
};
/// Every process stopped, and let go on.
pub const FREEZE: Fault = Fault {
    name: "fault_freeze",
    title: "the server stopped for seconds under writes: no stale answers, and how soon it serves again",
    strike: Strike::Freeze,
};
/// The kernel's OOM killer at a lowered limit.
pub const OUT_OF_MEMORY: Fault = Fault {
    name: "fault_oom",
    title: "killed for its memory under writes: what was acknowledged stays, and how soon it serves again",
    strike: Strike::OutOfMemory,
};
/// No byte is free.
pub const DISK_FULL: Fault = Fault {
    name: "fault_disk_full",
    title: "a full disk under writes: no false acknowledgement, and it recovers when space is free",
    strike: Strike::DiskFull,
};
/// The disk turns read-only at an error; what was not synced is lost, so that this one tests durability.
pub const READ_ONLY: Fault = Fault {
    name: "fault_read_only",
    title: "a disk that turns read-only under writes, repaired by a reboot: what was acknowledged and is lost",
    strike: Strike::ReadOnly,
};
/// SIGKILL right after a compaction was asked for.
pub const KILLED_COMPACTING: Fault = Fault {
    name: "fault_kill_compacting",
    title: "SIGKILL right after a compaction was asked for: nothing live is lost, nothing deleted comes back",
    strike: Strike::KillCompacting,
};

/// A scenario of one fault and its control.
pub struct Fault {
    name: &'static str,
    title: &'static str,
    strike: Strike,
}

impl Scenario for Fault {
    fn name(&self) -> &'static str {
        self.name
    }

    fn title(&self) -> &'static str {
        self.title
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn injects_faults(&self) -> bool {
        true
    }

    fn left_out(&self, cx: &ScenarioContext<'_>) -> Option<String> {
        let asks = matches!(self.strike, Strike::KillCompacting);
        (asks && !super::compaction::obeys(cx)).then(|| {
            "kine ignores calls to compact, so that nothing can be asked to happen at this moment".to_owned()
        })
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let level = part::level(cx);
            part::run(cx, level, None).await?;
            part::run(cx, level, Some(self.strike)).await
        }
        .boxed()
    }
}
