//! What can be asked of the guest's agent, and what it answers.

use std::time::Duration;

use crate::target::Exit;

/// A program to run to its end inside the guest. No shell is involved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exec {
    /// The program, looked up in the guest's PATH, and its arguments.
    pub argv: Vec<String>,
    /// Variables besides PATH and HOME.
    pub env: Vec<(String, String)>,
    /// Its working folder.
    pub folder: String,
    /// How long it may take by the guest's clock; then its process group is killed.
    pub deadline: Duration,
    /// Bytes that are kept of each of its streams, at most 900 kB.
    pub most: usize,
}

impl Exec {
    /// A command with 60 s and 512 KiB.
    #[must_use]
    pub fn new(argv: &[&str]) -> Self {
        Self {
            argv: argv.iter().map(|word| (*word).to_owned()).collect(),
            env: Vec::new(),
            folder: "/".into(),
            deadline: Duration::from_secs(60),
            most: 512 << 10,
        }
    }
}

/// What a program did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// How it ended; `oom_killed` is not known of it.
    pub exit: Exit,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// Whether it wrote more than was kept.
    pub truncated: bool,
    /// Its standard output. Hostile bytes.
    pub stdout: Vec<u8>,
    /// Its standard error. Hostile bytes.
    pub stderr: Vec<u8>,
}

/// A server to start inside the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spawn {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Variables besides PATH and HOME.
    pub env: Vec<(String, String)>,
    /// Its working folder.
    pub folder: String,
    /// Its cgroup (v2) under the root, made if it is not there. The sampler reads the one named `server`.
    pub cgroup: Option<String>,
    /// Files of the cgroup and their values, such as `memory.max` and `536870912`.
    pub limits: Vec<(String, String)>,
    /// The file in the guest that gets its standard output and error.
    pub log: String,
}

/// The cgroup that the sampler reads.
pub const SERVER_CGROUP: &str = "server";

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The kernel's boot id: another one is another boot.
    pub boot_id: String,
    /// The kernel's release.
    pub kernel: String,
    /// The agent's pid; another one within a boot means that servers started before are unknown.
    pub agent: i32,
}

/// The state of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How it ended; `None` while it runs.
    pub exit: Option<Exit>,
    /// OOM kills in its cgroup; `None` without one.
    pub oom_kills: Option<u64>,
}

/// What the agent tells unasked. An event can be lost when the connection breaks: ask for the status then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The agent started.
    Ready(Hello),
    /// A server ended.
    Exited {
        /// Its pid.
        pid: i32,
        /// How.
        exit: Exit,
    },
}

/// An exit from a wait status, as `waitpid` gives it.
pub(super) fn exit_of(status: i32, counted: bool) -> Exit {
    let signal = status & 0x7f;
    Exit::new(
        (signal == 0).then_some(status >> 8 & 0xff),
        (signal != 0).then_some(signal),
        counted,
    )
}
