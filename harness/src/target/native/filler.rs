//! A file that takes all free space of a cell's disk, and what shows that it does.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Beside the server's own files, on the same file system.
const NAME: &str = ".assay-filler";
const PROBE: &str = ".assay-probe";
const SYNCED: &str = ".assay-synced";
const UNSYNCED: &str = ".assay-unsynced";
/// What is left after whole pieces were reserved is written, so that no block stays free.
const PIECE: u64 = 1 << 20;
const BLOCK: usize = 4096;

fn filler(data: &Path) -> PathBuf {
    data.join(NAME)
}

/// Bytes that anybody could still write there.
pub(super) fn free_bytes(data: &Path) -> Result<u64> {
    let about = statvfs(data).context("failed to ask for the disk's free space")?;
    Ok(about.f_bavail * about.f_frsize)
}

/// Takes all free space. Blocks.
pub(super) fn fill(data: &Path) -> Result<()> {
    let mut file = fs_err::File::create(filler(data)).context("failed to fill the disk")?;
    let mut reserved = 0;
    loop {
        let piece = (free_bytes(data)? / 2).max(PIECE);
        match fallocate(&file, FallocateFlags::empty(), reserved, piece) {
            Ok(()) => reserved += piece,
            Err(Errno::NOSPC) => break,
            Err(error) => return Err(error).context("failed to fill the disk"),
        }
    }
    let mut file = {
        use std::io::Seek;
        // What a refused reservation took all the same lies behind what was granted.
        file.seek(std::io::SeekFrom::End(0))?;
        file
    };
    loop {
        match file.write_all(&[b'x'; BLOCK]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => break,
            Err(error) => return Err(error).context("failed to fill the disk"),
        }
    }
    // Blocks that were only promised are taken now.
    match file.sync_all() {
        Err(error) if error.kind() != ErrorKind::StorageFull => {
            Err(error).context("failed to fill the disk")
        }
        _ => Ok(()),
    }
}

/// Gives it back. That it was gone already is fine.
pub(super) fn release(data: &Path) -> Result<()> {
    match fs_err::remove_file(filler(data)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).context("failed to free the disk")
        }
        _ => Ok(()),
    }
}

/// The control of a disk that breaks: a file that was synced and one that was not.
pub(super) fn plant(data: &Path) -> Result<()> {
    let planting = "failed to plant the control of the fault";
    let mut synced = fs_err::File::create(data.join(SYNCED)).context(planting)?;
    synced.write_all(b"x").context(planting)?;
    synced.sync_all().context(planting)?;
    fs_err::File::open(data)
        .and_then(|folder| folder.sync_all())
        .context(planting)?;
    fs_err::write(data.join(UNSYNCED), "x").context(planting)
}

/// What became of it: what was synced must be there, what was not must be gone.
///
/// # Errors
/// When that is not so: then the fault is not what it is said to be.
pub(super) fn harvest(data: &Path) -> Result<String> {
    let bytes = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |about| about.len());
    let (synced, unsynced) = (bytes(SYNCED), bytes(UNSYNCED));
    for name in [SYNCED, UNSYNCED] {
        let _ = std::fs::remove_file(data.join(name));
    }
    ensure!(
        (synced, unsynced) == (1, 0),
        "failed to witness the fault: of a synced byte {synced} is there, and of one that was never synced {unsynced}"
    );
    Ok("a synced byte is there, one that was never synced is gone".to_owned())
}

/// What a small write is refused with, in the kernel's words.
///
/// # Errors
/// When it is not refused, or otherwise than expected.
pub(super) fn refusal(data: &Path, expected: ErrorKind) -> Result<String> {
    let path = data.join(PROBE);
    let written = std::fs::File::create(&path).and_then(|mut file| {
        file.write_all(&[b'x'; BLOCK])?;
        file.sync_all()
    });
    let _ = std::fs::remove_file(&path);
    let refused = written.err().context(
        "failed to witness the fault: a write that must be refused was not; look at the disk by hand",
    )?;
    ensure!(
        refused.kind() == expected,
        "failed to witness the fault: a write was refused with {refused}"
    );
    Ok(refused.to_string())
}
