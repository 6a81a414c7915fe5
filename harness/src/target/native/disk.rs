//! A small disk of the cell's own: an ext4 file system in a file, on a loop device, mounted over the data folder in the
//! keeper's mount namespace alone. The device detaches itself with that mount, so it goes with the keeper.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount_remount, unmount};

use super::protocol::Disk;

/// Killed processes let go of their files a moment after they were reaped.
const UNMOUNTED_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Makes the file and a file system in it; assay does, before there is a keeper. No block is reserved for root, for
/// the server is root and full shall be full; nothing is left to be initialised in the background, under measurement.
///
/// # Errors
/// A sentence with the next step.
pub(super) fn make(image: &Path, bytes: u64) -> anyhow::Result<()> {
    use anyhow::Context;
    let file = fs_err::File::create_new(image).context("failed to make a disk; free some disk")?;
    file.set_len(bytes)
        .context("failed to make a disk; free some disk")?;
    drop(file);
    let options = [
        "-q",
        "-F",
        "-m",
        "0",
        "-E",
        "lazy_itable_init=0,lazy_journal_init=0",
    ];
    run(Command::new("mkfs.ext4").args(options).arg(image), &[0])
        .map_err(|reason| anyhow::anyhow!("failed to {reason}"))
}

/// Mounts it; the loop device is attached with "autoclear".
pub(super) fn mount(disk: &Disk) -> Result<(), String> {
    // What a failing device does to most systems' file systems: an error makes them read-only.
    let options = ["-t", "ext4", "-o", "loop,noatime,errors=remount-ro"];
    let mut command = Command::new("mount");
    run(command.args(options).arg(&disk.image).arg(&disk.at), &[0])
}

/// Makes it read-only as an error of its device does. A plain `remount,ro` is refused while files are open for writing
/// (EBUSY), and real disks do not ask. What was not synced by now is lost.
pub(super) fn break_it(disk: Option<&Disk>) -> Result<(), String> {
    let disk = disk.ok_or(NONE)?;
    mount_remount(&disk.at, MountFlags::NOATIME, c"abort")
        .map_err(|error| format!("abort the file system at {} ({error})", disk.at.display()))
}

/// Unmounts, repairs and mounts it again, as a reboot does.
pub(super) fn mend(disk: Option<&Disk>) -> Result<(), String> {
    let disk = disk.ok_or(NONE)?;
    let end = Instant::now() + UNMOUNTED_WITHIN;
    loop {
        match unmount(&disk.at, UnmountFlags::NOFOLLOW) {
            Ok(()) => break,
            Err(Errno::BUSY) if Instant::now() < end => std::thread::sleep(LOOK_EVERY),
            Err(error) => return Err(format!("unmount {} ({error})", disk.at.display())),
        }
    }
    // 1: errors were corrected (e2fsck(8)).
    run(
        Command::new("e2fsck").args(["-f", "-p"]).arg(&disk.image),
        &[0, 1],
    )?;
    mount(disk)
}

const NONE: &str = "find the disk: the cell has none of its own";

fn run(command: &mut Command, fine: &[i32]) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| {
        format!("run {name} ({error}); install it: `apt-get install e2fsprogs mount`")
    })?;
    if output
        .status
        .code()
        .is_some_and(|code| fine.contains(&code))
    {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!(
        "run {name} ({}): {}; it needs root and loop devices (/dev/loop-control)",
        output.status,
        crate::text::tame(said.trim())
    ))
}
