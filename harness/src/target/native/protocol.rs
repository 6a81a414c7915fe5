//! What assay, keeper and init tell each other: JSON lines over pipes. No file, so nothing to leave behind.

use std::path::PathBuf;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::distribution::CommandLine;
use crate::net::Subnet;

/// assay's first line to the keeper.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Setup {
    /// Whether to make namespaces.
    pub private: bool,
    /// The cell's work folder.
    pub work: PathBuf,
    /// The disk that the data folder is to lie on; `None`: where it lies anyway.
    pub disk: Option<Disk>,
}

/// A file system in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Disk {
    /// The file.
    pub image: PathBuf,
    /// Where it is mounted, in the keeper's mount namespace alone.
    pub at: PathBuf,
}

/// What assay asks of the keeper after that, as often as it likes. The end of its input ends everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "order", rename_all = "snake_case")]
pub(super) enum Order {
    /// Start the server; there must be none.
    Go(Box<Go>),
    /// SIGKILL to the server and all that it started. Answered with [`Told::Exited`].
    Kill,
    /// Make the disk read-only as an error of its device does. Answered with [`Told::Done`].
    BreakDisk,
    /// Unmount the disk, repair it, mount it again; there must be no server. Answered with [`Told::Done`].
    MendDisk,
}

/// How a server is started; the keeper hands it on to init.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Go {
    /// The private network; `None`: the host's.
    pub subnet: Option<Subnet>,
    /// Whether the keeper made namespaces.
    pub private: bool,
    /// The cell's work folder.
    pub work: PathBuf,
    /// The log file, opened by the keeper before the mounts change.
    pub log: PathBuf,
    /// The `cgroup.procs` files through which init enters the cell's cgroup.
    pub entrances: Vec<PathBuf>,
    /// The program, with symbolic links resolved.
    pub program: PathBuf,
    /// What the program is to see as its own name.
    pub arg0: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// All its variables.
    pub env: Vec<(String, String)>,
}

impl Go {
    pub(super) fn new(
        command: &CommandLine,
        program: PathBuf,
        work: PathBuf,
        log: PathBuf,
    ) -> Self {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut env = vec![
            (
                "PATH".to_owned(),
                "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned(),
            ),
            ("HOME".to_owned(), text(work.join("home"))),
            ("TMPDIR".to_owned(), text(work.join("tmp"))),
        ];
        env.extend(command.env.iter().cloned());
        Self {
            subnet: None,
            private: false,
            work,
            log,
            entrances: Vec::new(),
            program,
            arg0: command.program.clone(),
            args: command.args.clone(),
            env,
        }
    }
}

/// The keeper's lines to assay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Told {
    /// The namespaces stand (or none were asked for).
    Ready,
    /// Namespaces cannot be made here, for this reason.
    Refused {
        /// A sentence fragment.
        reason: String,
    },
    /// The server could not be executed.
    Failed {
        /// Completes "failed to ...".
        reason: String,
    },
    /// What was ordered is done.
    Done,
    /// What was ordered could not be done; all else is as it was.
    Undone {
        /// Completes "failed to ...".
        reason: String,
    },
    /// The server was executed.
    Executed {
        /// Its pid in the keeper's, hence assay's, pid namespace.
        pid: i32,
        /// When, on CLOCK_MONOTONIC, nanoseconds.
        monotonic_ns: i64,
    },
    /// The server ended.
    Exited {
        /// Its exit code, if it exited.
        code: Option<i32>,
        /// The signal that ended it, if one did.
        signal: Option<i32>,
    },
}

/// Renders one line.
pub(super) fn line(message: &impl Serialize) -> String {
    // These types hold no map with odd keys and no failing serializer; an empty line is not understood by the
    // other side, which then says so.
    let mut line = serde_json::to_string(message).unwrap_or_default();
    line.push('\n');
    line
}

/// Reads one line.
pub(super) fn read<T: DeserializeOwned>(line: &str) -> Result<T, String> {
    serde_json::from_str(line).map_err(|error| format!("understand {line:?} ({error})"))
}

/// CLOCK_MONOTONIC now, nanoseconds: the clock behind `Instant`, comparable across processes.
pub(super) fn monotonic_ns() -> i64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec * 1_000_000_000 + now.tv_nsec
}
