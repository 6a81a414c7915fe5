//! Saved states: a machine's memory and its disks, frozen, so that it can be restored instead of booted again.
//!
//! A state is kept under a key of everything that it depends on. What is there under its final name is whole; a
//! restored machine writes to overlays of its own, never to the state.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::boot::Machine;
use super::command::{Disk, DiskFormat};
use super::network::Network;
use super::qcow2::make_overlay;
use crate::workshop::{self, Workshop};

/// A guest of 512 MiB is saved in half a second; a slow disk gets longer.
const SAVED_WITHIN: Duration = Duration::from_secs(120);
/// Raised with each change of what is kept.
const FORMAT: &str = "state-1";
const MEMORY: &str = "memory";
const ABOUT: &str = "state.json";

/// Where saved states are kept.
#[derive(Debug, Clone)]
pub struct StateStore {
    root: PathBuf,
}

/// A saved state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedState<T> {
    /// The key of everything that it depends on.
    pub key: String,
    /// The network that the guest believes to be in.
    pub network: Network,
    /// When it was saved, seconds since 1970: the guest's clock stands there when it is restored.
    pub saved_at: u64,
    /// What whoever saved it needs to go on.
    pub about: T,
    /// Its disks, by serial number, in the guest's order; files of its folder, or `None` for one that the guest
    /// cannot write and that the key covers.
    disks: Vec<(String, Option<String>)>,
    #[serde(skip)]
    folder: PathBuf,
}

/// The key of some parts: each is told apart from its neighbours.
#[must_use]
pub fn state_key<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sum = Sha256::new();
    for part in [FORMAT].into_iter().chain(parts) {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let digits: String = sum
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digits[..32].to_owned()
}

impl StateStore {
    /// A store in this folder, which need not exist yet.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The state under a key. `None`: there is none that is whole.
    #[must_use]
    pub fn find<T: for<'a> Deserialize<'a>>(&self, key: &str) -> Option<SavedState<T>> {
        let folder = self.root.join(key);
        let text = fs_err::read(folder.join(ABOUT)).ok()?;
        let mut state: SavedState<T> = serde_json::from_slice(&text).ok()?;
        state.folder = folder;
        let whole = state.key == key
            && state.memory().is_file()
            && state
                .disks
                .iter()
                .flat_map(|(_, file)| file)
                .all(|file| state.folder.join(file).is_file());
        whole.then_some(state)
    }

    /// Where states are made before they are whole. No ledger has them: who owns one holds its lock.
    fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Removes what was half-made when its owner was killed.
    pub fn clear(&self) {
        workshop::clear(&self.work());
    }

    /// Removes all but the newest states. A restored machine that still runs keeps its files open.
    pub fn keep(&self, most: usize) {
        let mut states: Vec<_> = std::fs::read_dir(&self.root)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let about = entry.path().join(ABOUT);
                Some((
                    std::fs::metadata(about).ok()?.modified().ok()?,
                    entry.path(),
                ))
            })
            .collect();
        states.sort();
        for (_, folder) in states.iter().rev().skip(most) {
            // The description first: half a state is none.
            let _ = std::fs::remove_file(folder.join(ABOUT));
            let _ = std::fs::remove_dir_all(folder);
        }
    }

    /// Saves a paused machine. Its disks are copied as they are; whoever comes first with a key wins.
    ///
    /// # Errors
    /// When the machine runs, or the disk is full. Nothing half-made stays, nor when this is dropped half-way.
    pub async fn save<T: Serialize>(
        &self,
        key: &str,
        machine: &Machine,
        saved_at: u64,
        about: T,
    ) -> Result<()> {
        // A guest's memory and disk hold its server's keys; nobody else reads in a workshop.
        let workshop = Workshop::open(&self.work())
            .context("failed to make a folder for the saved state; free some disk")?;
        let part = workshop.path().join("state");
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&part)
            .with_context(|| format!("failed to make {}; free some disk", part.display()))?;
        fill(&part, key, machine, saved_at, about).await?;
        match fs_err::rename(&part, self.root.join(key)) {
            // Equal keys are equal states.
            Err(_) if self.root.join(key).join(ABOUT).is_file() => Ok(()),
            other => other.context("failed to store the saved state"),
        }
    }
}

async fn fill<T: Serialize>(
    folder: &Path,
    key: &str,
    machine: &Machine,
    saved_at: u64,
    about: T,
) -> Result<()> {
    // Flushes the block devices too, so that the files below are what the guest's memory believes.
    machine
        .emulator()
        .qmp()
        .save(&folder.join(MEMORY), SAVED_WITHIN)
        .await?;
    let mut disks = Vec::new();
    for disk in &machine.spec().disks {
        let kept = if disk.read_only {
            None
        } else {
            let name = format!("{}.qcow2", disk.serial);
            let (from, to) = (disk.file.clone(), folder.join(&name));
            tokio::task::spawn_blocking(move || fs_err::copy(from, to))
                .await
                .context("failed to copy a disk")??;
            Some(name)
        };
        disks.push((disk.serial.to_owned(), kept));
    }
    let state = SavedState {
        key: key.to_owned(),
        network: machine.network().clone(),
        saved_at,
        about,
        disks,
        folder: PathBuf::new(),
    };
    fs_err::write(folder.join(ABOUT), serde_json::to_vec_pretty(&state)?)
        .context("failed to write what the saved state is")
}

impl<T> SavedState<T> {
    /// The file to begin with.
    #[must_use]
    pub fn memory(&self) -> PathBuf {
        self.folder.join(MEMORY)
    }

    /// Replaces the disks of a machine by overlays of the saved ones, made in `work`.
    ///
    /// # Errors
    /// When the machine has other disks, or an overlay cannot be made.
    pub fn overlay(&self, disks: &[Disk], work: &Path) -> Result<Vec<Disk>> {
        anyhow::ensure!(
            disks.len() == self.disks.len(),
            "failed to restore the saved state: it has {} disks, the machine {}",
            self.disks.len(),
            disks.len()
        );
        disks
            .iter()
            .zip(&self.disks)
            .map(|(disk, (serial, kept))| {
                anyhow::ensure!(
                    disk.serial == serial,
                    "failed to restore the saved state: its disks are not the machine's"
                );
                let Some(kept) = kept else {
                    return Ok(disk.clone());
                };
                let file = work.join(format!("{serial}.restored"));
                make_overlay(&file, &self.folder.join(kept), DiskFormat::Qcow2)?;
                Ok(Disk {
                    file,
                    format: DiskFormat::Qcow2,
                    ..disk.clone()
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_parts_apart_and_half_a_state_is_none() {
        assert_ne!(state_key(["ab", "c"]), state_key(["a", "bc"]));
        let folder = tempfile::tempdir().unwrap();
        let store = StateStore::at(folder.path().to_owned());
        let state = SavedState {
            key: "k".into(),
            network: Network::Forwarded {
                ports: Default::default(),
            },
            saved_at: 7,
            about: 42,
            disks: vec![("assay-root".into(), Some("assay-root.qcow2".into()))],
            folder: PathBuf::new(),
        };
        assert!(store.find::<u32>("k").is_none());
        let at = |name: &str| folder.path().join("k").join(name);
        std::fs::create_dir(folder.path().join("k")).unwrap();
        std::fs::write(at(ABOUT), serde_json::to_vec(&state).unwrap()).unwrap();
        std::fs::write(at(MEMORY), "m").unwrap();
        assert!(store.find::<u32>("k").is_none(), "a disk is missing");
        std::fs::write(folder.path().join("raw"), vec![0; 1 << 20]).unwrap();
        make_overlay(
            &at("assay-root.qcow2"),
            &folder.path().join("raw"),
            DiskFormat::Raw,
        )
        .unwrap();
        let found = store.find::<u32>("k").unwrap();
        assert_eq!((found.about, found.saved_at), (42, 7));
        assert!(store.find::<u32>("other").is_none());
        let disk = Disk {
            file: "root".into(),
            format: DiskFormat::Qcow2,
            read_only: false,
            serial: "assay-root",
        };
        let overlays = found
            .overlay(std::slice::from_ref(&disk), folder.path())
            .unwrap();
        assert!(overlays[0].file.is_file() && overlays[0].serial == "assay-root");
        found.overlay(&[], folder.path()).unwrap_err();
        store.keep(1);
        assert!(store.find::<u32>("k").is_some());
        store.keep(0);
        assert!(store.find::<u32>("k").is_none() && !at(MEMORY).exists());
        let other = Disk {
            serial: "assay-data",
            ..disk
        };
        found.overlay(&[other], folder.path()).unwrap_err();
    }
}
