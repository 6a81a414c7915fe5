//! Images that assay makes from files of this machine, and loads into the engine.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::archive::{self, ImageConfig};
use super::tar::Tar;
use super::{Engine, Held, LABEL, upload, userland};

/// What goes into an image: files by their path in it, relative.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Files of this machine, as they are.
    files: BTreeMap<String, PathBuf>,
    /// Files written here, with their mode.
    texts: BTreeMap<String, (u32, String)>,
    /// Symbolic links.
    links: BTreeMap<String, String>,
}

impl Content {
    /// Nothing at all, for an image of one static program.
    #[must_use]
    pub fn bare() -> Self {
        Self::default()
    }

    /// The least that programs expect to find: users, temporary folders, no name service but files and DNS.
    #[must_use]
    pub fn base() -> Self {
        let mut content = Self::default();
        content.text("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/false\n");
        content.text("etc/group", 0o644, "root:x:0:\n");
        content.text("etc/nsswitch.conf", 0o644, "hosts: files dns\n");
        content.link("var/run", "../run");
        content
    }

    /// Adds a program of this machine at a path such as `bin/k3s`, with the libraries that it needs.
    ///
    /// # Errors
    /// When it cannot be read, or lacks a library.
    pub fn program(&mut self, path: &str, program: &Path) -> Result<()> {
        self.file(path, program);
        for library in userland::needs(program)? {
            self.file(&relative(&library)?, &library);
        }
        Ok(())
    }

    /// Adds a file of this machine; symbolic links to it are followed.
    pub fn file(&mut self, path: &str, source: &Path) {
        self.files.insert(path.to_owned(), source.to_owned());
    }

    /// Adds a file of this text.
    pub fn text(&mut self, path: &str, mode: u32, text: &str) {
        self.texts.insert(path.to_owned(), (mode, text.to_owned()));
    }

    /// Adds a symbolic link.
    pub fn link(&mut self, path: &str, to: &str) {
        self.links.insert(path.to_owned(), to.to_owned());
    }

    /// Writes it as a layer.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn write(&self, into: &Path) -> Result<()> {
        let file = File::create(into)
            .with_context(|| format!("failed to make {}; free some disk", into.display()))?;
        let mut tar = Tar::new(BufWriter::new(file));
        for (folder, mode) in self.folders() {
            tar.folder(&folder, mode)?;
        }
        for (path, (mode, text)) in &self.texts {
            tar.file(path, *mode, text.as_bytes())?;
        }
        for (path, to) in &self.links {
            tar.link(path, to)?;
        }
        for (path, source) in &self.files {
            let shown = source.display();
            let file = File::open(source).with_context(|| format!("failed to open {shown}"))?;
            let about = file.metadata()?;
            ensure!(about.is_file(), "failed to pack {shown}: it is not a file");
            let mode = about.permissions().mode() & 0o755;
            tar.stream(path, mode, about.len(), BufReader::new(file))
                .with_context(|| format!("failed to pack {shown}; free some disk"))?;
        }
        tar.finish()
            .context("failed to end a layer; free some disk")?;
        Ok(())
    }

    /// Every folder on the way to a file, and those that programs expect to be there, parents first.
    fn folders(&self) -> BTreeMap<String, u32> {
        let mut folders: BTreeMap<String, u32> = [
            ("dev", 0o755),
            ("proc", 0o755),
            ("root", 0o700),
            ("run", 0o755),
            ("sys", 0o755),
            ("tmp", 0o1777),
            ("var", 0o755),
            ("var/lib", 0o755),
            ("var/log", 0o755),
            ("var/tmp", 0o1777),
        ]
        .map(|(path, mode)| (path.to_owned(), mode))
        .into();
        let paths = self
            .files
            .keys()
            .chain(self.texts.keys())
            .chain(self.links.keys());
        for path in paths {
            for (at, _) in path.match_indices('/') {
                folders.entry(path[..at].to_owned()).or_insert(0o755);
            }
        }
        folders
    }
}

/// This machine's architecture in the words of image configurations.
#[must_use]
pub fn architecture() -> String {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
    .to_owned()
}

/// `/lib/x.so` as `lib/x.so`.
fn relative(path: &Path) -> Result<String> {
    path.strip_prefix("/")
        .ok()
        .and_then(Path::to_str)
        .map(str::to_owned)
        .with_context(|| format!("failed to name {} in an image", path.display()))
}

/// An image that is packed and not loaded yet.
pub struct Packed {
    id: String,
    archive: PathBuf,
}

/// Packs an image. `scratch` is a folder for the archive, which goes when it is loaded.
///
/// # Errors
/// When a file cannot be read, or the disk is full.
pub async fn pack(held: &Held, content: Content, scratch: &Path) -> Result<Packed> {
    let (layer, archive) = (scratch.join("layer.tar"), scratch.join("image.tar"));
    let config = ImageConfig {
        reference: held.name.clone(),
        architecture: architecture(),
        entrypoint: Vec::new(),
        labels: vec![(LABEL.to_owned(), held.run.clone())],
    };
    let packing = tokio::task::spawn_blocking(move || {
        let packed = content
            .write(&layer)
            .and_then(|()| archive::write(&layer, &config, &archive));
        // Half the disk that both take together.
        let _ = std::fs::remove_file(&layer);
        if packed.is_err() {
            let _ = std::fs::remove_file(&archive);
        }
        packed.map(|id| Packed { id, archive })
    });
    packing
        .await
        .context("failed to pack an image")?
        .context("failed to make the container image")
}

/// Loads an image into the engine; it must stand in the ledger already. Returns the image's id.
///
/// # Errors
/// When the engine refuses.
pub async fn load(engine: &Engine, held: &Held, packed: Packed) -> Result<String> {
    let socket = engine.address.trim_start_matches("unix://");
    upload::send(socket, &held.name, packed.archive)
        .await
        .context("failed to make the container image")?;
    Ok(packed.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_has_its_folders_first_and_a_program_its_libraries() {
        let folder = tempfile::tempdir().unwrap();
        let layer = folder.path().join("layer.tar");
        let mut content = Content::base();
        content
            .program("bin/own", &std::env::current_exe().unwrap())
            .unwrap();
        content.text("opt/deep/er/file", 0o600, "x");
        content.write(&layer).unwrap();
        let listed = std::process::Command::new("tar")
            .arg("-tf")
            .arg(&layer)
            .output()
            .unwrap();
        let text = String::from_utf8(listed.stdout).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let at = |name: &str| lines.iter().position(|line| *line == name);
        for name in [
            "bin/own",
            "etc/passwd",
            "tmp/",
            "var/run",
            "opt/deep/er/file",
        ] {
            assert!(at(name).is_some(), "{name} in {text}");
        }
        assert!(
            at("opt/deep/er/") > at("opt/deep/") && at("opt/deep/er/") < at("opt/deep/er/file")
        );
        assert!(
            text.contains("libc.so") || !cfg!(target_env = "gnu"),
            "{text}"
        );
    }
}
