//! The tree of the guest's root disk: packages unpacked, names that maintainer scripts would have made, our files.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::bundle::{APPLETS, Bundle};
use super::error::GuestError;
use super::modules;
use super::tool::Tool;

/// What no program in the guest reads; a quarter of the tree.
const LEFT_OUT: &[&str] = &[
    "./usr/share/doc",
    "./usr/share/man",
    "./usr/share/locale",
    "./usr/share/lintian",
    "./usr/share/bug",
    "./usr/share/bash-completion",
    "./usr/lib/*/gconv",
    "./usr/lib/debug",
];

/// Unpacks a package. dpkg's own `-x` would replace the links of a merged /usr by folders.
///
/// # Errors
/// When dpkg-deb or tar is missing or fails.
pub(super) async fn unpack(deb: &Path, into: &Path) -> Result<(), GuestError> {
    let what = format!("unpack {}", deb.display());
    let deadline = Duration::from_secs(120);
    let read = Tool {
        program: "dpkg-deb",
        package: "dpkg",
        what: &what,
        deadline,
    };
    let archive = read
        .run(
            |command| {
                command.arg("--fsys-tarfile").arg(deb);
            },
            None,
            into,
        )
        .await?;
    let write = Tool {
        program: "tar",
        package: "tar",
        what: &what,
        deadline,
    };
    let configure = |command: &mut tokio::process::Command| {
        command
            .args([
                "-x",
                "--keep-directory-symlink",
                "--no-same-owner",
                "-f",
                "-",
                "-C",
            ])
            .arg(into);
        command.args(
            LEFT_OUT
                .iter()
                .map(|pattern| format!("--exclude={pattern}")),
        );
    };
    write.run(configure, Some(archive), into).await?;
    Ok(())
}

/// The folders and links that packages expect to find.
///
/// # Errors
/// When they cannot be made.
pub(super) fn skeleton(root: &Path) -> std::io::Result<()> {
    let folders = [
        "usr/bin",
        "usr/sbin",
        "usr/lib",
        "proc",
        "sys",
        "dev",
        "run",
        "tmp",
        "etc",
        "var/lib",
        "var/log",
        "root",
        "data",
        "opt/assay",
    ];
    for folder in folders {
        fs_err::create_dir_all(root.join(folder))?;
    }
    for name in ["bin", "sbin", "lib"] {
        symlink(format!("usr/{name}"), root.join(name))?;
    }
    symlink("../run", root.join("var/run"))
}

/// What the packages' scripts would have done, and our own files.
///
/// # Errors
/// When something cannot be written.
pub(super) fn furnish(root: &Path, bundle: Bundle) -> std::io::Result<()> {
    for applet in APPLETS {
        let places = ["usr/bin", "usr/sbin"].map(|folder| root.join(folder).join(applet));
        if places.iter().all(|place| place.symlink_metadata().is_err()) {
            symlink("busybox", &places[0])?;
        }
    }
    if bundle == Bundle::Node {
        // update-alternatives makes these names, and kube-proxy does not run without them.
        for family in ["iptables", "ip6tables"] {
            for suffix in ["", "-save", "-restore"] {
                symlink(
                    format!("{family}-nft{suffix}"),
                    root.join(format!("usr/sbin/{family}{suffix}")),
                )?;
            }
        }
        fs_err::create_dir_all(root.join("opt/cni"))?;
        symlink("/usr/lib/cni", root.join("opt/cni/bin"))?;
    }
    for (path, mode, content) in fixtures::guest::ROOT_FILES {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            fs_err::create_dir_all(folder)?;
        }
        fs_err::write(&path, content)?;
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(*mode))?;
    }
    certificates(root)
}

/// ca-certificates' script concatenates what its configuration lists; all of them here.
fn certificates(root: &Path) -> std::io::Result<()> {
    let Ok(entries) = fs_err::read_dir(root.join("usr/share/ca-certificates/mozilla")) else {
        return Ok(());
    };
    let mut files: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    let mut all = String::new();
    for file in files {
        all.push_str(&fs_err::read_to_string(file)?);
    }
    fs_err::create_dir_all(root.join("etc/ssl/certs"))?;
    fs_err::write(root.join("etc/ssl/certs/ca-certificates.crt"), all)
}

/// An unpacked kernel.
pub(super) struct Kernel {
    /// Its release, as `uname -r` tells it.
    pub release: String,
    /// Its image.
    pub image: PathBuf,
    /// The folder with `kernel/…` and `modules.builtin`.
    folder: PathBuf,
    /// Modules by name: their file relative to the folder.
    files: BTreeMap<String, String>,
    builtin: BTreeSet<String>,
}

impl Kernel {
    /// Looks through an unpacked package of a kernel.
    ///
    /// # Errors
    /// When it holds no kernel or not exactly one.
    pub(super) fn open(tree: &Path) -> anyhow::Result<Self> {
        let parent = ["usr/lib/modules", "lib/modules"].map(|place| tree.join(place));
        let parent = parent
            .iter()
            .find(|place| place.is_dir())
            .context("failed to find modules in the kernel's package")?;
        let releases: Vec<_> = fs_err::read_dir(parent)?
            .flatten()
            .map(|entry| entry.file_name())
            .collect();
        let [release] = releases.as_slice() else {
            anyhow::bail!(
                "failed to tell the kernel's release: its package has {} folders of modules",
                releases.len()
            );
        };
        let release = release.to_string_lossy().into_owned();
        let folder = parent.join(&release);
        let builtin = fs_err::read_to_string(folder.join("modules.builtin"))?;
        let listed = fs_err::read_to_string(folder.join("modules.order"))?;
        let mut files = BTreeMap::new();
        for line in listed.lines() {
            // The list has the names before compression.
            let file = ["", ".xz", ".zst"].map(|suffix| format!("{line}{suffix}"));
            if let (Some(name), Some(file)) = (
                modules::name_of(line),
                file.into_iter().find(|file| folder.join(file).is_file()),
            ) {
                files.insert(name, file);
            }
        }
        let image = tree.join(format!("boot/vmlinuz-{release}"));
        anyhow::ensure!(
            image.is_file(),
            "failed to find {} in the kernel's package",
            image.display()
        );
        Ok(Self {
            builtin: builtin.lines().filter_map(modules::name_of).collect(),
            release,
            image,
            folder,
            files,
        })
    }

    /// A module's object, decompressed.
    async fn object(&self, name: &str) -> Result<Vec<u8>, GuestError> {
        let file = self.files.get(name).with_context(|| {
            format!(
                "failed to find the kernel module {name}: {} neither has it nor has it built in",
                self.release
            )
        })?;
        let path = self.folder.join(file);
        let packer = match path.extension().and_then(|extension| extension.to_str()) {
            Some("xz") => Some(("xz", "xz-utils")),
            Some("zst") => Some(("zstd", "zstd")),
            _ => None,
        };
        let Some((program, package)) = packer else {
            return fs_err::read(&path).map_err(|error| GuestError::file("read", &path, error));
        };
        let tool = Tool {
            program,
            package,
            what: "decompress a kernel module",
            deadline: Duration::from_secs(60),
        };
        tool.run(
            |command| {
                command.arg("-dc").arg(&path);
            },
            None,
            &path,
        )
        .await
    }

    /// These modules and all that they need, with what each says of itself.
    async fn gather(&self, wanted: &[&str]) -> Result<Gathered, GuestError> {
        let mut gathered = Gathered::default();
        let mut open: Vec<String> = wanted.iter().map(|name| (*name).to_owned()).collect();
        while let Some(name) = open.pop() {
            if self.builtin.contains(&name) || gathered.infos.contains_key(&name) {
                continue;
            }
            let object = self.object(&name).await?;
            let info = modules::read_info(&object)
                .with_context(|| format!("failed to read the kernel module {name}"))?;
            open.extend(info.depends.iter().cloned());
            gathered.infos.insert(name.clone(), info);
            gathered.objects.insert(name, object);
        }
        Ok(gathered)
    }

    /// The modules of the initramfs: name and object, in the order in which they load.
    ///
    /// # Errors
    /// When one is missing.
    pub(super) async fn boot_modules(
        &self,
        wanted: &[&str],
    ) -> Result<Vec<(String, Vec<u8>)>, GuestError> {
        let mut gathered = self.gather(wanted).await?;
        let depends = gathered
            .infos
            .iter()
            .map(|(name, info)| (name.clone(), info.depends.clone()))
            .collect();
        let order = modules::order(wanted, &depends, &self.builtin)?;
        let take = |name: String| gathered.objects.remove(&name).map(|object| (name, object));
        Ok(order.into_iter().filter_map(take).collect())
    }

    /// Puts modules into a root, uncompressed and indexed for modprobe: whole folders and what they need.
    ///
    /// # Errors
    /// When one is missing or cannot be written.
    pub(super) async fn install(&self, folders: &[&str], root: &Path) -> Result<(), GuestError> {
        let wanted: Vec<&str> = self
            .files
            .iter()
            .filter(|(_, file)| folders.iter().any(|folder| file.starts_with(folder)))
            .map(|(name, _)| name.as_str())
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let gathered = self.gather(&wanted).await?;
        let to = root.join("usr/lib/modules").join(&self.release);
        let mut files = BTreeMap::new();
        for (name, object) in &gathered.objects {
            let file = format!("kernel/{name}.ko");
            let path = to.join(&file);
            fs_err::create_dir_all(to.join("kernel"))
                .and_then(|()| fs_err::write(&path, object))
                .map_err(|error| GuestError::file("write", &path, error))?;
            files.insert(name.clone(), file);
        }
        let chosen: Vec<_> = gathered.infos.keys().cloned().collect();
        let (dep, alias) = modules::index(&chosen, &files, &gathered.infos, &self.builtin)?;
        let builtin: String = self
            .builtin
            .iter()
            .map(|name| format!("kernel/{name}.ko\n"))
            .collect();
        for (name, text) in [
            ("modules.dep", dep),
            ("modules.alias", alias),
            ("modules.symbols", String::new()),
            ("modules.builtin", builtin),
        ] {
            let path = to.join(name);
            fs_err::write(&path, text).map_err(|error| GuestError::file("write", &path, error))?;
        }
        Ok(())
    }
}

#[derive(Default)]
struct Gathered {
    infos: BTreeMap<String, modules::ModuleInfo>,
    objects: BTreeMap<String, Vec<u8>>,
}
