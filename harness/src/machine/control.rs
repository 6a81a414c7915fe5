//! What assay asks of an emulator over QMP: pause, reset, statistics, saving the state.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::qmp::{Qmp, QmpError};

/// Pause between two looks at a migration: short, for a small guest is saved in 90 ms.
const LOOK: Duration = Duration::from_millis(10);
/// Bytes a second; QEMU's own limit of 128 MiB/s is for networks.
const SAVE_BANDWIDTH: u64 = 1 << 36;
const BALLOON: &str = "/machine/peripheral/balloon";

/// What the balloon driver in the guest reported last, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalloonStats {
    /// The guest's `MemTotal`.
    pub total: u64,
    /// The guest's `MemAvailable`.
    pub available: u64,
    /// When, in seconds since the epoch of the host.
    pub last_update: u64,
}

impl Qmp {
    /// Pauses all vCPUs.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn stop(&self) -> Result<(), QmpError> {
        self.execute("stop", Value::Null).await.map(drop)
    }

    /// Lets the vCPUs run.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn cont(&self) -> Result<(), QmpError> {
        self.execute("cont", Value::Null).await.map(drop)
    }

    /// Ends the emulator.
    ///
    /// # Errors
    /// [`QmpError`]; that it has ended already is none.
    pub async fn quit(&self) -> Result<(), QmpError> {
        match self.execute("quit", Value::Null).await {
            Ok(_) | Err(QmpError::Ended { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The run state, such as `running`, `paused`, `inmigrate`.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn status(&self) -> Result<String, QmpError> {
        let answer = self.execute("query-status", Value::Null).await?;
        Ok(answer["status"].as_str().unwrap_or("unknown").to_owned())
    }

    /// Host thread ids of the vCPUs: their CPU time in `/proc` is the time for which the guest was busy.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn vcpu_threads(&self) -> Result<Vec<i32>, QmpError> {
        let answer = self.execute("query-cpus-fast", Value::Null).await?;
        let threads = answer.as_array().into_iter().flatten();
        Ok(threads
            .filter_map(|cpu| i32::try_from(cpu["thread-id"].as_i64()?).ok())
            .collect())
    }

    /// Has the balloon device ask the guest's driver every so often, or no more. The guest needs no agent for it.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn poll_balloon(&self, every: Option<Duration>) -> Result<(), QmpError> {
        let every = every.map_or(0, |every| every.as_secs().max(1));
        let set =
            json!({"path": BALLOON, "property": "guest-stats-polling-interval", "value": every});
        self.execute("qom-set", set).await.map(drop)
    }

    /// What the guest's balloon driver reported last; `None`: nothing yet.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn balloon_stats(&self) -> Result<Option<BalloonStats>, QmpError> {
        let get = json!({"path": BALLOON, "property": "guest-stats"});
        let answer = self.execute("qom-get", get).await?;
        // A figure that the driver did not give is -1 as an unsigned number.
        let stat = |name: &str| answer["stats"][name].as_u64().filter(|v| *v != u64::MAX);
        Ok((|| {
            Some(BalloonStats {
                total: stat("stat-total-memory")?,
                available: stat("stat-available-memory")?,
                last_update: answer["last-update"].as_u64().filter(|at| *at > 0)?,
            })
        })())
    }

    /// Saves the machine's state, memory included, to a file. The machine must be paused, and stays so.
    ///
    /// # Errors
    /// When QEMU fails to, or does not end in time.
    pub async fn save(&self, file: &Path, within: Duration) -> Result<()> {
        let bandwidth = json!({"max-bandwidth": SAVE_BANDWIDTH});
        self.execute("migrate-set-parameters", bandwidth).await?;
        let uri = format!("exec:cat > {}", shell_word(file)?);
        self.execute("migrate", json!({ "uri": uri })).await?;
        let end = Instant::now() + within;
        loop {
            let answer = self.execute("query-migrate", Value::Null).await?;
            match answer["status"].as_str() {
                Some("completed") => return Ok(()),
                Some("failed" | "cancelled") => {
                    let why = answer["error-desc"]
                        .as_str()
                        .unwrap_or("it gives no reason");
                    bail!("failed to save the machine's state: {why}; free some disk");
                }
                seen if Instant::now() >= end => bail!(
                    "failed to save the machine's state within {within:?}; last seen: {seen:?}"
                ),
                _ => tokio::time::sleep(LOOK).await,
            }
        }
    }

    /// Waits until a state given with `-incoming` has been read, then lets the machine run.
    ///
    /// # Errors
    /// When it is not read in time, or QEMU ended over it.
    pub async fn resume_incoming(&self, within: Duration) -> Result<()> {
        let end = Instant::now() + within;
        loop {
            let status = self
                .status()
                .await
                .context("failed to restore the machine: its state does not fit this emulator")?;
            match status.as_str() {
                "inmigrate" if Instant::now() < end => tokio::time::sleep(LOOK).await,
                "inmigrate" => bail!("failed to restore the machine within {within:?}"),
                "running" => return Ok(()),
                _ => return Ok(self.cont().await?),
            }
        }
    }
}

/// A path as one word of `/bin/sh`.
pub(super) fn shell_word(path: &Path) -> Result<String> {
    let text = path
        .to_str()
        .with_context(|| format!("failed to use {}: it is not UTF-8", path.display()))?;
    ensure!(
        !text.contains(['\'', '\n']),
        "failed to use {text:?}: choose a folder without quotes in its name"
    );
    Ok(format!("'{text}'"))
}
