//! The keeper: makes the namespaces, starts init, outlives servers, and dies with assay.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use super::observe::descendants;
use super::protocol::{Go, Order, Setup, Told, line, monotonic_ns, read};
use super::{disk, mounts};

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
    let Some(first) = next_line()? else {
        return Ok(());
    };
    let setup: Setup = read(&first)?;
    let mut own_pids = None;
    if setup.private {
        let all = UnshareFlags::NEWNS
            | UnshareFlags::NEWNET
            | UnshareFlags::NEWIPC
            | UnshareFlags::NEWUTS;
        let refused = match File::open("/proc/self/ns/pid") {
            // The pid namespace is tried here, too: nothing is started in this one.
            Ok(own) => {
                let tried = crate::sys::unshare(all).and_then(|()| enter_new_pids(&own));
                own_pids = Some(own);
                tried.err()
            }
            Err(error) => Some(error),
        };
        if let Some(error) = refused {
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
    let mut keeper = Keeper {
        setup,
        own_pids,
        prepared: false,
        server: None,
    };
    while let Some(news) = keeper.wait()? {
        match news {
            News::Order(order) => keeper.obey(order)?,
            News::Ended => keeper.end()?,
        }
    }
    keeper.end()
}

/// One line of standard input, byte by byte, so that nothing is read ahead of `poll`. `None`: assay has gone.
fn next_line() -> Result<Option<String>, String> {
    let mut bytes = Vec::new();
    let mut stdin = std::io::stdin().lock();
    let mut byte = [0];
    loop {
        match stdin.read(&mut byte) {
            Ok(0) => return Ok(None),
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) => bytes.push(byte[0]),
            Err(error) => return Err(format!("read from assay ({error})")),
        }
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|error| format!("read from assay ({error})"))
}

/// The next child is the first process of a new pid namespace. A second one can only be made from the keeper's own
/// (pid_namespaces(7)), to which children go back first.
fn enter_new_pids(own: &File) -> std::io::Result<()> {
    leave_new_pids(own)?;
    crate::sys::unshare(UnshareFlags::NEWPID)
}

/// Children are the keeper's neighbours again.
fn leave_new_pids(own: &File) -> std::io::Result<()> {
    let kind = Some(LinkNameSpaceType::ProcessID);
    Ok(move_into_link_name_space(own.as_fd(), kind)?)
}

/// What a keeper waits for.
enum News {
    Order(Order),
    /// The server ended by itself.
    Ended,
}

struct Keeper {
    setup: Setup,
    /// Its own pid namespace, where there are others.
    own_pids: Option<File>,
    /// Whether the mounts and the network stand.
    prepared: bool,
    server: Option<Server>,
}

/// A server that was started and not waited for yet.
struct Server {
    init: Child,
    pid: i32,
    handle: OwnedFd,
    /// Init's report, until it ends.
    report: Option<ChildStdout>,
    heard: String,
    /// Where it sits.
    go: Box<Go>,
}

impl Keeper {
    fn obey(&mut self, order: Order) -> Result<(), String> {
        let undone = |done: Result<(), String>| {
            tell(&match done {
                Ok(()) => Told::Done,
                Err(reason) => Told::Undone { reason },
            });
        };
        match order {
            Order::Go(go) => self.start(go)?,
            Order::Kill if self.server.is_none() => tell(&Told::Undone {
                reason: "kill the server: it has ended already".to_owned(),
            }),
            Order::Kill => self.end()?,
            Order::BreakDisk => undone(disk::break_it(self.setup.disk.as_ref())),
            Order::MendDisk if self.server.is_some() => {
                undone(Err("repair the disk: the server still runs".to_owned()));
            }
            Order::MendDisk => undone(disk::mend(self.setup.disk.as_ref())),
        }
        Ok(())
    }

    fn start(&mut self, go: Box<Go>) -> Result<(), String> {
        if self.server.is_some() {
            return Err("start the server: it runs already; report this as a bug".to_owned());
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&go.log)
            .map_err(|error| format!("open the log {} ({error})", go.log.display()))?;
        if !self.prepared {
            self.prepare(&go)?;
        }
        let started = match &self.own_pids {
            Some(own) => {
                enter_new_pids(own)
                    .map_err(|error| format!("make another pid namespace ({error})"))?;
                let started = start_init(&go, log);
                leave_new_pids(own).map_err(|error| format!("go back ({error})"))?;
                started
            }
            None => start_init(&go, log),
        };
        let mut init = started?;
        let pid = init.id().cast_signed();
        let handle = Pid::from_raw(pid)
            .ok_or("know the first process of the cell")
            .and_then(|pid| {
                rustix::process::pidfd_open(pid, PidfdFlags::empty())
                    .map_err(|_| "open a pidfd; Linux 5.3 or later is needed")
            })?;
        self.server = Some(Server {
            report: init.stdout.take(),
            init,
            pid,
            handle,
            heard: String::new(),
            go,
        });
        Ok(())
    }

    /// What outlives a server: mounts, disk and network.
    fn prepare(&mut self, go: &Go) -> Result<(), String> {
        if let Some(own) = &self.own_pids {
            // The first child of a new pid namespace is its init: no tool may be.
            leave_new_pids(own).map_err(|error| format!("go back ({error})"))?;
            mounts::prepare(&self.setup.work, &go.program)?;
        }
        if let Some(disk) = &self.setup.disk {
            disk::mount(disk)?;
        }
        if let Some(subnet) = go.subnet {
            crate::net::configure_inside(subnet)
                .map_err(|error| format!("set up the private network: {error:#}"))?;
        }
        self.prepared = true;
        Ok(())
    }

    /// Waits for whichever comes first: an order, news of init, the end of the server. `None`: assay has gone.
    fn wait(&mut self) -> Result<Option<News>, String> {
        let stdin = std::io::stdin();
        loop {
            let mut waiting = vec![PollFd::new(&stdin, PollFlags::IN)];
            if let Some(server) = &self.server {
                waiting.push(PollFd::new(&server.handle, PollFlags::IN));
                if let Some(report) = &server.report {
                    waiting.push(PollFd::from_borrowed_fd(report.as_fd(), PollFlags::IN));
                }
            }
            match poll(&mut waiting, None) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(format!("poll ({error})")),
            }
            let ready = |nth: usize| waiting.get(nth).is_some_and(|fd| !fd.revents().is_empty());
            let (asked, ended, news) = (ready(0), ready(1), ready(2));
            // The report first: its end is the moment of execution, and comes before the end of the server.
            if news && let Some(server) = &mut self.server {
                server.listen();
            } else if asked {
                let line = next_line()?;
                return line.map(|line| read(&line).map(News::Order)).transpose();
            } else if ended {
                return Ok(Some(News::Ended));
            }
        }
    }

    /// Ends the server, if there is one, and tells how it ended.
    fn end(&mut self) -> Result<(), String> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        for entrance in &server.go.entrances {
            // Frozen processes of cgroup v1 do not die.
            if let Some(folder) = entrance.parent() {
                crate::cgroup::thaw_folder(folder);
            }
        }
        end_all(&mut server.init, self.setup.private);
        let status = server
            .init
            .wait()
            .map_err(|error| format!("wait for the server ({error})"))?;
        tell(&Told::Exited {
            code: status.code(),
            signal: status.signal(),
        });
        Ok(())
    }
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

impl Server {
    /// Reads on in init's report, and announces what its end says.
    fn listen(&mut self) {
        let Some(pipe) = &mut self.report else {
            return;
        };
        let mut buffer = [0; 4096];
        match pipe.read(&mut buffer) {
            Ok(0) | Err(_) => {
                self.report = None;
                announce(&self.heard, self.pid, monotonic_ns());
            }
            Ok(count) => self
                .heard
                .push_str(&String::from_utf8_lossy(&buffer[..count])),
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
