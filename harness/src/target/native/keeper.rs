//! The keeper: makes the namespaces, starts init, outlives the server, and dies with assay.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::thread::UnshareFlags;

use super::mounts;
use super::observe::descendants;
use super::protocol::{Go, Setup, Told, line, monotonic_ns, read};

/// How long killed processes may take to go before the keeper gives up on them.
const END_WITHIN: Duration = Duration::from_secs(10);

/// Runs the keeper to its end.
pub(crate) fn keeper() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            tell(&Told::Failed { reason });
            ExitCode::FAILURE
        }
    }
}

/// assay may be gone: then nobody listens, and the end of standard input says what to do.
fn tell(told: &Told) {
    let mut out = std::io::stdout();
    let _ = out.write_all(line(told).as_bytes());
    let _ = out.flush();
}

fn run() -> Result<(), String> {
    let setup: Setup = read(&next_line()?)?;
    if setup.private {
        let all = UnshareFlags::NEWNS
            | UnshareFlags::NEWPID
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS;
        if let Err(error) = crate::sys::unshare(all) {
            tell(&Told::Refused {
                reason: format!("the kernel refuses namespaces ({error})"),
            });
            return Ok(());
        }
    } else {
        // The server's orphans become the keeper's children, so that it can end them all.
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
            .map_err(|error| format!("become a subreaper ({error})"))?;
    }
    tell(&Told::Ready);
    let go: Go = read(&next_line()?)?;
    let log = File::options()
        .create(true)
        .append(true)
        .open(&go.log)
        .map_err(|error| format!("open the log {} ({error})", go.log.display()))?;
    if setup.private {
        mounts::prepare(&setup.work, &go.program)?;
    }
    if let Some(subnet) = go.subnet {
        crate::net::configure_inside(subnet)
            .map_err(|error| format!("set up the private network: {error:#}"))?;
    }
    let init = start_init(&go, log)?;
    watch(init, setup.private)
}

/// One line of standard input, byte by byte, so that nothing is read ahead of `poll`.
fn next_line() -> Result<String, String> {
    let mut bytes = Vec::new();
    let mut stdin = std::io::stdin().lock();
    let mut byte = [0];
    loop {
        match stdin.read(&mut byte) {
            Ok(0) => return Err("go on: assay has gone".to_owned()),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => bytes.push(byte[0]),
            Err(error) => return Err(format!("read from assay ({error})")),
        }
    }
    String::from_utf8(bytes).map_err(|error| format!("read from assay ({error})"))
}

fn start_init(go: &Go, log: File) -> Result<Child, String> {
    let mut init = Command::new("/proc/self/exe")
        .arg0("assay")
        .arg(super::INIT)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| format!("start the first process of the cell ({error})"))?;
    if let Some(mut stdin) = init.stdin.take() {
        stdin
            .write_all(line(go).as_bytes())
            .map_err(|error| format!("instruct the first process of the cell ({error})"))?;
    }
    Ok(init)
}

/// Waits for whichever comes first: the end of assay, news of init, the end of the server.
fn watch(mut init: Child, private: bool) -> Result<(), String> {
    let pid = init.id().cast_signed();
    let handle = Pid::from_raw(pid)
        .ok_or("know the first process of the cell")
        .and_then(|p| {
            rustix::process::pidfd_open(p, PidfdFlags::empty())
                .map_err(|_| "open a pidfd; Linux 5.3 or later is needed")
        })?;
    let mut report = init.stdout.take();
    let mut heard = String::new();
    let stdin = std::io::stdin();
    loop {
        let (assay_gone, news, ended) = {
            let mut waiting = vec![
                PollFd::new(&stdin, PollFlags::IN),
                PollFd::new(&handle, PollFlags::IN),
            ];
            if let Some(report) = &report {
                waiting.push(PollFd::from_borrowed_fd(report.as_fd(), PollFlags::IN));
            }
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("poll ({error})")),
            }
            let ready = |nth: usize| waiting.get(nth).is_some_and(|fd| !fd.revents().is_empty());
            (ready(0), ready(2), ready(1))
        };
        // The report first: its end is the moment of execution, and comes before the end of the server.
        if news && let Some(pipe) = &mut report {
            let mut buffer = [0; 4096];
            match pipe.read(&mut buffer) {
                Ok(0) | Err(_) => {
                    report = None;
                    announce(&heard, pid, monotonic_ns());
                }
                Ok(count) => heard.push_str(&String::from_utf8_lossy(&buffer[..count])),
            }
            continue;
        }
        if assay_gone || ended {
            end_all(&mut init, private);
            let status = init
                .wait()
                .map_err(|error| format!("wait for the server ({error})"))?;
            tell(&Told::Exited {
                code: status.code(),
                signal: status.signal(),
            });
            return Ok(());
        }
    }
}

/// Init's report ends when it executes the server (close-on-exec) or dies; its last words tell which.
fn announce(heard: &str, pid: i32, monotonic_ns: i64) {
    tell(&match heard.strip_suffix(super::init::EXECUTING) {
        Some("") => Told::Executed { pid, monotonic_ns },
        _ => Told::Failed {
            reason: match heard.trim_start_matches(super::init::EXECUTING).trim() {
                "" => "prepare the server: its first process died; look at the server's log"
                    .to_owned(),
                reason => reason.to_owned(),
            },
        },
    });
}

/// Kills the server and all that it started. In a pid namespace the kernel kills everything with the first
/// process; otherwise the keeper, being the subreaper, finds every orphan among its descendants. They are
/// unreaped children or their children, so that a pid cannot be used again before its turn.
fn end_all(init: &mut Child, private: bool) {
    let _ = init.kill();
    if private {
        return;
    }
    let me = std::process::id().cast_signed();
    let end = Instant::now() + END_WITHIN;
    while Instant::now() < end {
        let left: Vec<i32> = descendants(me)
            .into_iter()
            .filter(|pid| *pid != init.id().cast_signed())
            .collect();
        if left.is_empty() {
            return;
        }
        for pid in left.into_iter().filter_map(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
            // Only the keeper's own children can be waited for; the others are once they were handed up.
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED);
        }
    }
}
