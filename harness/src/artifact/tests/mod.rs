//! Tests of artifacts against a mirror that misbehaves, disks that are full and binaries that are unfit.

mod binaries;
mod disks;
mod downloads;
mod kubernetes;
mod resolution;
mod resuming;
mod server;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use fixtures::artifacts::Arch;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::{Cache, K3sRequest, Mirror, Patience, Progress};

/// A version without a pin, so that tests may serve their own bytes under it.
const VERSION: &str = "v1.99.0+k3s1";

/// A folder, a cache in it, and a request that knows nothing but them.
struct Bench {
    folder: TempDir,
    progress: Recorder,
}

impl Bench {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("temporary folder"),
            progress: Recorder::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn request(&self, mirror: Mirror) -> K3sRequest {
        K3sRequest {
            flag: None,
            env: None,
            version: Some(VERSION.to_owned()),
            arch: host(),
            cache: Cache::at(self.path("cache")),
            search_path: None,
            mirror,
            offline: false,
            patience: Patience {
                version: Duration::from_secs(60),
                resumes: 0,
                ..Patience::default()
            },
        }
    }

    /// A mirror that must not be asked.
    fn no_mirror(&self) -> Mirror {
        Mirror::Folder(self.path("no-mirror"))
    }

    /// A folder mirror that carries `binary` as [`VERSION`], with its checksum file.
    fn folder_mirror(&self, tag: &str, binary: &[u8]) -> Mirror {
        let folder = self.path("mirror").join(tag);
        fs_err::create_dir_all(&folder).expect("writable");
        fs_err::write(folder.join(asset()), binary).expect("writable");
        fs_err::write(folder.join(sums()), listing(binary)).expect("writable");
        Mirror::Folder(self.path("mirror"))
    }

    /// An executable script.
    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        fs_err::create_dir_all(path.parent().expect("within the folder")).expect("writable");
        fs_err::write(&path, format!("#!/bin/sh\n{body}\n")).expect("writable");
        fs_err::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("own file");
        path
    }

    /// The files of the cache that are neither locks nor sums, relative to it.
    fn cached(&self) -> Vec<String> {
        let mut found = Vec::new();
        collect(&self.path("cache"), &mut found);
        found.sort();
        found
    }
}

fn collect(folder: &Path, into: &mut Vec<String>) {
    for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, into);
        } else if !path
            .extension()
            .is_some_and(|extension| extension == "lock" || extension == "sha256")
        {
            into.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
}

fn host() -> Arch {
    Arch::of_host().expect("tests run where K3s is released")
}

fn other() -> Arch {
    if host() == Arch::Arm64 {
        Arch::Amd64
    } else {
        Arch::Arm64
    }
}

fn asset() -> &'static str {
    super::release::binary_name(host())
}

fn sums() -> String {
    super::release::sums_name(host())
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn listing(binary: &[u8]) -> String {
    format!(
        "{}  k3s-airgap-images-amd64.tar\n{}  {}\n",
        "0".repeat(64),
        sha256(binary),
        asset()
    )
}

/// A well-formed ELF program for `arch` of `length` bytes, each length with other contents. It would not do
/// anything useful, and is never run.
fn elf(arch: Arch, length: usize) -> Vec<u8> {
    let (machine, wide) = match arch {
        Arch::Amd64 => (62_u16, true),
        Arch::Arm64 => (183, true),
        Arch::Arm => (40, false),
    };
    let mut file: Vec<u8> = (0..length)
        .map(|index| (index * 31 + length) as u8)
        .collect();
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0");
    put(16, &2_u16.to_le_bytes());
    put(18, &machine.to_le_bytes());
    if wide {
        put(4, &[2]);
        put(32, &64_u64.to_le_bytes());
        put(40, &0_u64.to_le_bytes());
        put(54, &[56, 0, 1, 0, 64, 0, 0, 0]);
        put(64 + 8, &0_u64.to_le_bytes());
        put(64 + 32, &(length as u64).to_le_bytes());
    } else {
        put(28, &52_u32.to_le_bytes());
        put(32, &0_u32.to_le_bytes());
        put(42, &[32, 0, 1, 0, 40, 0, 0, 0]);
        put(52 + 4, &0_u32.to_le_bytes());
        put(52 + 16, &(length as u32).to_le_bytes());
    }
    file
}

/// Keeps what was said.
#[derive(Default)]
struct Recorder {
    warnings: Mutex<Vec<String>>,
    notes: Mutex<Vec<String>>,
    highest: Mutex<u64>,
}

impl Recorder {
    fn warnings(&self) -> Vec<String> {
        self.warnings.lock().expect("unpoisoned").clone()
    }
}

impl Progress for Recorder {
    fn start(&self, _what: &str, _already: u64, _total: Option<u64>) {}

    fn at(&self, bytes: u64) {
        let mut highest = self.highest.lock().expect("unpoisoned");
        *highest = bytes.max(*highest);
    }

    fn end(&self) {}

    fn note(&self, line: &str) {
        self.notes.lock().expect("unpoisoned").push(line.to_owned());
    }

    fn warn(&self, line: &str) {
        self.warnings
            .lock()
            .expect("unpoisoned")
            .push(line.to_owned());
    }
}
