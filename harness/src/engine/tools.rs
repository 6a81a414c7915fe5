//! Programs that a node's image needs besides the server: this host's own where it has them, for a host with a
//! container engine has most; else from its Debian packages, fetched and verified by apt.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::artifact::Cache;

/// Where a program may come from.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// Its file's name.
    pub name: &'static str,
    /// Folders of the host in which it is looked for; empty: `PATH` and the system's own. Not both, for names such as
    /// `bridge` mean another program there.
    pub folders: &'static [&'static str],
    /// The Debian package that has it.
    pub package: &'static str,
    /// Its paths in the package.
    pub inside: &'static [&'static str],
    /// Whether it must need no library.
    pub is_static: bool,
}

/// Where a user's `PATH` may not lead.
const SYSTEM: &[&str] = &["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Finds a program.
///
/// # Errors
/// When neither the host nor apt has it; says what to install.
pub fn find(tool: &Tool) -> Result<PathBuf> {
    let fits = |path: &PathBuf| {
        path.is_file()
            && super::userland::needs(path).is_ok_and(|n| !tool.is_static || n.is_empty())
    };
    let in_folder = |folder: &&str| Path::new(folder).join(tool.name);
    let found = if tool.folders.is_empty() {
        let system = SYSTEM.iter().map(in_folder);
        crate::host::on_path(tool.name)
            .into_iter()
            .chain(system)
            .find(fits)
    } else {
        tool.folders.iter().map(in_folder).find(fits)
    };
    if let Some(found) = found {
        return Ok(found);
    }
    let package = package(tool.package).with_context(|| {
        format!(
            "failed to find {}, which a node needs; install the package {}",
            tool.name, tool.package
        )
    })?;
    tool.inside
        .iter()
        .map(|path| package.join(path))
        .find(fits)
        .with_context(|| {
            format!(
                "failed to find {} in the package {}",
                tool.name, tool.package
            )
        })
}

/// A Debian package of the host's release, unpacked in the cache. Nothing is installed.
fn package(name: &str) -> Result<PathBuf> {
    let root = Cache::of_user().root().join("packages");
    fs_err::create_dir_all(&root)?;
    let version = run(Command::new("apt-cache").args(["show", "--no-all-versions", name]))?;
    let version = version
        .lines()
        .find_map(|line| line.strip_prefix("Version: "))
        .with_context(|| format!("apt knows no package {name}; run `apt-get update`"))?
        .replace([':', '/'], "_");
    let unpacked = root.join(format!("{name}_{version}_{}", std::env::consts::ARCH));
    if unpacked.is_dir() {
        return Ok(unpacked);
    }
    // Beside its final place, so that a half-unpacked one is never taken for whole.
    let scratch = root.join(format!(".{name}.{}", std::process::id()));
    let made = fetch(name, &scratch).and_then(|()| {
        match std::fs::rename(scratch.join("files"), &unpacked) {
            Err(error) if !unpacked.is_dir() => {
                Err(error).with_context(|| format!("failed to make {}", unpacked.display()))
            }
            _ => Ok(()),
        }
    });
    let _ = std::fs::remove_dir_all(&scratch);
    made.map(|()| unpacked)
}

fn fetch(name: &str, scratch: &Path) -> Result<()> {
    let _ = std::fs::remove_dir_all(scratch);
    fs_err::create_dir_all(scratch.join("files"))?;
    run(Command::new("apt-get")
        .args(["-q", "-o", "APT::Sandbox::User=root", "download", name])
        .current_dir(scratch))?;
    let archive = fs_err::read_dir(scratch)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt fetched no package")?;
    run(Command::new("dpkg-deb")
        .arg("--extract")
        .arg(archive)
        .arg(scratch.join("files")))?;
    Ok(())
}

fn run(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("LC_ALL", "C")
        .stdin(std::process::Stdio::null())
        .output()
        .with_context(|| format!("failed to run {name}; is this a Debian system?"))?;
    ensure!(
        output.status.success(),
        "{name} failed: {}",
        crate::text::tame(String::from_utf8_lossy(&output.stderr).trim())
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_s_own_program_is_taken_and_a_missing_one_names_its_package() {
        let tool = Tool {
            name: "sh",
            folders: &[],
            package: "dash",
            inside: &[],
            is_static: false,
        };
        assert!(find(&tool).unwrap().is_file());
        let missing = Tool {
            name: "no-such-program-of-assay",
            package: "no-such-package-of-assay",
            ..tool
        };
        let words = format!("{:#}", find(&missing).unwrap_err());
        assert!(
            words.contains("install the package no-such-package-of-assay"),
            "{words}"
        );
    }
}
