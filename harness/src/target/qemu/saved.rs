//! Ready clusters, saved once and restored from then on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use super::QemuTarget;
use super::booted::Guest;
use super::life::Life;
use super::parts::Parts;
use super::server;
use crate::cell::Cell;
use crate::guest::{Control, Hello};
use crate::machine::{
    Machine, MachineSpec, SavedState, StateStore, USER_GUEST, may_use_tap, state_key,
};

/// `qemu-system-aarch64 --version` takes milliseconds.
const VERSION_WITHIN: Duration = Duration::from_secs(30);
/// Each is as large as what its guest has used of its memory: 60 MB after a boot, 500 MB with a K3s.
const KEPT_STATES: usize = 6;

/// What is needed to go on with a restored server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct About {
    /// The server's pid in the guest.
    pub pid: i32,
    /// The boot that it belongs to.
    pub boot_id: String,
}

pub(super) type Saved = SavedState<About>;

/// That a state of this cell is wanted, and under which key.
pub(super) struct Order {
    store: StateStore,
    key: String,
    /// Of the booted guest alone.
    guest_key: String,
}

impl Order {
    /// The key covers the emulator, the images, the machine and what runs in it; not its address, which is part of
    /// the state and must be had again.
    pub async fn new(
        target: &QemuTarget,
        cell: &Cell,
        spec: &MachineSpec,
        parts: &Parts,
    ) -> Result<Self> {
        let version = Command::new(&parts.program).arg("--version").output();
        let version = tokio::time::timeout(VERSION_WITHIN, version)
            .await
            .context("failed to ask the emulator for its version in time")?
            .with_context(|| format!("failed to run {}", parts.program.display()))?;
        let version = String::from_utf8_lossy(&version.stdout).into_owned();
        let server = server::plan(cell, USER_GUEST, None, &parts.binaries);
        let spawn = server::to_spawn(cell, &server.command);
        let images = match &parts.images.manifest {
            Some(manifest) => manifest.key.clone(),
            None => identity(&parts.images.root)? + &identity(&parts.images.kernel)?,
        };
        // The name of the programs' disk is the sum of what is in it.
        let programs = parts.programs.as_deref().map(identity).transpose()?;
        let programs = programs.unwrap_or_default();
        // Saved disks are layers upon it.
        let data = identity(&parts.data)?;
        let fingerprint = spec.fingerprint();
        let machine = [version.as_str(), &images, &programs, &data, &fingerprint];
        let spawn = format!("{spawn:?}");
        // A network card's features depend on what is behind it.
        let network = format!("a booted guest, TAP {}", may_use_tap());
        let root = target.cache.root().join("machine/states");
        let store = StateStore::at(root);
        store.clear();
        Ok(Self {
            store,
            key: state_key(machine.into_iter().chain([spawn.as_str()])),
            guest_key: state_key(machine.into_iter().chain([network.as_str()])),
        })
    }

    /// The state, if there is one.
    pub fn find(&self) -> Option<Saved> {
        self.store.find(&self.key)
    }

    /// The booted guest, if there is one.
    pub fn find_guest(&self) -> Option<SavedState<Guest>> {
        self.store.find(&self.guest_key)
    }

    /// Saves a guest that has just booted.
    pub async fn save_guest(
        &self,
        machine: &Machine,
        control: &Control,
        hello: &Hello,
    ) -> Result<()> {
        let about = Guest {
            boot_id: hello.boot_id.clone(),
        };
        self.save_as(&self.guest_key, machine, control, about).await
    }

    async fn save_as<T: Serialize>(
        &self,
        key: &str,
        machine: &Machine,
        control: &Control,
        about: T,
    ) -> Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let qmp = machine.emulator().qmp();
        qmp.stop().await?;
        let saved = self.store.save(key, machine, now, about).await;
        qmp.cont().await?;
        control.set_clock(SystemTime::now()).await?;
        self.store.keep(KEPT_STATES);
        saved
    }

    /// Saves a ready cluster. Its machine stands still meanwhile; its clock is set right afterwards.
    pub async fn save(&self, life: &Life) -> Result<()> {
        let about = About {
            pid: life.pid,
            boot_id: life.control.boot_id().await?,
        };
        self.save_as(&self.key, &life.machine, &life.control, about)
            .await
    }
}

impl Saved {
    /// That the guest is the one that was saved; and sets its clock, which stood still, before anybody reads it, and
    /// gives it random numbers of its own.
    pub async fn check(&self, control: &Control, hello: &Hello) -> Result<()> {
        control.set_clock(SystemTime::now()).await?;
        control.reseed().await?;
        ensure!(
            hello.boot_id == self.about.boot_id,
            "failed to restore the saved state: another guest answers"
        );
        let status = control.status(self.about.pid).await?;
        ensure!(
            status.exit.is_none(),
            "failed to restore the saved state: its server has ended"
        );
        Ok(())
    }
}

/// A file of the user's, as far as it can be told without reading it.
fn identity(path: &std::path::Path) -> Result<String> {
    let about = fs_err::metadata(path)?;
    let modified = about.modified()?.duration_since(UNIX_EPOCH)?;
    Ok(format!(
        "{}:{}:{}",
        path.display(),
        about.len(),
        modified.as_nanos()
    ))
}
