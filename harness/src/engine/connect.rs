//! Finding the engine and asking it who it is.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::core::client::docker_client_instance;

/// How long an engine may take to say who it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(20);

/// An engine that answers, on this machine.
#[derive(Debug, Clone)]
pub struct Engine {
    /// The client.
    pub docker: Docker,
    /// Its address, `unix://` and a path.
    pub address: String,
    /// Its version, for the record.
    pub version: String,
    /// Whether it runs without root: then its bridges are not reachable from here.
    pub rootless: bool,
    /// Whether it is Podman.
    pub podman: bool,
}

/// The address at which an engine is looked for: `DOCKER_HOST`, else the first of Docker's usual sockets that
/// exists, else Docker's default. It is what testcontainers chooses, too.
#[must_use]
pub fn address() -> String {
    if let Ok(given) = std::env::var("DOCKER_HOST") {
        return given;
    }
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let rootless = [
        folder("XDG_RUNTIME_DIR").map(|dir| dir.join(".docker/run/docker.sock")),
        folder("HOME").map(|dir| dir.join(".docker/run/docker.sock")),
        folder("HOME").map(|dir| dir.join(".docker/desktop/docker.sock")),
    ];
    std::iter::once(PathBuf::from("/var/run/docker.sock"))
        .chain(rootless.into_iter().flatten())
        .find(|path| path.exists())
        .map_or_else(
            || "unix:///var/run/docker.sock".to_owned(),
            |path| format!("unix://{}", path.display()),
        )
}

/// Looks whether something listens at the engine's address, without asking it anything.
///
/// # Errors
/// A sentence: why no engine can be used from here, and what to do.
pub fn look(address: &str) -> Result<PathBuf, String> {
    let Some(path) = address.strip_prefix("unix://").map(PathBuf::from) else {
        return Err(if address.is_empty() {
            "DOCKER_HOST is set to nothing; unset it, or set it to unix:// and the engine's socket"
                .into()
        } else {
            format!(
                "the engine at {address} is reached over a network: its containers' cgroups cannot be read from \
                 here, so that nothing could be measured; run assay on that machine with DOCKER_HOST unset"
            )
        });
    };
    match UnixStream::connect(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(absent(&path)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(format!(
            "the container engine at {} may not be used by this user; run as root, or join the group that owns \
             the socket (`usermod -aG docker <user>`) and log in again",
            path.display()
        )),
        Err(error) => Err(format!(
            "no container engine answers at {} ({error}); start it (`systemctl start docker`, or `dockerd`)",
            path.display()
        )),
    }
}

fn absent(path: &Path) -> String {
    let podman = [
        Some(PathBuf::from("/run/podman/podman.sock")),
        std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("podman/podman.sock")),
    ];
    if let Some(socket) = podman.into_iter().flatten().find(|socket| socket.exists()) {
        return format!(
            "no container engine at {}, but Podman's socket is {1}; set DOCKER_HOST=unix://{1}",
            path.display(),
            socket.display()
        );
    }
    let next = if crate::host::on_path("dockerd").is_some() {
        "Docker is installed but not running: start it (`systemctl start docker`, or `dockerd`)"
    } else {
        "run `assay doctor --fix`, or set DOCKER_HOST to its socket"
    };
    format!("no container engine at {}: {next}", path.display())
}

impl Engine {
    /// Connects to the engine of this machine.
    ///
    /// # Errors
    /// A sentence: why there is none, and what to do.
    pub async fn connect() -> Result<Self, String> {
        let address = address();
        look(&address)?;
        let docker = docker_client_instance().await.map_err(|error| {
            format!("failed to make a client of the engine at {address}: {error}")
        })?;
        let asked = async { Ok::<_, Error>((docker.version().await?, docker.info().await?)) };
        let (version, info) = tokio::time::timeout(ANSWER_WITHIN, asked)
            .await
            .map_err(|_| {
                format!(
                    "the container engine at {address} did not say who it is within {ANSWER_WITHIN:?}; look at \
                     its log, or restart it"
                )
            })?
            .map_err(|error| {
                format!("what listens at {address} is no container engine that assay understands ({error})")
            })?;
        let options = info.security_options.unwrap_or_default();
        let components = version.components.unwrap_or_default();
        Ok(Self {
            docker,
            address,
            version: version.version.unwrap_or_default(),
            rootless: options.iter().any(|option| option.contains("rootless")),
            podman: components.iter().any(|part| part.name.contains("Podman")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_engine_of_this_machine_has_its_sentence() {
        let remote = look("tcp://10.0.0.9:2375").unwrap_err();
        assert!(remote.contains("cgroups cannot be read"), "{remote}");
        assert!(look("ssh://pi@board").unwrap_err().contains("network"));
        assert!(look("").unwrap_err().contains("unset"));
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("docker.sock");
        let at = |path: &Path| look(&format!("unix://{}", path.display()));
        assert!(at(&missing).unwrap_err().contains("no container engine at"));
        std::fs::write(&missing, "").unwrap();
        assert!(at(&missing).unwrap_err().contains("start it"));
        let there = folder.path().join("there.sock");
        let _listening = std::os::unix::net::UnixListener::bind(&there).unwrap();
        assert_eq!(at(&there).unwrap(), there);
    }
}
