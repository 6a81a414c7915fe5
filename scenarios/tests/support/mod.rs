//! The built binary in a sandbox of its own: state, cache and run folders in a temporary folder.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing here takes longer; a test that waits in vain fails and says for what.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// A sandbox. What assay leaves in it is a failure of the test.
pub struct Sandbox {
    folder: tempfile::TempDir,
}

/// After a failed test its sweeper cleans, as far as it can.
impl Drop for Sandbox {
    fn drop(&mut self) {
        if std::thread::panicking() && self.path("state").exists() {
            let _ = self.command(&["sweep"]).output();
        }
    }
}

impl Sandbox {
    pub fn new() -> Self {
        // Short, for unix sockets beneath it; not beneath a folder that a cell empties.
        let folder = tempfile::Builder::new().prefix("at").tempdir_in("/tmp");
        Self {
            folder: folder.expect("a temporary folder"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn out(&self) -> PathBuf {
        self.path("runs")
    }

    /// The run that `latest` points at.
    pub fn latest(&self) -> PathBuf {
        let link = self.out().join("latest");
        link.canonicalize().expect("a run and its link `latest`")
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary());
        command
            .args(args)
            .env("ASSAY_STATE", self.path("state"))
            .env("ASSAY_CACHE", self.path("cache"))
            .env_remove("K3S_BINARY")
            .env_remove("KUBEBUILDER_ASSETS")
            .env_remove("NO_COLOR")
            .current_dir(self.folder.path());
        command
    }

    /// Runs to the end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ended {
        self.start(self.command(args)).end()
    }

    pub fn start(&self, mut command: Command) -> Running {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the built binary starts");
        let (out, err) = (child.stdout.take(), child.stderr.take());
        Running {
            child,
            stdout: out.map(reader),
            stderr: err.map(reader),
        }
    }

    /// Arguments of a short run on the specimen, SQLite only; `more` follow.
    #[track_caller]
    pub fn specimen(&self, more: &[&str]) -> Vec<String> {
        let out = self.out();
        let mut args: Vec<String> = ["suite", "footprint", "--filter", "idle"]
            .map(str::to_owned)
            .to_vec();
        args.extend(["--distribution", "reference", "--datastore", "sqlite"].map(str::to_owned));
        args.extend(["--out".to_owned(), out.display().to_string()]);
        args.extend(more.iter().map(ToString::to_string));
        args
    }

    /// Fails unless no ledger and no work folder is there.
    #[track_caller]
    pub fn nothing_left(&self) {
        for folder in ["state/ledger", "state/work"] {
            assert_eq!(names(&self.path(folder)), [""; 0], "left in {folder}");
        }
    }
}

/// The binary under test: the built one, or the one that `ASSAY_TEST_BINARY` names, such as a release build.
pub fn binary() -> PathBuf {
    let named = std::env::var_os("ASSAY_TEST_BINARY").map(PathBuf::from);
    named.unwrap_or_else(|| env!("CARGO_BIN_EXE_assay").into())
}

/// The names in a folder; none when it does not exist.
pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// A started binary.
pub struct Running {
    pub child: Child,
    stdout: Option<std::thread::JoinHandle<String>>,
    stderr: Option<std::thread::JoinHandle<String>>,
}

/// A test that fails must not leave its run behind.
impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

impl Running {
    /// Waits for its end.
    #[track_caller]
    pub fn end(mut self) -> Ended {
        let status = until("assay ends", || self.child.try_wait().expect("a child"));
        let ended = Ended {
            code: status.code(),
            stdout: joined(self.stdout.take()),
            stderr: joined(self.stderr.take()),
        };
        for text in [&ended.stdout, &ended.stderr] {
            let bad = ["panicked", "RUST_BACKTRACE", "stack backtrace"];
            let found = bad.iter().find(|word| text.contains(**word));
            assert!(found.is_none(), "{ended:?}");
        }
        ended
    }
}

fn joined(reader: Option<std::thread::JoinHandle<String>>) -> String {
    let text = reader.map(|reader| reader.join().expect("its output"));
    text.unwrap_or_default()
}

/// A binary that has ended.
#[derive(Debug)]
pub struct Ended {
    /// `None`: a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    #[track_caller]
    pub fn expect(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// Polls until `condition` yields something.
#[track_caller]
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(
            Instant::now() < end,
            "waited {DEADLINE:?} in vain until {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Fails a test that needs cgroups, namespaces and mounts. Such tests are ignored unless asked for, so that none
/// passes where it could not run.
#[track_caller]
pub fn needs_root() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "run as root: it needs cgroups, namespaces and mounts");
}

/// The events of a run.
pub fn events(run: &Path) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(run.join("events.jsonl")).unwrap_or_default();
    // The last line of a run that goes on, or was killed, may be torn.
    text.lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}
