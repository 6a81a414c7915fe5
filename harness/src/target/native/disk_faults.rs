//! What can be done to the disk of a native cell, each with its witness.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::cluster::NativeCluster;
use super::filler;
use super::protocol::{Disk, Order};
use crate::scope::unescape;
use crate::target::Witness;

/// Answers of a blocking task that a panic ended.
const LOST: &str = "failed to work on the cell's disk: the task ended early";

impl NativeCluster {
    fn disk(&self) -> Result<&Disk> {
        let disk = self.about.disk.as_ref();
        disk.context("failed to work on the cell's disk: it has none of its own; only cells for faults have one")
    }

    /// Works on the cell's disk, off the runtime's threads.
    async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.disk()?;
        let data = self.about.data_dir.clone();
        tokio::task::spawn_blocking(move || work(&data))
            .await
            .context(LOST)?
    }

    pub(super) async fn filled(&self, fill: bool) -> Result<Witness> {
        let from = Instant::now();
        self.disk()?;
        self.life().filled |= fill;
        let facts = self
            .on_disk(move |data| {
                let before = filler::free_bytes(data)?;
                let mut facts = vec![("free before, bytes", before.to_string())];
                if fill {
                    filler::fill(data)?;
                    facts.push(("a write", filler::refusal(data, ErrorKind::StorageFull)?));
                } else {
                    filler::release(data)?;
                }
                let after = filler::free_bytes(data)?;
                facts.push(("free now, bytes", after.to_string()));
                ensure!(
                    fill || after > before,
                    "failed to free the disk: {after} bytes are free"
                );
                Ok(facts)
            })
            .await?;
        self.life().filled = fill;
        Ok(Self::witness(from, facts))
    }

    pub(super) async fn broken(&self) -> Result<Witness> {
        let from = Instant::now();
        let disk = self.disk()?;
        self.life().broken = true;
        self.on_disk(|data| {
            // What was full has no room for a control.
            filler::release(data).and_then(|()| filler::plant(data))
        })
        .await?;
        self.life().filled = false;
        self.obeyed(&Order::BreakDisk).await?;
        let (keeper, at) = (self.about.keeper_pid, disk.at.clone());
        let facts = self
            .on_disk(move |data| {
                let options = super_options(keeper, &at)?;
                let words: Vec<&str> = options.split(',').collect();
                ensure!(
                    words.contains(&"ro") || words.contains(&"emergency_ro"),
                    "failed to witness a read-only disk: its options are {options}"
                );
                let refused = filler::refusal(data, ErrorKind::ReadOnlyFilesystem)?;
                Ok(vec![("mountinfo", options), ("a write", refused)])
            })
            .await?;
        Ok(Self::witness(from, facts))
    }

    pub(super) async fn mended(&self) -> Result<Witness> {
        let from = Instant::now();
        self.obeyed(&Order::MendDisk).await?;
        let disk = self.disk()?;
        let options = super_options(self.about.keeper_pid, &disk.at)?;
        ensure!(
            options.split(',').any(|word| word == "rw") && !options.contains("emergency_ro"),
            "failed to mend the disk: its options are {options}"
        );
        let control = self.on_disk(filler::harvest).await?;
        self.life().broken = false;
        let facts = vec![("mountinfo", options), ("control", control)];
        Ok(Self::witness(from, facts))
    }
}

/// The file system's own options of the newest mount at a path, as a process sees it (proc(5), `mountinfo`).
fn super_options(pid: i32, at: &Path) -> Result<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/mountinfo"))
        .context("failed to read the cell's mounts")?;
    let options = text.lines().rev().find_map(|line| {
        let (left, right) = line.split_once(" - ")?;
        let point = unescape(left.split(' ').nth(4)?);
        (point == at).then(|| right.split(' ').nth(2).map(str::to_owned))?
    });
    options.with_context(|| format!("failed to find the mount at {}", at.display()))
}
