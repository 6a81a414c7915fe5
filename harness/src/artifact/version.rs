//! Asking a binary for its version.
//!
//! `k3s --version` is answered by the outer program before it unpacks anything (cmd/k3s/main.go extracts only
//! in a subcommand's action), so asking leaves nothing behind. To be safe against wrappers, it runs without
//! any inherited variable (`K3S_*`, `ETCD_*`), and its home does not exist, so there is nowhere to write and
//! no scratch folder that a killed assay could leave.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::binary::BinaryProblem;

/// How a product's `--version` output reads.
#[derive(Debug, Clone, Copy)]
pub(super) struct VersionLine {
    /// What the product is called in messages.
    pub what: &'static str,
    /// The words before the version.
    pub prefix: &'static str,
}

impl VersionLine {
    /// `k3s version v1.36.3+k3s1 (abcdef12)`.
    pub(super) const K3S: Self = Self {
        what: "k3s",
        prefix: "k3s version ",
    };
    /// `etcd Version: 3.4.23`.
    pub(super) const ETCD: Self = Self {
        what: "etcd",
        prefix: "etcd Version: ",
    };

    /// `Kubernetes v1.36.2`, as every server of Kubernetes says.
    pub(super) const KUBERNETES: Self = Self {
        what: "server of Kubernetes",
        prefix: "Kubernetes ",
    };

    /// Finds the version. The output is hostile text, so only what a version may be made of is accepted.
    fn parse(self, output: &str) -> Option<String> {
        let rest = output
            .lines()
            .find_map(|line| line.trim_start().strip_prefix(self.prefix))?;
        let version = rest.split_whitespace().next()?;
        let plausible = version.len() <= 64
            && version.bytes().any(|byte| byte.is_ascii_digit())
            && version
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte));
        plausible.then(|| version.to_owned())
    }
}

/// Runs `<path> --version` and reads the version from what it prints.
///
/// # Errors
/// When it does not start, does not answer within `deadline`, or prints something else.
pub(super) async fn ask(
    path: &Path,
    line: VersionLine,
    deadline: Duration,
) -> Result<String, BinaryProblem> {
    let impostor = |answer: String| BinaryProblem::Impostor {
        what: line.what,
        answer,
    };
    match tokio::time::timeout(deadline, run(path)).await {
        Ok(Ok((output, how))) => line.parse(&output).ok_or_else(|| {
            let said: String = output.trim().chars().take(80).collect();
            if said.is_empty() {
                impostor(format!("printed nothing and {how}"))
            } else {
                impostor(format!("printed {said:?} and {how}"))
            }
        }),
        Ok(Err(error)) => Err(impostor(format!("did not run ({error})"))),
        Err(_) => Err(impostor(format!(
            "did not answer within {} s",
            deadline.as_secs_f32()
        ))),
    }
}

async fn run(path: &Path) -> io::Result<(String, String)> {
    let mut child = Group(spawn(path).await?);
    let stdout = child.0.stdout.take();
    let stderr = child.0.stderr.take();
    let (stdout, stderr) = tokio::join!(start_of(stdout), start_of(stderr));
    let status = child.0.wait().await?;
    Ok((
        stdout + &stderr,
        status.to_string().replace("exit status:", "exited with"),
    ))
}

/// Starts it. A file that another thread has just written may be busy for a moment, because a concurrent
/// fork holds a copy of its descriptor until it executes; the caller's deadline bounds the wait.
async fn spawn(path: &Path) -> io::Result<Child> {
    loop {
        let started = Command::new(path)
            .arg("--version")
            .env_clear()
            .env(
                "PATH",
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .env("HOME", "/nonexistent")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        match started {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other,
        }
    }
}

/// Reads the first 4 KiB as text and throws the rest away, so that the writer does not block.
async fn start_of(pipe: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut pipe) = pipe else {
        return String::new();
    };
    let mut kept = Vec::new();
    let _ = (&mut pipe).take(4096).read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

/// A child in a process group of its own; the whole group dies with the value, so that a wrapper script
/// cannot leave its children behind.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // `id` is `None` once the child was waited for: its number may then belong to someone else.
        let pid = self
            .0
            .id()
            .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_versions_that_real_binaries_print() {
        let k3s = "k3s version v1.21.2+k3s1 (5a67e8dc)\ngo version go1.19.8\n";
        assert_eq!(VersionLine::K3S.parse(k3s).as_deref(), Some("v1.21.2+k3s1"));
        let etcd = "etcd Version: 3.4.23\nGit SHA: Not provided\n";
        assert_eq!(VersionLine::ETCD.parse(etcd).as_deref(), Some("3.4.23"));
        let kubernetes = VersionLine::KUBERNETES.parse("Kubernetes v1.36.2\n");
        assert_eq!(kubernetes.as_deref(), Some("v1.36.2"));
    }

    #[test]
    fn refuses_what_is_no_version() {
        for output in [
            "",
            "k3s version ",
            "k3s version \u{1b}[31mv1",
            "k3s version dev",
            "k3d version v5",
        ] {
            assert_eq!(VersionLine::K3S.parse(output), None, "{output:?}");
        }
        let long = format!("k3s version v1{}", "0".repeat(100));
        assert_eq!(VersionLine::K3S.parse(&long), None);
    }
}
