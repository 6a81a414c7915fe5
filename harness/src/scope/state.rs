//! The state folder: what must survive assay's own death, namely ledgers, and the cells' work folders.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// assay's state folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

impl StateDir {
    /// Finds it: `ASSAY_STATE`, else `$XDG_STATE_HOME/assay`, else `~/.local/state/assay`.
    ///
    /// # Errors
    /// When none of the three is set, or the folder cannot be made.
    pub fn find() -> Result<Self> {
        let absolute = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .filter(|p| p.is_absolute())
        };
        let root = absolute("ASSAY_STATE")
            .or_else(|| absolute("XDG_STATE_HOME").map(|p| p.join("assay")))
            .or_else(|| absolute("HOME").map(|p| p.join(".local/state/assay")))
            .context("failed to find a state folder; set ASSAY_STATE to an absolute path")?;
        Self::at(&root)
    }

    /// Uses this folder, making it where it is missing.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn at(root: &Path) -> Result<Self> {
        for folder in ["ledger", "work"] {
            // Servers keep their keys in work folders, and guests their disks.
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root.join(folder))
                .with_context(|| format!("failed to make {}", root.join(folder).display()))
                .context("failed to make the state folder; set ASSAY_STATE to a writable one")?;
        }
        Ok(Self {
            root: fs_err::canonicalize(root)?,
        })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where cells' work folders live. `sweep` removes folders only beneath it.
    #[must_use]
    pub fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where ledgers live.
    #[must_use]
    pub fn ledgers(&self) -> PathBuf {
        self.root.join("ledger")
    }

    /// The ledger of one run.
    ///
    /// # Errors
    /// When the run's id is no plain file name.
    pub fn ledger_of(&self, run: &str) -> Result<PathBuf> {
        let plain = run
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        ensure!(
            plain && !run.is_empty() && !run.starts_with('.'),
            "run id {run:?} is not made of letters, digits, '-', '_' and '.'"
        );
        Ok(self.ledgers().join(format!("{run}.jsonl")))
    }
}
