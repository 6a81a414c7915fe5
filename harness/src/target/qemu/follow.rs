//! What is copied out of the guest in the background: the server's log and its kubeconfig.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::AbortHandle;

use crate::guest::Control;
use crate::machine::TimeMode;

/// Pause between two looks at the kubeconfig: each costs the guest about a millisecond. On the guest's clock where it
/// counts instructions, so that how often it is looked at does not depend on the host's load.
const KUBECONFIG_PAUSE: Duration = Duration::from_millis(250);
/// By how much the pause at the log is stretched where the guest counts instructions: how often the host looks depends
/// on the host's load, and what a look costs should not show.
const COUNTED_STRETCH: u32 = 8;
const KUBECONFIG_MOST: usize = 64 << 10;
/// Pause between two reads of the log.
const LOG_PAUSE: Duration = Duration::from_secs(1);
/// A log that grows faster than this much a look is caught up with later.
const LOG_STEP: usize = 256 << 10;
/// What is kept of a log; a server that writes more has a loop in it.
const LOG_MOST: u64 = 64 << 20;

/// Copies the kubeconfig to the host as soon as it is whole, under its final name at once. Ends with the guest.
pub(super) fn kubeconfig(control: Control, time: TimeMode, inside: &Path, here: &Path) {
    let (inside, here) = (inside.display().to_string(), here.to_owned());
    tokio::spawn(async move {
        let copy = async {
            loop {
                if let Ok(bytes) = control.get(&inside, KUBECONFIG_MOST).await
                    && is_whole(&bytes)
                    && store(&here, &bytes).is_ok()
                {
                    return;
                }
                match time {
                    TimeMode::Free => tokio::time::sleep(KUBECONFIG_PAUSE).await,
                    // A guest that does not answer is looked at again; its end ends this.
                    TimeMode::Counted => drop(control.tick(KUBECONFIG_PAUSE).await),
                }
            }
        };
        tokio::select! {
            () = copy => {}
            () = control.closed() => {}
        }
    });
}

fn stretched(pause: Duration, time: TimeMode) -> Duration {
    match time {
        TimeMode::Free => pause,
        TimeMode::Counted => pause * COUNTED_STRETCH,
    }
}

/// Whether it parses and names a user's key: K3s writes the file in one go, but not atomically.
fn is_whole(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return false;
    };
    serde_saphyr::from_str::<kube::config::Kubeconfig>(text)
        .is_ok_and(|file| !file.clusters.is_empty() && !file.auth_infos.is_empty())
}

/// The file holds keys, hence its mode; readiness looks for the path, hence the rename.
fn store(here: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let part = here.with_extension("part");
    let mut file = fs_err::File::from_parts(
        std::fs::File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o600)
            .open(&part)?,
        part.clone(),
    );
    file.write_all(bytes)?;
    fs_err::rename(&part, here)
}

/// Follows a log of the guest into a file here. The guest's file is read from its beginning after each boot, which
/// empties it: what a power cut left of it was copied before.
pub(super) struct LogFollower {
    file: Arc<Mutex<Follow>>,
    task: AbortHandle,
}

struct Follow {
    control: Control,
    inside: &'static str,
    here: PathBuf,
    offset: u64,
    copied: u64,
    pause: Duration,
}

impl LogFollower {
    pub fn start(control: Control, time: TimeMode, inside: &'static str, here: PathBuf) -> Self {
        let follow = Follow {
            control,
            inside,
            here,
            offset: 0,
            copied: 0,
            pause: stretched(LOG_PAUSE, time),
        };
        let file = Arc::new(Mutex::new(follow));
        let task = tokio::spawn(run(Arc::clone(&file))).abort_handle();
        Self { file, task }
    }

    /// Goes on with the log of the next boot.
    pub async fn follow(&mut self, control: Control) {
        self.task.abort();
        let mut follow = self.file.lock().await;
        (follow.control, follow.offset) = (control, 0);
        self.task = tokio::spawn(run(Arc::clone(&self.file))).abort_handle();
    }

    /// Copies what is new until there is no more.
    pub async fn catch_up(&self) {
        while self.file.lock().await.step().await.unwrap_or(false) {}
    }
}

impl Drop for LogFollower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Follow {
    /// Copies what is new. Whether there may be more at once.
    async fn step(&mut self) -> anyhow::Result<bool> {
        if self.copied >= LOG_MOST {
            return Ok(false);
        }
        let part = self
            .control
            .get_part(self.inside, self.offset, LOG_STEP)
            .await?;
        if part.is_empty() {
            return Ok(false);
        }
        let mut file = fs_err::File::options()
            .create(true)
            .append(true)
            .open(&self.here)?;
        file.write_all(&part)?;
        self.offset += part.len() as u64;
        self.copied += part.len() as u64;
        Ok(part.len() == LOG_STEP)
    }
}

async fn run(file: Arc<Mutex<Follow>>) {
    let (control, pause) = {
        let follow = file.lock().await;
        (follow.control.clone(), follow.pause)
    };
    let follow = async {
        loop {
            let more = file.lock().await.step().await.unwrap_or(false);
            if !more {
                tokio::time::sleep(pause).await;
            }
        }
    };
    tokio::select! {
        () = follow => {}
        () = control.closed() => {}
    }
}
