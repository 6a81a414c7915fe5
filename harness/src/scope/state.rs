//! The state folder: what must survive assay's own death, namely ledgers, and the cells' work folders.

use std::ffi::OsString;
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
    /// When none of the three is set, `ASSAY_STATE` is relative, or the folder cannot be made.
    pub fn find() -> Result<Self> {
        Self::at(&place(|name| std::env::var_os(name))?)
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

/// The state folder by these variables. A relative one of assay's own is refused: ledgers would lie wherever a command
/// is run, and no sweep would find them. The XDG specification says that a relative value of its is to be ignored.
fn place(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let set = |name: &str| {
        variable(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(own) = set("ASSAY_STATE") {
        ensure!(
            own.is_absolute(),
            "failed to use ASSAY_STATE: {} is relative; set it to an absolute path",
            own.display()
        );
        return Ok(own);
    }
    let absolute = |name: &str| set(name).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .map(|path| path.join("assay"))
        .or_else(|| absolute("HOME").map(|path| path.join(".local/state/assay")))
        .context("failed to find a state folder; set ASSAY_STATE to an absolute path")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_state_folder_is_refused_and_not_passed_over() {
        let of = |own: Option<&str>, xdg: Option<&str>| {
            place(|name| {
                let value = match name {
                    "ASSAY_STATE" => own,
                    "XDG_STATE_HOME" => xdg,
                    _ => Some("/home/me"),
                };
                value.map(OsString::from)
            })
        };
        assert_eq!(of(Some("/s"), None).unwrap(), PathBuf::from("/s"));
        let why = of(Some("state"), None).unwrap_err().to_string();
        assert!(
            why.contains("relative") && why.contains("absolute"),
            "{why}"
        );
        let home = PathBuf::from("/home/me/.local/state/assay");
        for (own, xdg) in [(None, None), (Some(""), Some("relative"))] {
            assert_eq!(of(own, xdg).unwrap(), home);
        }
    }
}
