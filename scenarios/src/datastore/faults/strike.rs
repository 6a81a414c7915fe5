//! What is done to the server, and how it is undone. Each step gives its witness.

use std::time::Duration;

use anyhow::Result;
use harness::load::Store;
use harness::target::{Faults, Start, Witness};

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// SIGKILL, then the same server again.
    Kill,
    /// Stopped, then let go on.
    Freeze,
    /// The limit of its memory lowered until the kernel kills it, then the same server again.
    OutOfMemory,
    /// No free space, then some again.
    DiskFull,
    /// Its disk read-only, then repaired under a new server.
    ReadOnly,
    /// SIGKILL right after a compaction was asked for.
    KillCompacting,
}

impl Strike {
    /// What histories and figures call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::OutOfMemory => "oom",
            Self::DiskFull => "disk_full",
            Self::ReadOnly => "read_only",
            Self::KillCompacting => "kill_compacting",
        }
    }

    /// How long it lasts once it is witnessed.
    pub fn lasts(self) -> Duration {
        Duration::from_millis(match self {
            Self::Kill | Self::OutOfMemory | Self::KillCompacting => 200,
            Self::Freeze => 10_000,
            Self::DiskFull => 5_000,
            Self::ReadOnly => 2_000,
        })
    }

    /// Whether the server itself may end because of it.
    pub fn may_end_it(self) -> bool {
        matches!(self, Self::DiskFull | Self::ReadOnly)
    }

    /// Does it.
    pub async fn begin(self, faults: &dyn Faults, store: &Store) -> Result<Witness> {
        match self {
            Self::Kill => faults.kill().await,
            Self::Freeze => faults.freeze().await,
            Self::OutOfMemory => faults.exhaust_memory().await,
            Self::DiskFull => faults.fill_disk().await,
            Self::ReadOnly => faults.break_disk().await,
            Self::KillCompacting => {
                let target = store.revision().await?;
                let asked = store.clone();
                let compacting = tokio::spawn(async move { asked.compact(target).await });
                // The request is on its way when this task runs again.
                tokio::task::yield_now().await;
                let mut witness = faults.kill().await?;
                let answer = match compacting.await? {
                    Ok(()) => "answered before the kill".to_owned(),
                    Err(error) => format!("not answered: {error}"),
                };
                witness.facts.push(("compaction", answer));
                Ok(witness)
            }
        }
    }

    /// Undoes it; the server runs afterwards, ready or not.
    pub async fn end(self, faults: &dyn Faults) -> Result<Witness> {
        match self {
            Self::Kill | Self::OutOfMemory | Self::KillCompacting => {
                faults.start(Start::Plain).await
            }
            Self::Freeze => faults.thaw().await,
            Self::DiskFull => {
                let mut freed = faults.free_disk().await?;
                if let Some(exit) = faults.down() {
                    let started = faults.start(Start::Plain).await?;
                    freed
                        .facts
                        .push(("the server had ended", format!("{exit:?}")));
                    freed.facts.extend(started.facts);
                    freed.seen = started.seen;
                }
                Ok(freed)
            }
            Self::ReadOnly => {
                let mut facts = match faults.down() {
                    Some(exit) => vec![("the server had ended", format!("{exit:?}"))],
                    None => faults.kill().await?.facts,
                };
                facts.extend(faults.mend_disk().await?.facts);
                let mut started = faults.start(Start::Plain).await?;
                facts.append(&mut started.facts);
                Ok(Witness { facts, ..started })
            }
        }
    }
}
