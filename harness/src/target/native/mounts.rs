//! The private mounts of a cell: empty folders over the fixed paths that a server writes to besides its data
//! folder, so that it neither finds nor leaves anything of the host's there.
//!
//! No overlay file system is needed. A folder that exists gets an empty tmpfs over it. For one that does not
//! exist, making it would leave it on the host; instead its nearest existing parent gets a tmpfs in which every
//! entry of the original is bound (folders, files) or repeated (symbolic links), and the folder is made there.
//! All of it lives in the keeper's mount namespace and goes with it. Not covered: `/var/log` and `/tmp`, where an
//! agentless server writes nothing (`TMPDIR` and `HOME` point into the work folder).

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    mount_move,
};

/// Fixed paths of K3s (and of the kubelet), emptied. `/etc/rancher/node/password` is written whatever the flags.
const EMPTIED: &[&str] = &[
    "/run",
    "/etc/rancher",
    "/var/lib/rancher",
    "/var/lib/kubelet",
];

/// Makes the mounts of the keeper's namespace private and empties [`EMPTIED`]. `work` and `program` stay visible,
/// also beneath an emptied folder.
pub(super) fn prepare(work: &Path, program: &Path) -> Result<(), String> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| format!("make mounts private ({error})"))?;
    let stage = work.join("stage");
    // Not `create_dir_all`: if a sweep has removed the work folder, it must not come back.
    match std::fs::create_dir(&stage) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(format!("make {} ({error})", stage.display()));
        }
        _ => {}
    }
    for target in EMPTIED {
        empty(Path::new(target), &stage, &[work, program])
            .map_err(|error| format!("put an empty folder over {target} ({error})"))?;
    }
    Ok(())
}

fn empty(target: &Path, stage: &Path, keep: &[&Path]) -> std::io::Result<()> {
    if target.is_dir() {
        // /var/run is a link to /run, say.
        let real = target.canonicalize()?;
        tmpfs(stage)?;
        for kept in keep.iter().filter(|kept| kept.starts_with(&real)) {
            if let Ok(rest) = kept.strip_prefix(&real) {
                bind(kept, &stage.join(rest))?;
            }
        }
        return Ok(mount_move(stage, &real)?);
    }
    let parent = target
        .ancestors()
        .skip(1)
        .find(|parent| parent.is_dir())
        .filter(|parent| *parent != Path::new("/"))
        .ok_or_else(|| std::io::Error::other("its parent does not exist either"))?
        .canonicalize()?;
    tmpfs(stage)?;
    for entry in std::fs::read_dir(&parent)? {
        let entry = entry?;
        let (from, to) = (entry.path(), stage.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&from)?, &to)?;
        } else if kind.is_dir() || kind.is_file() {
            bind(&from, &to)?;
        }
    }
    mount_move(stage, &parent)?;
    std::fs::create_dir_all(target)
}

fn tmpfs(at: &Path) -> std::io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    Ok(mount("assay", at, "tmpfs", flags, Some(c"mode=0755"))?)
}

fn bind(from: &Path, to: &PathBuf) -> std::io::Result<()> {
    if from.is_dir() {
        std::fs::create_dir_all(to)?;
        Ok(mount_bind_recursive(from, to)?)
    } else {
        if let Some(parent) = to.parent() {
            std::fs::create_dir_all(parent)?;
        }
        File::create(to)?;
        Ok(mount_bind(from, to)?)
    }
}
