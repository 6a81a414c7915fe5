//! ext4 images, made from folders without root.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;

use super::error::GuestError;
use super::store::{Store, key_of, sum_of};
use super::tool::{Tool, find};
use crate::artifact::Cache;

const MIB: u64 = 1 << 20;

/// Options of mkfs.ext4. The guest's kernel would otherwise finish a new filesystem in the background, while
/// something is being measured.
const AT_ONCE: &str = "lazy_itable_init=0,lazy_journal_init=0,root_owner=0:0";

/// Makes an image with the content of a folder.
pub(super) async fn image(
    to: &Path,
    content: Option<&Path>,
    bytes: u64,
    options: &[&str],
) -> Result<(), GuestError> {
    let file = |error| GuestError::file("make", to, error);
    fs_err::File::create(to)
        .and_then(|image| image.set_len(bytes))
        .map_err(file)?;
    // What an unprivileged user unpacked would belong to that user in the guest, too; in a user namespace of its
    // own, mkfs takes it for root's.
    let mapped = !rustix::process::geteuid().is_root() && find("unshare").is_some();
    let mkfs = find("mkfs.ext4").ok_or_else(|| GuestError::missing("mkfs.ext4", "e2fsprogs"))?;
    let tool = Tool {
        program: if mapped { "unshare" } else { "mkfs.ext4" },
        package: if mapped { "util-linux" } else { "e2fsprogs" },
        what: "make a disk image",
        deadline: Duration::from_secs(300),
    };
    let configure = |command: &mut tokio::process::Command| {
        if mapped {
            command.arg("--map-root-user").arg(mkfs);
        }
        command
            .args(["-q", "-F", "-m", "0", "-E", AT_ONCE])
            .args(options);
        if let Some(content) = content {
            command.arg("-d").arg(content);
        }
        command.arg(to);
    };
    tool.run(configure, None, to).await?;
    Ok(())
}

/// Makes an empty data disk at `path`: ext4 with its journal, so that what was fsynced outlives a power cut. The file is
/// sparse and is the caller's.
///
/// # Errors
/// When mkfs.ext4 is missing or the disk is full.
pub async fn make_data_disk(path: &Path, bytes: u64) -> Result<(), GuestError> {
    // 65536 inodes carry a node with images; the default would write 16 MiB more of them each GiB.
    image(path, None, bytes, &["-L", "assay-data", "-N", "65536"]).await
}

/// An image with these programs (name in the guest, file here), for the guest to mount read-only at `/opt/assay`. It is
/// cached by their content; give each guest the same file, read-only.
///
/// # Errors
/// When a program cannot be read, mkfs.ext4 is missing, or the disk is full.
pub async fn programs_image(
    cache: &Cache,
    programs: &[(&str, &Path)],
) -> Result<PathBuf, GuestError> {
    let mut parts = vec!["programs-1".to_owned()];
    for (name, path) in programs {
        let path = path.to_path_buf();
        let sum = tokio::task::spawn_blocking(move || {
            sum_of(&path).map_err(|error| GuestError::file("read", &path, error))
        })
        .await
        .context("failed to sum a program")??;
        parts.extend([(*name).to_owned(), sum]);
    }
    let store = Store::in_cache(cache);
    let key = key_of(parts.iter().map(String::as_str));
    let to = store.place("programs", &format!("{key}.ext4"))?;
    if to.is_file() {
        return Ok(to);
    }
    let workshop = store.workshop()?;
    let tree = workshop.path().join("tree");
    let made = workshop.path().join("programs.ext4");
    let mut bytes = 0;
    fs_err::create_dir(&tree).map_err(|error| GuestError::file("make", &tree, error))?;
    for (name, path) in programs {
        let copy = tree.join(name);
        bytes +=
            copy_program(path, &copy).map_err(|error| GuestError::file("copy", path, error))?;
    }
    let size = (bytes + bytes / 50 + 4 * MIB).next_multiple_of(MIB);
    image(
        &made,
        Some(&tree),
        size,
        &["-L", "assay-programs", "-O", "^has_journal", "-N", "64"],
    )
    .await?;
    workshop.deliver(&made, &to)?;
    Ok(to)
}

fn copy_program(from: &Path, to: &Path) -> std::io::Result<u64> {
    use std::os::unix::fs::PermissionsExt;
    let bytes = fs_err::copy(from, to)?;
    fs_err::set_permissions(to, std::fs::Permissions::from_mode(0o755))?;
    Ok(bytes)
}
