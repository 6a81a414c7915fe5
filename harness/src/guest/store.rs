//! Where built guests are kept: `<cache>/guest/…`. What is there under its final name is whole.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::GuestError;
use crate::artifact::Cache;
use crate::workshop;

/// The part of the cache that belongs to guests.
#[derive(Debug, Clone)]
pub(super) struct Store {
    root: PathBuf,
}

/// A folder to build in, on the disk of the store.
pub(super) struct Workshop(workshop::Workshop);

impl Store {
    pub(super) fn in_cache(cache: &Cache) -> Self {
        Self {
            root: cache.root().join("guest"),
        }
    }

    /// A path in the store; its folder is made.
    pub(super) fn place(&self, kind: &str, name: &str) -> Result<PathBuf, GuestError> {
        let folder = self.root.join(kind);
        fs_err::create_dir_all(&folder)
            .map_err(|error| GuestError::file("make", &folder, error))?;
        Ok(folder.join(name))
    }

    /// A new folder to build in, after those of dead builders are removed.
    pub(super) fn workshop(&self) -> Result<Workshop, GuestError> {
        let folder = self.root.join("work");
        let opened = workshop::Workshop::open(&folder);
        opened
            .map(Workshop)
            .map_err(|error| GuestError::file("make a folder in", &folder, error))
    }
}

impl Workshop {
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Gives a file or folder of this workshop its final name, once its content is on the disk. When another
    /// builder was faster, its work stands: equal names are equal contents.
    pub(super) fn deliver(&self, made: &Path, to: &Path) -> Result<(), GuestError> {
        let failed = |error| GuestError::file("store", to, error);
        if made.is_dir() {
            for entry in fs_err::read_dir(made).map_err(failed)?.flatten() {
                File::open(entry.path())
                    .and_then(|file| file.sync_all())
                    .map_err(failed)?;
            }
        } else {
            File::open(made)
                .and_then(|file| file.sync_all())
                .map_err(failed)?;
        }
        match fs_err::rename(made, to) {
            Err(_) if to.is_dir() && made.is_dir() => Ok(()),
            other => other.map_err(failed),
        }
    }
}

/// The SHA-256 of a file, in hexadecimal.
pub(super) fn sum_of(path: &Path) -> std::io::Result<String> {
    let mut file = fs_err::File::open(path)?;
    let mut sum = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            return Ok(hex(&sum.finalize()));
        }
        sum.update(&buffer[..got]);
    }
}

/// The key of some parts, each with its end marked: the first 32 digits of their SHA-256.
pub(super) fn key_of<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut sum = Sha256::new();
    for part in parts {
        sum.update((part.len() as u64).to_be_bytes());
        sum.update(part);
    }
    let mut key = hex(&sum.finalize());
    key.truncate(32);
    key
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_cache(&Cache::at(folder.path()));
        (folder, store)
    }

    #[test]
    fn the_faster_builders_work_stands() {
        let (_folder, store) = store();
        let to = store.place("images", "key").unwrap();
        for content in ["first", "second"] {
            let workshop = store.workshop().unwrap();
            let made = workshop.path().join("made");
            fs_err::create_dir(&made).unwrap();
            fs_err::write(made.join("kernel"), content).unwrap();
            workshop.deliver(&made, &to).unwrap();
        }
        assert_eq!(fs_err::read_to_string(to.join("kernel")).unwrap(), "first");
    }

    #[test]
    fn keys_tell_the_parts_apart() {
        assert_ne!(key_of(["ab", "c"]), key_of(["a", "bc"]));
        assert_eq!(key_of(["a"]).len(), 32);
    }
}
