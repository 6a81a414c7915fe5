//! Processes by identity: a pid alone is no identity, for the kernel uses pids again.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

/// A process of one boot of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: when it started, in clock ticks since boot.
    pub start_ticks: u64,
    /// `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
}

impl Identity {
    /// This process.
    ///
    /// # Errors
    /// When `/proc` is not mounted.
    pub fn current() -> std::io::Result<Self> {
        let pid = std::process::id().cast_signed();
        let start_ticks = start_ticks(pid).ok_or_else(|| {
            std::io::Error::other("/proc/self/stat cannot be read; mount /proc and try again")
        })?;
        Ok(Self {
            pid,
            start_ticks,
            boot_id: boot_id(),
        })
    }

    /// Whether the process of this identity still runs. A zombie no longer does.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.boot_id == boot_id()
            && read_stat(self.pid)
                .is_some_and(|stat| stat.start_ticks == self.start_ticks && !stat.dead)
    }
}

/// This boot of this machine; empty where the kernel does not tell.
#[must_use]
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|text| text.trim().to_owned())
        .unwrap_or_default()
}

/// When a process started, in clock ticks since boot; `None` when there is no such process.
#[must_use]
pub fn start_ticks(pid: i32) -> Option<u64> {
    read_stat(pid).map(|stat| stat.start_ticks)
}

struct Stat {
    start_ticks: u64,
    dead: bool,
}

fn read_stat(pid: i32) -> Option<Stat> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// proc(5): the second field, the name, may hold spaces and parentheses, so fields count from its last `)`.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let dead = matches!(fields.next()?, "Z" | "X" | "x");
    Some(Stat {
        start_ticks: fields.nth(18)?.parse().ok()?,
        dead,
    })
}

/// How an attempt to kill ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Killed {
    /// It ran, and it is gone now.
    Gone,
    /// There was no such process, or the pid belongs to another one by now.
    NotThere,
    /// It is still there, for this reason.
    Remains(String),
}

/// Kills the process with this pid and start time and waits until it is gone. The pid is resolved once, into
/// a pidfd; the start time is checked after that, so a pid used again in between is never signalled.
pub(crate) fn kill_exact(pid: i32, ticks: u64, deadline: Duration) -> Killed {
    kill_if(pid, deadline, || {
        read_stat(pid).is_some_and(|stat| stat.start_ticks == ticks && !stat.dead)
    })
}

/// Kills the process behind a pid if `is_it`, asked after the pidfd was opened, says that it is the right one.
pub(crate) fn kill_if(pid: i32, deadline: Duration, is_it: impl Fn() -> bool) -> Killed {
    // Asked first: `from_raw` panics below zero, and below zero are process groups.
    let Some(target) = (pid > 0).then(|| Pid::from_raw(pid)).flatten() else {
        return Killed::NotThere;
    };
    let descriptor = match pidfd_open(target, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(Errno::SRCH | Errno::INVAL) => return Killed::NotThere,
        Err(error) => return Killed::Remains(format!("pidfd_open: {error}")),
    };
    if !is_it() {
        return Killed::NotThere;
    }
    match pidfd_send_signal(&descriptor, Signal::KILL) {
        Ok(()) => {}
        Err(Errno::SRCH) => return Killed::NotThere,
        Err(error) => return Killed::Remains(format!("kill: {error}")),
    }
    let end = Instant::now() + deadline;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(left.subsec_nanos()),
        };
        let mut waiting = [PollFd::new(&descriptor, PollFlags::IN)];
        match poll(&mut waiting, Some(&timeout)) {
            Ok(0) => return Killed::Remains("it did not end after SIGKILL".to_owned()),
            Ok(_) => return Killed::Gone,
            Err(Errno::INTR) => {}
            Err(error) => return Killed::Remains(format!("poll: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let tail = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 20";
        let stat = parse_stat(&format!("7 (a) b) ) {tail}")).unwrap();
        assert_eq!((stat.start_ticks, stat.dead), (4242, false));
        assert!(parse_stat("7 (cut off").is_none());
        assert!(parse_stat("").is_none());
    }

    #[test]
    fn only_the_very_process_is_killed() {
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        let ticks = start_ticks(pid).unwrap();
        let deadline = Duration::from_secs(10);
        assert_eq!(kill_exact(pid, ticks + 1, deadline), Killed::NotThere);
        assert!(child.try_wait().unwrap().is_none(), "another was meant");
        assert_eq!(kill_exact(pid, ticks, deadline), Killed::Gone);
        child.wait().unwrap();
        assert_eq!(kill_exact(pid, ticks, deadline), Killed::NotThere);
        assert_eq!(kill_exact(-1, ticks, deadline), Killed::NotThere);
    }
}
