//! An engine that is killed while a cell runs: nothing keeps running, what stays is named, and goes when the engine is
//! back. The engine is one of this test's own, so that nobody else's dies.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::scope::{Resource, start_ticks, sweep};

use crate::specimen::{DEADLINE, all_gone, block_on, client};
use crate::sweeping::{listed, owner};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[("engine_death/half_way", half_way)];

/// Why no engine can be started here.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("dockerd needs root; run as root".to_owned());
    }
    harness::host::on_path("dockerd")
        .is_none()
        .then(|| "dockerd is not on PATH; install docker.io".to_owned())
}

/// A dockerd with everything beneath one folder.
struct OwnEngine {
    child: Child,
    folder: PathBuf,
}

impl OwnEngine {
    fn start(folder: &Path) -> Result<Self> {
        let path = |name: &str| folder.join(name).display().to_string();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(folder.join("dockerd.log"))?;
        let child = Command::new("dockerd")
            .args(["--data-root", &path("data"), "--exec-root", &path("exec")])
            .args(["--pidfile", &path("dockerd.pid"), "--bridge", "none"])
            // What the host filters and forwards is not this test's to change.
            .args([
                "--iptables=false",
                "--ip6tables=false",
                "--ip-forward=false",
            ])
            .args(["-H", &format!("unix://{}", path("docker.sock"))])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("failed to start dockerd")?;
        let mut engine = Self {
            child,
            folder: folder.to_owned(),
        };
        engine.await_answer()?;
        Ok(engine)
    }

    fn address(&self) -> String {
        format!("unix://{}", self.folder.join("docker.sock").display())
    }

    fn await_answer(&mut self) -> Result<()> {
        let end = Instant::now() + DEADLINE;
        // Its socket appears when it is nearly ready.
        while client(&self.address())
            .and_then(|docker| block_on(async { Ok(docker.ping().await?) }))
            .is_err()
        {
            let log =
                || std::fs::read_to_string(self.folder.join("dockerd.log")).unwrap_or_default();
            if let Some(status) = self.child.try_wait()? {
                anyhow::bail!("dockerd ended with {status}: {}", log());
            }
            ensure!(Instant::now() < end, "dockerd does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }

    /// Its containers outlive it. Its containerd dies with it, and where the machine's first process reaps nobody, it
    /// stays as a zombie, which the next dockerd would take for a living one by its pid file.
    fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        self.end_containerd();
        std::fs::remove_file(self.folder.join("exec/containerd/containerd.pid"))
            .context("dockerd had no containerd of its own")
    }

    /// containerd is dockerd's child. Its pid is in a file beneath this test's own folder.
    fn end_containerd(&self) {
        let file = self.folder.join("exec/containerd/containerd.pid");
        let pid = std::fs::read_to_string(&file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .and_then(rustix::process::Pid::from_raw);
        let Some(pid) = pid else {
            return;
        };
        let command = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if command.contains(&*self.folder.to_string_lossy()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed())
            && matches!(self.child.try_wait(), Ok(None))
        {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
            let _ = self.child.wait();
        }
        self.end_containerd();
        // Each dockerd binds its data folder onto itself, and one that was killed leaves that behind.
        let flags = rustix::mount::UnmountFlags::NOFOLLOW;
        while rustix::mount::unmount(self.folder.join("data"), flags).is_ok() {}
    }
}

fn half_way() -> Outcome {
    let folder = tempfile::tempdir()?;
    let state = tempfile::tempdir()?;
    let mut engine = OwnEngine::start(folder.path())?;
    let mut owner = owner(state.path(), &engine.address())?;
    let mut lines = BufReader::new(owner.0.stdout.take().context("no output")?).lines();
    let up = lines.next().context("the owner said nothing")??;
    ensure!(up == "up", "{up:?}");
    let resources = listed(state.path());
    let server = resources.iter().find_map(|resource| match resource {
        Resource::Process {
            pid, start_ticks, ..
        } => Some((*pid, *start_ticks)),
        _ => None,
    });
    let (pid, born) = server.context("the server is not in the ledger")?;
    engine.kill()?;
    ensure!(
        start_ticks(pid) == Some(born),
        "the server died with its engine: nothing was shown"
    );
    writeln!(owner.0.stdin.take().context("no input")?)?;
    let rest: Vec<String> = lines.collect::<Result<_, _>>()?;
    let left: Vec<_> = rest
        .iter()
        .filter(|line| line.starts_with("left "))
        .collect();
    ensure!(rest.last().is_some_and(|line| line == "done"), "{rest:?}");
    // The engine's own things, and only they.
    ensure!(left.len() == 3, "{rest:?}");
    ensure!(
        left.iter().all(|line| line.contains("assay sweep")),
        "{rest:?}"
    );
    ensure!(start_ticks(pid) != Some(born), "the server still runs");
    owner.0.wait()?;
    let again = OwnEngine::start(folder.path())?;
    let report = sweep(state.path());
    ensure!(report.remaining.is_empty(), "{report:?}");
    block_on(async { all_gone(&client(&again.address())?, &resources).await })
}
