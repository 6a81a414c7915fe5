//! Builds a guest from packages, or finds one that was built.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use super::apt::{Apt, Package};
use super::args::GuestArgs;
use super::bundle::{BOOT_MODULES, Bundle, KERNEL};
use super::cpio::Cpio;
use super::disk;
use super::error::GuestError;
use super::manifest::Manifest;
use super::root::{self, Kernel};
use super::sources;
use super::store::{Store, Workshop, key_of, sum_of};
use crate::artifact::Cache;

/// Raised with each change of how images are made.
const FORMAT: &str = "guest-1";
/// Space of the root disk beyond its content; the file is sparse.
const SPARE_BYTES: u64 = 256 << 20;

/// A guest that can be booted. The files are shared between runs: never write to them, and give each machine the root
/// disk through an overlay or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The kernel's image.
    pub kernel: PathBuf,
    /// Its initramfs.
    pub initramfs: PathBuf,
    /// The root disk: ext4 with a journal.
    pub root: PathBuf,
    /// What it consists of; `None` for images of the user's own.
    pub manifest: Option<Manifest>,
}

/// The guest of this bundle: the user's own, a built one from the cache, or a new one.
///
/// # Errors
/// When the host cannot build one, or building it fails.
pub async fn prepare(
    args: &GuestArgs,
    bundle: Bundle,
    cache: &Cache,
) -> Result<Images, GuestError> {
    if let Some(folder) = &args.guest_bundle {
        return in_folder(folder)
            .with_context(|| {
                format!(
                    "failed to use the guest in {}; name another with --guest-bundle",
                    folder.display()
                )
            })
            .map_err(GuestError::Failed);
    }
    if let (Some(kernel), Some(initramfs), Some(root)) =
        (&args.guest_kernel, &args.guest_initramfs, &args.guest_root)
    {
        for file in [kernel, initramfs, root] {
            fs_err::File::open(file).map_err(|error| GuestError::file("open", file, error))?;
        }
        return Ok(Images {
            kernel: kernel.clone(),
            initramfs: initramfs.clone(),
            root: root.clone(),
            manifest: None,
        });
    }
    let sources = sources_of(args)?;
    let store = Store::in_cache(cache);
    let recipe = recipe(bundle, &sources);
    let pointer = store.place("recipes", &recipe)?;
    if !args.guest_refresh
        && let Ok(key) = fs_err::read_to_string(&pointer)
        && let Ok(images) = in_folder(&store.place("images", key.trim())?)
    {
        return Ok(images);
    }
    let workshop = store.workshop()?;
    let key = build(bundle, &sources, &recipe, &store, &workshop).await?;
    let note = workshop.path().join("recipe");
    fs_err::write(&note, &key).map_err(|error| GuestError::file("write", &note, error))?;
    workshop.deliver(&note, &pointer)?;
    Ok(in_folder(&store.place("images", &key)?)?)
}

fn sources_of(args: &GuestArgs) -> Result<String, GuestError> {
    if let Some(file) = &args.guest_sources {
        let text =
            fs_err::read_to_string(file).map_err(|error| GuestError::file("read", file, error))?;
        return Ok(sources::parse_deb822(&text)
            .iter()
            .map(sources::Source::stanza)
            .collect());
    }
    let release = fs_err::read_to_string("/etc/os-release").unwrap_or_default();
    let codename = sources::debian_codename(&release).ok_or_else(|| {
        GuestError::Unavailable(
            "no guest on a host that is not Debian: give a built one with --guest-bundle, or Debian's sources with --guest-sources".into(),
        )
    })?;
    let own = sources::of_host(Path::new("/etc/apt"), &codename);
    if own.is_empty() {
        return Err(GuestError::Unavailable(format!(
            "no guest without apt's sources of {codename}: /etc/apt names none; give them with --guest-sources, or a built guest with --guest-bundle"
        )));
    }
    Ok(own.iter().map(sources::Source::stanza).collect())
}

/// The key of what is to be built, known without the network.
fn recipe(bundle: Bundle, sources: &str) -> String {
    let name = bundle.to_string();
    let mut parts = vec![
        FORMAT,
        &name,
        KERNEL,
        sources,
        fixtures::guest::INITRAMFS_INIT,
    ];
    parts.extend(bundle.packages());
    parts.extend(bundle.module_folders());
    parts.extend(BOOT_MODULES);
    for (path, _, content) in fixtures::guest::ROOT_FILES {
        parts.extend([*path, *content]);
    }
    key_of(parts)
}

async fn build(
    bundle: Bundle,
    sources: &str,
    recipe: &str,
    store: &Store,
    workshop: &Workshop,
) -> Result<String, GuestError> {
    // Told before anything is downloaded.
    for (program, package) in [
        ("mkfs.ext4", "e2fsprogs"),
        ("dpkg-deb", "dpkg"),
        ("tar", "tar"),
    ] {
        super::tool::find(program).ok_or_else(|| GuestError::missing(program, package))?;
    }
    let at = |name: &str| workshop.path().join(name);
    let make = |path: &Path| {
        fs_err::create_dir(path).map_err(|error| GuestError::file("make", path, error))
    };
    make(&at("apt"))?;
    let apt = Apt::open(&at("apt"), sources).await?;
    let kernel_package = apt.kernel().await?;
    let mut packages = apt.closure(&bundle.packages()).await?;
    let sums = packages.iter().chain([&kernel_package]);
    let lock: String = sums
        .map(|p| format!("{}={} {}\n", p.name, p.version, p.sha256))
        .collect();
    let key = key_of([recipe, &lock]);
    let to = store.place("images", &key)?;
    if in_folder(&to).is_ok() {
        return Ok(key);
    }
    let wanted: Vec<&Package> = packages.iter().chain([&kernel_package]).collect();
    fetch(&apt, store, workshop, &wanted).await?;

    let (tree, kernel_tree, out) = (at("root"), at("kernel"), at("out"));
    for folder in [&tree, &kernel_tree, &out] {
        make(folder)?;
    }
    root::skeleton(&tree).map_err(|error| GuestError::file("write", &tree, error))?;
    for package in &packages {
        root::unpack(&deb(store, package)?, &tree).await?;
    }
    root::unpack(&deb(store, &kernel_package)?, &kernel_tree).await?;
    let kernel = Kernel::open(&kernel_tree)?;
    root::furnish(&tree, bundle).map_err(|error| GuestError::file("write", &tree, error))?;
    kernel.install(bundle.module_folders(), &tree).await?;

    let busybox = tree.join("usr/bin/busybox");
    let busybox =
        fs_err::read(&busybox).map_err(|error| GuestError::file("read", &busybox, error))?;
    let initramfs = initramfs(&busybox, kernel.boot_modules(BOOT_MODULES).await?);
    let write = |path: PathBuf, content: &[u8]| {
        fs_err::write(&path, content).map_err(|error| GuestError::file("write", &path, error))
    };
    write(out.join("initramfs"), &initramfs)?;
    fs_err::copy(&kernel.image, out.join("kernel"))
        .map_err(|error| GuestError::file("copy", &kernel.image, error))?;
    let size = (size_of(&tree) + SPARE_BYTES).next_multiple_of(1 << 20);
    disk::image(
        &out.join("root.ext4"),
        Some(&tree),
        size,
        &["-L", "assay-root"],
    )
    .await?;

    packages.push(kernel_package);
    packages.sort();
    let lengths = lengths(&out).map_err(|error| GuestError::file("read", &out, error))?;
    let manifest = Manifest {
        key: key.clone(),
        bundle: bundle.to_string(),
        kernel: kernel.release,
        packages,
        lengths,
    };
    let text =
        serde_json::to_vec_pretty(&manifest).context("failed to write the guest's manifest")?;
    write(out.join("manifest.json"), &text)?;
    for name in FILES {
        // Whoever opens a cached image for writing is mistaken; root alone is not stopped by this.
        let path = out.join(name);
        fs_err::set_permissions(&path, std::fs::Permissions::from_mode(0o444))
            .map_err(|error| GuestError::file("write", &path, error))?;
    }
    if to.exists() {
        // What is there is not whole, or it would have been taken.
        fs_err::remove_dir_all(&to).map_err(|error| GuestError::file("remove", &to, error))?;
    }
    workshop.deliver(&out, &to)?;
    Ok(key)
}

fn initramfs(busybox: &[u8], modules: Vec<(String, Vec<u8>)>) -> Vec<u8> {
    let mut cpio = Cpio::new();
    for folder in ["bin", "proc", "sys", "dev", "new", "ro", "rw", "modules"] {
        cpio.folder(folder);
    }
    // Without it, what init says before devtmpfs is there is lost.
    cpio.device("dev/console", 0o600, 5, 1);
    cpio.file("init", 0o755, fixtures::guest::INITRAMFS_INIT.as_bytes());
    cpio.file("bin/busybox", 0o755, busybox);
    let order: String = modules
        .iter()
        .map(|(name, _)| format!("{name}.ko\n"))
        .collect();
    cpio.file("modules/order", 0o644, order.as_bytes());
    for (name, object) in modules {
        cpio.file(&format!("modules/{name}.ko"), 0o644, &object);
    }
    cpio.finish()
}

fn deb(store: &Store, package: &Package) -> Result<PathBuf, GuestError> {
    store.place("debs", &format!("{}.deb", package.sha256))
}

/// Sees to it that the packages are in the store, each under the sum that the signed index gives.
async fn fetch(
    apt: &Apt,
    store: &Store,
    workshop: &Workshop,
    packages: &[&Package],
) -> Result<(), GuestError> {
    let mut missing = Vec::new();
    for package in packages {
        if !deb(store, package)?.is_file() {
            missing.push(*package);
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    for file in apt.download(&missing).await? {
        let sum = sum_of(&file).map_err(|error| GuestError::file("read", &file, error))?;
        if missing.iter().any(|package| package.sha256 == sum) {
            workshop.deliver(&file, &store.place("debs", &format!("{sum}.deb"))?)?;
        }
    }
    for package in missing {
        if !deb(store, package)?.is_file() {
            let error = anyhow::anyhow!(
                "failed to download {}={}: nothing with the sum of the signed index arrived; try again",
                package.name,
                package.version
            );
            return Err(error.into());
        }
    }
    Ok(())
}

const FILES: [&str; 3] = ["kernel", "initramfs", "root.ext4"];

fn lengths(folder: &Path) -> std::io::Result<[u64; 3]> {
    let mut lengths = [0; 3];
    for (length, name) in lengths.iter_mut().zip(FILES) {
        *length = fs_err::metadata(folder.join(name))?.len();
    }
    Ok(lengths)
}

/// A built guest in a folder.
fn in_folder(folder: &Path) -> anyhow::Result<Images> {
    let found = lengths(folder)?;
    let manifest = folder.join("manifest.json");
    let manifest: Option<Manifest> = match fs_err::read(&manifest) {
        Ok(text) => {
            Some(serde_json::from_slice(&text).context("manifest.json is none of assay's")?)
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(manifest) = &manifest {
        anyhow::ensure!(
            manifest.lengths == found,
            "its files have {found:?} bytes where its manifest says {:?}",
            manifest.lengths
        );
    }
    let [kernel, initramfs, root] = FILES.map(|name| folder.join(name));
    Ok(Images {
        kernel,
        initramfs,
        root,
        manifest,
    })
}

/// The bytes of a tree, each file rounded up to its blocks.
fn size_of(tree: &Path) -> u64 {
    let Ok(entries) = fs_err::read_dir(tree) else {
        return 0;
    };
    let entry = |entry: fs_err::DirEntry| match entry.metadata() {
        Ok(meta) if meta.is_dir() => 4096 + size_of(&entry.path()),
        Ok(meta) => meta.len().next_multiple_of(4096) + 256,
        Err(_) => 0,
    };
    entries.flatten().map(entry).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_was_cut_short_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs_err::write(folder.path().join(name), "12345").unwrap();
        }
        assert!(
            in_folder(folder.path()).unwrap().manifest.is_none(),
            "a user's own needs none"
        );
        let mut manifest = Manifest {
            key: "k".into(),
            bundle: "base".into(),
            kernel: "6.1".into(),
            packages: Vec::new(),
            lengths: [5; 3],
        };
        let write = |manifest: &Manifest| {
            let text = serde_json::to_vec(manifest).unwrap();
            fs_err::write(folder.path().join("manifest.json"), text).unwrap();
        };
        write(&manifest);
        assert!(in_folder(folder.path()).is_ok());
        manifest.lengths[1] = 6;
        write(&manifest);
        assert!(in_folder(folder.path()).is_err());
    }

    #[test]
    fn the_recipe_tells_bundles_and_sources_apart() {
        let keys = [
            recipe(Bundle::Base, "a"),
            recipe(Bundle::Etcd, "a"),
            recipe(Bundle::Base, "b"),
        ];
        assert!(keys[0] != keys[1] && keys[0] != keys[2]);
        assert_eq!(keys[0], recipe(Bundle::Base, "a"));
    }
}
