//! The ledger on disk: one JSON line per entry, synced before the thing it names is made.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{Identity, Resource};

/// One line of a ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub(super) enum Entry {
    /// Who owns what follows; the first line.
    Owner(Identity),
    /// A resource that is about to be made.
    Enter {
        /// It.
        resource: Resource,
    },
    /// A resource that was removed.
    Left {
        /// It.
        resource: Resource,
    },
}

/// What a ledger says.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The owner; `None` when its owner died before the first line was whole.
    pub owner: Option<Identity>,
    /// What was entered and not struck out, oldest first.
    pub standing: Vec<Resource>,
    /// Lines, counted from 1, that cannot be read and are not the torn end of a killed writer: what they name may have
    /// been made.
    pub unreadable: Vec<usize>,
}

impl Ledger {
    /// Reads a ledger's text. A last line without its end is the torn one of a killed writer: nothing that it names was
    /// made, since making waits for the sync.
    pub fn parse(text: &str) -> Self {
        let mut ledger = Self::default();
        for (nth, line) in text.split_inclusive('\n').enumerate() {
            match serde_json::from_str(line) {
                Ok(Entry::Owner(owner)) => ledger.owner = Some(owner),
                Ok(entry) => ledger.apply(&entry),
                Err(_) if !line.ends_with('\n') => {}
                Err(_) => ledger.unreadable.push(nth + 1),
            }
        }
        ledger
    }

    fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Owner(_) => {}
            Entry::Enter { resource } => self.standing.push(resource.clone()),
            Entry::Left { resource } => {
                if let Some(at) = self.standing.iter().rposition(|r| r == resource) {
                    self.standing.remove(at);
                }
            }
        }
    }
}

/// The only writer of a ledger. It holds a lock for as long as it lives, which tells sweepers in any pid
/// namespace that the owner is alive.
#[derive(Debug)]
pub(super) struct Writer {
    path: PathBuf,
    file: File,
    ledger: Ledger,
}

impl Writer {
    pub fn create(path: &Path) -> Result<Self> {
        // Made under another name: a sweeper must never see a ledger that is not locked and owned yet.
        let unborn = path.with_extension(format!("{}.new", std::process::id()));
        let file = File::options()
            .append(true)
            .create_new(true)
            .open(&unborn)
            .with_context(|| format!("failed to make {}", unborn.display()))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let mut writer = Self {
            path: path.to_owned(),
            file,
            ledger: Ledger::default(),
        };
        let born = writer
            .append(Entry::Owner(Identity::current()?))
            .and_then(|()| std::fs::hard_link(&unborn, path));
        let _ = std::fs::remove_file(&unborn);
        born.with_context(|| format!("failed to make {}", path.display()))?;
        // The name of the new file must be on disk too, or a power cut could lose the whole ledger.
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(writer)
    }

    pub fn append(&mut self, entry: Entry) -> io::Result<()> {
        let mut line = serde_json::to_vec(&entry)?;
        line.push(b'\n');
        self.file.write_all(&line)?;
        self.file.sync_data()?;
        self.ledger.apply(&entry);
        Ok(())
    }

    pub fn standing(&self) -> &[Resource] {
        &self.ledger.standing
    }

    pub fn close(&mut self) -> Vec<Resource> {
        if self.ledger.standing.is_empty() {
            // Left behind, it would only be an empty ledger, which `sweep` removes.
            let _ = std::fs::remove_file(&self.path);
        }
        self.ledger.standing.clone()
    }
}

/// Removes what a writer left that died between making its ledger and naming it. It names no resource.
pub(super) fn remove_unborn(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Some(pid) = path
            .file_name()
            .and_then(|name| name.to_str()?.strip_suffix(".new")?.rsplit('.').next())
            .and_then(|pid| pid.parse().ok())
        else {
            continue;
        };
        if super::start_ticks(pid).is_none() && !is_held(&path) {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Whether a writer holds this ledger's lock.
pub(super) fn is_held(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| {
        flock(&file, FlockOperation::NonBlockingLockShared).is_err_and(|e| {
            e == rustix::io::Errno::WOULDBLOCK // any other failure tells nothing
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(path: &str) -> Resource {
        Resource::Folder { path: path.into() }
    }

    #[test]
    fn what_was_struck_out_does_not_stand_and_a_torn_end_is_skipped() {
        let lines = [
            Entry::Enter {
                resource: folder("/a"),
            },
            Entry::Enter {
                resource: folder("/b"),
            },
            Entry::Left {
                resource: folder("/a"),
            },
        ]
        .map(|entry| serde_json::to_string(&entry).unwrap())
        .join("\n");
        let ledger = Ledger::parse(&format!("{lines}\n{{\"op\":\"enter\",\"reso"));
        assert_eq!(ledger.standing, [folder("/b")]);
        assert!(ledger.owner.is_none() && ledger.unreadable.is_empty());
    }

    #[test]
    fn a_line_within_that_cannot_be_read_is_told() {
        let entry = serde_json::to_string(&Entry::Enter {
            resource: folder("/a"),
        })
        .unwrap();
        // A full disk tore the first entry; the second was written behind it.
        let ledger = Ledger::parse(&format!("{{\"op\":\"en{entry}\n{entry}\n"));
        assert_eq!(
            (ledger.standing, ledger.unreadable),
            (vec![folder("/a")], vec![1])
        );
        let newer = Ledger::parse("{\"op\":\"enter\",\"resource\":{\"kind\":\"moon\"}}\n");
        assert_eq!(newer.unreadable, [1]);
    }
}
