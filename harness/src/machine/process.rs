//! The emulator's process: started behind a gate, so that it stands in the ledger before it is an emulator.

use std::io::BufRead;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::sync::watch;

use super::command::MachineSpec;
use super::qmp::Qmp;
use crate::scope::{Killed, Resource, Scope, kill_if, start_ticks};

/// The inner command that becomes the emulator.
pub(crate) const EMULATOR: &str = "__emulator";
/// The word that opens the gate.
const GO: &str = "go";
/// From execution to an answer on QMP: 0.1 s on a quiet host, with an image of 1 GiB.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);
/// An emulator that broke its socket has this long to end.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(2);
/// How long a killed emulator may take to go: it has its guest's memory to give back.
const GONE_WITHIN: Duration = Duration::from_secs(15);

/// Waits on standard input for the word to go, then becomes the program of its arguments. Should assay end
/// before it could write this process into the ledger, standard input ends and so does this.
pub(crate) fn emulator(args: &[std::ffi::OsString]) -> ExitCode {
    let mut line = String::new();
    let heard = std::io::stdin().lock().read_line(&mut line);
    let [program, args @ ..] = args else {
        return ExitCode::from(2);
    };
    if heard.is_err() || line.trim() != GO {
        return ExitCode::from(3);
    }
    let error = std::process::Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .exec();
    eprintln!("failed to execute {}: {error}", program.display());
    ExitCode::from(127)
}

/// How an emulator ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// Its exit code, if it exited.
    pub code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
}

/// A running emulator.
pub struct Emulator {
    pid: i32,
    ticks: u64,
    /// The moment at which it was told to go.
    started: Instant,
    qmp: Qmp,
    ended: watch::Receiver<Option<Ended>>,
    resource: Resource,
    scope: Scope,
}

impl Emulator {
    /// Starts an emulator and waits until it answers on QMP. `helper` is this program, or another that serves the
    /// inner commands of [`crate::internal()`]. Its messages go to `log`.
    ///
    /// # Errors
    /// When it cannot be started, ends at once or does not answer; the message has its last words.
    pub async fn start(
        helper: &Path,
        spec: &MachineSpec,
        log: &Path,
        scope: &Scope,
    ) -> Result<Self> {
        // The sockets of a predecessor that was killed.
        for socket in spec
            .ports
            .iter()
            .map(|name| spec.port(name))
            .chain([spec.qmp()])
        {
            let _ = std::fs::remove_file(socket);
        }
        let words = fs_err::File::options()
            .create(true)
            .append(true)
            .open(log)?;
        let mut child = Command::new(helper)
            .arg(EMULATOR)
            .arg(&spec.program)
            .args(spec.arguments()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(words.into_parts().0)
            // A Ctrl-C at the terminal is for assay, which then ends the guest in order.
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", helper.display()))?;
        let pid = child
            .id()
            .context("the gate of the emulator ended")?
            .cast_signed();
        let mut gate = child
            .stdin
            .take()
            .context("the gate of the emulator has no input")?;
        let ticks = start_ticks(pid).context("the gate of the emulator ended")?;
        let resource = Resource::Process {
            pid,
            start_ticks: ticks,
            what: "the emulator of a cell".to_owned(),
        };
        scope.enter(resource.clone())?;
        let started = Instant::now();
        let went = gate.write_all(format!("{GO}\n").as_bytes()).await;
        drop(gate);
        let (tell, ended) = watch::channel(None);
        tokio::spawn(async move {
            use std::os::unix::process::ExitStatusExt;
            let status = child.wait().await.ok();
            // Nobody waits any more when the emulator was dropped.
            let _ = tell.send(Some(Ended {
                code: status.and_then(|status| status.code()),
                signal: status.and_then(|status| status.signal()),
            }));
        });
        let qmp = Self::answers(&spec.qmp(), ended.clone(), log).await;
        let failed = match (went, qmp) {
            (Ok(()), Ok(qmp)) => {
                return Ok(Self {
                    pid,
                    ticks,
                    started,
                    qmp,
                    ended,
                    resource,
                    scope: scope.clone(),
                });
            }
            (Err(error), _) => anyhow!("failed to open the gate of the emulator: {error}"),
            (_, Err(error)) => error,
        };
        let _ = tokio::task::spawn_blocking({
            let scope = scope.clone();
            move || scope.release(&resource)
        })
        .await;
        Err(failed)
    }

    async fn answers(
        socket: &Path,
        mut ended: watch::Receiver<Option<Ended>>,
        log: &Path,
    ) -> Result<Qmp> {
        let failed = tokio::select! {
            qmp = Qmp::connect(socket, ANSWERS_WITHIN) => match qmp {
                Ok(qmp) => return Ok(qmp),
                Err(error) => error.to_string(),
            },
            _ = ended.wait_for(Option::is_some) => "it ended at once".to_owned(),
        };
        // QEMU opens its socket before it reads the kernel, so the socket may break first: its own words, which
        // are complete when it has ended, say more.
        let _ = tokio::time::timeout(LAST_WORDS_WITHIN, ended.wait_for(Option::is_some)).await;
        bail!(
            "failed to start the emulator: {failed}; its last words: {}",
            crate::text::last_words(log)
        )
    }

    /// Its control socket.
    #[must_use]
    pub fn qmp(&self) -> &Qmp {
        &self.qmp
    }

    /// Its pid on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// The moment at which it was executed.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// CPU time that it has used so far: what its guest's instructions cost this host, and its own work.
    #[must_use]
    pub fn cpu_used(&self) -> Option<Duration> {
        crate::sampler::cpu_used(self.pid)
    }

    /// How it ended; `None`: it still runs.
    #[must_use]
    pub fn ended(&self) -> watch::Receiver<Option<Ended>> {
        self.ended.clone()
    }

    /// Kills it: for the guest, a power cut. Returns when it is gone.
    ///
    /// # Errors
    /// A sentence: why it stays. It then stays in the ledger.
    pub async fn cut(self) -> Result<Ended, String> {
        let (pid, ticks) = (self.pid, self.ticks);
        // The pid is its own until the task above reaps it, and its start time is asked after the pidfd is open.
        let killed = tokio::task::spawn_blocking(move || {
            kill_if(pid, GONE_WITHIN, || start_ticks(pid) == Some(ticks))
        })
        .await;
        if let Ok(Killed::Remains(reason)) = killed {
            return Err(format!("{}: {reason}", self.resource.describe()));
        }
        let mut ended = self.ended.clone();
        let seen = tokio::time::timeout(GONE_WITHIN, ended.wait_for(Option::is_some)).await;
        let ended = match seen {
            Ok(Ok(ended)) => *ended,
            _ => None,
        };
        self.scope.left(&self.resource);
        Ok(ended.unwrap_or(Ended {
            code: None,
            signal: None,
        }))
    }
}

/// An emulator that was dropped is killed: a cancelled provisioning must leave nothing behind.
impl Drop for Emulator {
    fn drop(&mut self) {
        if self.ended.borrow().is_none() {
            // What stays is in the ledger.
            let _ = self.scope.release(&self.resource);
        }
    }
}

/// Finds QEMU for ARM64: `ASSAY_QEMU`, else `PATH`.
///
/// # Errors
/// A sentence that says what to install.
pub fn find_emulator() -> Result<PathBuf> {
    const NAME: &str = "qemu-system-aarch64";
    if let Some(path) = std::env::var_os("ASSAY_QEMU").filter(|value| !value.is_empty()) {
        return Ok(path.into());
    }
    std::env::var_os("PATH")
        .into_iter()
        .flat_map(|path| std::env::split_paths(&path).collect::<Vec<_>>())
        .map(|folder| folder.join(NAME))
        .find(|path| path.is_file())
        .with_context(|| {
            format!("failed to find {NAME} on PATH; run `apt-get install qemu-system-arm`")
        })
}
