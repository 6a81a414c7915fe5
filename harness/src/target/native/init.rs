//! Init: enters the cgroup, sheds what is assay's, executes the server.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::mount::{MountFlags, mount};
use rustix::process::Signal;
use rustix::thread::UnshareFlags;

use super::protocol::{Go, read};

/// Init's last word before the server. If more follows, execution failed.
pub(super) const EXECUTING: &str = "executing\n";

/// Runs init. Returns only if the server could not be executed.
pub(crate) fn init() -> ExitCode {
    // The report must close when the server is executed, and stay open for the reason if it is not.
    let Ok(report) = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3) else {
        return ExitCode::FAILURE;
    };
    let reason = match run(&report) {
        Err(reason) => reason,
        Ok(never) => match never {},
    };
    let _ = std::fs::File::from(report).write_all(reason.as_bytes());
    ExitCode::FAILURE
}

fn run(report: &OwnedFd) -> Result<std::convert::Infallible, String> {
    let mut instructions = String::new();
    std::io::stdin()
        .read_to_string(&mut instructions)
        .map_err(|error| format!("read from the keeper ({error})"))?;
    let go: Go = read(instructions.trim_end())?;
    // First of all, so that the budget holds from here on: the memory of the server is charged where its
    // process sits when it touches it, and does not move later.
    crate::cgroup::join(&go.entrances)?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("tie the server to its keeper ({error})"))?;
    if keeper_is_gone(report) {
        return Err("go on: the keeper has gone".to_owned());
    }
    rustix::process::setsid().map_err(|error| format!("start a session ({error})"))?;
    if go.private {
        // A mount namespace of its own for this one mount: the keeper goes on seeing itself in /proc, and mounts,
        // unmounts and starts servers again.
        crate::sys::unshare(UnshareFlags::NEWNS)
            .map_err(|error| format!("make a mount namespace for a private /proc ({error})"))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        mount("proc", "/proc", "proc", flags, None::<&std::ffi::CStr>)
            .map_err(|error| format!("mount a private /proc ({error})"))?;
    }
    // A protected assay (systemd's OOMScoreAdjust, say) must not protect the server: the kernel would find
    // nobody to kill at the limit. Lowering needs a right that may be missing; then it was not protected.
    let _ = std::fs::write("/proc/self/oom_score_adj", "0");
    crate::sys::close_inherited_on_exec()
        .map_err(|error| format!("close inherited descriptors ({error})"))?;
    let log = std::io::stderr()
        .as_fd()
        .try_clone_to_owned()
        .map_err(|error| format!("open the log again ({error})"))?;
    let mut pipe = std::fs::File::from(
        report
            .try_clone()
            .map_err(|error| format!("report to the keeper ({error})"))?,
    );
    pipe.write_all(EXECUTING.as_bytes())
        .map_err(|error| format!("report to the keeper ({error})"))?;
    let error = Command::new(&go.program)
        .arg0(&go.arg0)
        .args(&go.args)
        .env_clear()
        .envs(go.env.iter().map(|(name, value)| (name, value)))
        .current_dir(&go.work)
        .stdin(Stdio::null())
        .stdout(log)
        .exec();
    Err(format!(
        "execute {} ({error}); {}",
        go.program.display(),
        match error.raw_os_error() {
            Some(2) => "it or the interpreter that it names does not exist",
            Some(8) => "it is not a program for this machine",
            Some(13) => "it is not executable, or lies on a file system mounted noexec",
            Some(26) => "it is being written to; try again when that is done",
            _ => "try to run it by hand",
        }
    ))
}

/// The death signal only works from now on. If the keeper died before, its end of the report is closed.
fn keeper_is_gone(report: &OwnedFd) -> bool {
    let mut waiting = [PollFd::new(report, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut waiting, Some(&at_once)).is_ok()
        && waiting[0]
            .revents()
            .intersects(PollFlags::ERR | PollFlags::HUP)
}
