//! kubectl as a child: a deadline, bounded output, no file, killed with its group.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use super::Kubectl;
use super::gateway::{Gateway, Reach};
use crate::api::Api;

/// The most that is kept of each of its two outputs, in bytes; the rest is read and thrown away.
const OUTPUT_LIMIT: u64 = 1 << 20;
/// Not even root can make a folder there, so that no cache is kept from one check to the next. (kubectl bears a home that
/// does not exist, and none that is a file.)
const NO_HOME: &str = "/proc/none";
/// A started kubectl that outlives assay, killed half-way, ends by itself after that many seconds.
const LONGEST_LIFE: &str = "120";

/// Why kubectl could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum KubectlError {
    /// It could not be run at all.
    #[error("failed to run kubectl: {0}")]
    Run(#[from] std::io::Error),
    /// The gateway could not be opened.
    #[error("failed to open a gateway for kubectl: {0}")]
    Gateway(String),
    /// It did not end, or say what was awaited, in time.
    #[error("kubectl did not answer within {0:?}")]
    Late(Duration),
    /// It ended although it was to go on.
    #[error("kubectl ended at once: {0}")]
    Ended(String),
}

/// How one kubectl ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` after a signal.
    pub code: Option<i32>,
    /// What it printed, capped.
    pub stdout: String,
    /// What it complained of, capped.
    pub stderr: String,
}

/// kubectl, and a way to the server that is open as long as this lives.
pub struct Session {
    kubectl: Kubectl,
    /// In memory, so that it is gone with assay however assay ends; kubectl opens it through this process.
    kubeconfig: std::fs::File,
    within: Duration,
    _gateway: Gateway,
}

impl Session {
    /// Opens a gateway to the server of `api`; each kubectl gets `within` to end.
    ///
    /// # Errors
    /// When no port or no memory can be had.
    pub async fn open(
        api: &Api,
        kubectl: &Kubectl,
        reach: Reach,
        within: Duration,
    ) -> Result<Self, KubectlError> {
        let gateway = Gateway::open(api.clone(), reach)
            .await
            .map_err(|error| KubectlError::Gateway(format!("{error:#}")))?;
        let memory = memfd_create("kubeconfig", MemfdFlags::CLOEXEC)
            .map_err(|error| KubectlError::Run(error.into()))?;
        let mut kubeconfig = std::fs::File::from(memory);
        kubeconfig.write_all(gateway.kubeconfig().to_string().as_bytes())?;
        Ok(Self {
            kubectl: kubectl.clone(),
            kubeconfig,
            within,
            _gateway: gateway,
        })
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be run or does not end in time. A failure of its own is no error here.
    pub async fn run(&self, args: &[&str], input: Option<&str>) -> Result<Output, KubectlError> {
        let child = self.launch(args, false)?;
        finish(child, input, self.within).await
    }

    /// Starts it and waits for the first line that it prints. It is killed when the value is dropped.
    ///
    /// # Errors
    /// When it cannot be run, or says nothing in time.
    pub async fn start(&self, args: &[&str]) -> Result<Running, KubectlError> {
        let mut group = self.launch(args, true)?;
        drop(group.0.stdin.take());
        let stdout = group.0.stdout.take();
        let mut line = Vec::new();
        if let Some(pipe) = stdout {
            let mut pipe = BufReader::new(pipe.take(OUTPUT_LIMIT));
            tokio::time::timeout(self.within, pipe.read_until(b'\n', &mut line))
                .await
                .map_err(|_| KubectlError::Late(self.within))??;
        }
        if line.is_empty() {
            let complaint = tokio::time::timeout(self.within, capped(group.0.stderr.take())).await;
            return Err(KubectlError::Ended(complaint.unwrap_or_default()));
        }
        Ok(Running {
            first_line: String::from_utf8_lossy(&line).into_owned(),
            _group: group,
        })
    }

    fn launch(&self, args: &[&str], goes_on: bool) -> Result<Group, KubectlError> {
        let kubeconfig = PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            self.kubeconfig.as_raw_fd()
        ));
        let launch = Launch {
            kubectl: &self.kubectl,
            kubeconfig: &kubeconfig,
            goes_on,
        };
        launch.spawn(args)
    }
}

/// A kubectl that goes on until this is dropped.
pub struct Running {
    /// What it said first.
    pub first_line: String,
    _group: Group,
}

/// What each start of kubectl needs.
pub(super) struct Launch<'k> {
    pub(super) kubectl: &'k Kubectl,
    pub(super) kubeconfig: &'k Path,
    /// Whether it goes on until it is killed.
    pub(super) goes_on: bool,
}

impl Launch<'_> {
    pub(super) fn spawn(&self, args: &[&str]) -> Result<Group, KubectlError> {
        let mut command = if self.goes_on {
            // `timeout` bounds its life where assay itself is killed and can end nothing any more.
            let mut command = Command::new("timeout");
            command.args(["-s", "KILL", LONGEST_LIFE]);
            if self.kubectl.k3s {
                command.args(["bash", "-c", r#"exec -a kubectl "$0" "$@""#]);
            }
            command.arg(&self.kubectl.program);
            command
        } else {
            Command::new(&self.kubectl.program)
        };
        if self.kubectl.k3s && !self.goes_on {
            // A K3s acts as kubectl when it is called so; as a subcommand not every build understands it.
            command.arg0("kubectl");
        }
        command
            .args(args)
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", NO_HOME)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        Ok(Group(command.spawn()?))
    }
}

/// Hands it its input, waits until it ends, and gives what it said.
pub(super) async fn finish(
    mut group: Group,
    input: Option<&str>,
    within: Duration,
) -> Result<Output, KubectlError> {
    let child = &mut group.0;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut pipe), Some(text)) = (stdin, input) {
            // It may end without reading all; its exit code says what matters.
            let _ = pipe.write_all(text.as_bytes()).await;
        }
    };
    let all = async {
        let ((), stdout, stderr) = tokio::join!(feed, capped(stdout), capped(stderr));
        let status = child.wait().await?;
        Ok(Output {
            code: status.code(),
            stdout,
            stderr,
        })
    };
    tokio::time::timeout(within, all)
        .await
        .unwrap_or(Err(KubectlError::Late(within)))
}

async fn capped(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let mut kept = Vec::new();
    let _ = (&mut pipe).take(OUTPUT_LIMIT).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// A child in a process group of its own, which dies whole with the value.
pub(super) struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // No id once it was waited for: the number may belong to someone else by then.
        let pid = self.0.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn impostor(program: &str) -> Kubectl {
        Kubectl {
            program: program.into(),
            k3s: false,
            version: String::new(),
            minor: 0,
        }
    }

    #[tokio::test]
    async fn input_output_and_exit_code_are_carried() {
        let launch = Launch {
            kubectl: &impostor("/bin/sh"),
            kubeconfig: Path::new("/none"),
            goes_on: true,
        };
        let child = launch
            .spawn(&["-c", "cat; echo $HOME >&2; exit 7"])
            .unwrap();
        let output = finish(child, Some("hello"), Duration::from_secs(30))
            .await
            .unwrap();
        assert_eq!(output.code, Some(7));
        assert_eq!(output.stdout, "hello");
        assert_eq!(output.stderr.trim(), NO_HOME);
    }

    #[tokio::test]
    async fn one_that_hangs_is_given_up() {
        let launch = Launch {
            kubectl: &impostor("/bin/sh"),
            kubeconfig: Path::new("/none"),
            goes_on: true,
        };
        let child = launch.spawn(&["-c", "sleep 60"]).unwrap();
        let late = finish(child, None, Duration::from_millis(100)).await;
        assert!(matches!(late, Err(KubectlError::Late(_))), "{late:?}");
    }
}
