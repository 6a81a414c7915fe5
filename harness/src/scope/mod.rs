//! Scopes: who owns what. Each resource enters the ledger on disk *before* it is made, so that [`sweep()`]
//! finds it after any kind of death.

mod folder;
mod ledger;
mod loop_device;
mod process;
mod remove;
mod state;
mod sweep;
mod sysctl;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use folder::remove_work_folder;
pub(crate) use folder::unescape;
pub use process::{Identity, boot_id, start_ticks};
pub(crate) use process::{Killed, kill_if};
pub use state::StateDir;
pub use sweep::{SweepReport, sweep};
pub use sysctl::before_a_kubelet;

use ledger::{Entry, Writer};

/// Something that must not outlive its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Resource {
    /// A process, known by pid and start time, so that a re-used pid is never touched.
    Process {
        /// Its pid in assay's pid namespace.
        pid: i32,
        /// Field 22 of `/proc/<pid>/stat`.
        start_ticks: u64,
        /// What it is, for people.
        what: String,
    },
    /// A cgroup folder.
    Cgroup {
        /// Its absolute path.
        path: PathBuf,
    },
    /// A folder with everything in it.
    Folder {
        /// Its absolute path.
        path: PathBuf,
    },
    /// Everything in a cluster that carries a run's label.
    Objects {
        /// How the cluster is reached.
        kubeconfig: PathBuf,
        /// The context in it, where it is not the current one.
        context: Option<String>,
        /// Which cluster it was: the uid of its namespace `kube-system`.
        uid: String,
        /// The label's value.
        run: String,
    },
    /// A loop device, known by the image that it serves.
    Loop {
        /// The image's absolute path.
        image: PathBuf,
    },
    /// A network interface in the host's namespace.
    Interface {
        /// Its name; its hardware address follows from it (see [`crate::net::LinkName`]).
        name: String,
    },
    /// A kernel setting of the whole host, to be set back.
    Sysctl {
        /// Its file beneath `/proc/sys`.
        path: PathBuf,
        /// What it was.
        before: String,
    },
    /// What a container engine holds: a container, a network or an image.
    Engine(crate::engine::Held),
}

impl Resource {
    /// Whether it is still there, and still the same, after a reboot. A pid, a cgroup or an interface of that name
    /// is someone else's by then.
    fn outlives_a_boot(&self) -> bool {
        matches!(
            self,
            Self::Folder { .. } | Self::Engine(_) | Self::Objects { .. }
        )
    }

    /// Whether someone else makes it, who may do so after its owner has died.
    fn may_appear_late(&self) -> bool {
        matches!(self, Self::Engine(_))
    }

    /// Names it for people, in a few words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Process { pid, what, .. } => format!("process {pid} ({what})"),
            Self::Cgroup { path } => format!("cgroup {}", path.display()),
            Self::Folder { path } => format!("folder {}", path.display()),
            Self::Objects {
                kubeconfig, run, ..
            } => format!(
                "objects of run {run} in the cluster of {}",
                kubeconfig.display()
            ),
            Self::Loop { image } => format!("the loop device of {}", image.display()),
            Self::Interface { name } => format!("network interface {name}"),
            Self::Sysctl { path, before } => {
                format!("the setting {} (it was {before})", path.display())
            }
            Self::Engine(held) => held.to_string(),
        }
    }
}

/// The owner of a run's resources and the writer of their ledger.
///
/// Clones share one ledger, so that a cluster can strike out its resources when it is destroyed.
#[derive(Debug, Clone)]
pub struct Scope {
    run: Arc<str>,
    work: Arc<Path>,
    ledger: Arc<Mutex<Writer>>,
}

impl Scope {
    /// Opens the ledger of a run and writes who owns it.
    ///
    /// # Errors
    /// When `run` is no plain file name, when its ledger exists already, or when the state folder cannot be
    /// written: then nothing may be provisioned, for nothing could be found again.
    pub fn open(state: &Path, run: &str) -> Result<Self> {
        let (work, writer) = StateDir::at(state)
            .and_then(|dir| Ok((dir.work(), Writer::create(&dir.ledger_of(run)?)?)))
            .with_context(|| {
                format!(
                    "failed to open the ledger of run {run}; make {} writable or set ASSAY_STATE",
                    state.display()
                )
            })?;
        Ok(Self {
            run: run.into(),
            work: work.into(),
            ledger: Arc::new(Mutex::new(writer)),
        })
    }

    /// The run's id.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// The folder beneath which this run's work folders must lie.
    #[must_use]
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Removes a resource by its identity and strikes it out. Blocks for as long as that takes.
    ///
    /// # Errors
    /// A sentence: why it stays, and what to do. It then stays in the ledger.
    pub fn release(&self, resource: &Resource) -> Result<(), String> {
        remove::remove(&self.work, resource)?;
        self.left(resource);
        Ok(())
    }

    /// Enters a resource. On return it is on disk; only then may it be made.
    ///
    /// # Errors
    /// When the ledger cannot be written.
    pub fn enter(&self, resource: Resource) -> Result<()> {
        let what = resource.describe();
        self.writer()
            .append(Entry::Enter { resource })
            .with_context(|| format!("failed to enter {what} into the ledger; free some disk"))
    }

    /// Strikes a resource out after it was removed. A failed write is no failure of the caller's: `sweep` will
    /// find the resource gone.
    pub fn left(&self, resource: &Resource) {
        let _ = self.writer().append(Entry::Left {
            resource: resource.clone(),
        });
    }

    /// What is still in the ledger, oldest first.
    #[must_use]
    pub fn standing(&self) -> Vec<Resource> {
        self.writer().standing().to_vec()
    }

    /// Closes the scope. The ledger goes when nothing is left; otherwise it stays for `sweep`, and what it
    /// lists is returned. To be called last: what another clone enters afterwards is lost.
    pub fn close(self) -> Vec<Resource> {
        self.writer().close()
    }

    fn writer(&self) -> std::sync::MutexGuard<'_, Writer> {
        // A panic while the lock was held leaves at worst a torn line, which readers skip.
        self.ledger
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
