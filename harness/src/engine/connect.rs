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

/// Why no engine can be used from here, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}; {next}")]
pub struct NoEngine {
    /// What was found.
    pub reason: String,
    /// The next step.
    pub next: String,
    /// Whether an engine would have to be installed or started; otherwise there is one that cannot be used.
    pub absent: bool,
}

impl NoEngine {
    fn absent(reason: String, next: impl Into<String>) -> Self {
        Self {
            reason,
            next: next.into(),
            absent: true,
        }
    }

    fn unusable(reason: String, next: impl Into<String>) -> Self {
        Self {
            reason,
            next: next.into(),
            absent: false,
        }
    }
}

const START: &str = "start it (`systemctl start docker`, or `dockerd` as root)";

/// Looks whether something listens at the engine's address, without asking it anything. Returns its socket.
///
/// # Errors
/// When no engine can be used from here.
pub fn look(address: &str) -> Result<PathBuf, NoEngine> {
    let Some(path) = address.strip_prefix("unix://").map(PathBuf::from) else {
        return Err(if address.is_empty() {
            NoEngine::unusable(
                "DOCKER_HOST is set to nothing".into(),
                "unset it, or set it to unix:// and the engine's socket",
            )
        } else {
            NoEngine::unusable(
                format!(
                    "the engine at {address} is reached over a network: its containers' cgroups cannot be read \
                     from here, so that nothing could be measured"
                ),
                "run assay on that machine with DOCKER_HOST unset",
            )
        });
    };
    let shown = path.display();
    match UnixStream::connect(&path) {
        Ok(_) => Ok(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(not_there(&path)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(NoEngine::unusable(
            format!("the container engine at {shown} may not be used by this user"),
            "run as root, or join the group that owns the socket (`usermod -aG docker <user>`) and log in again",
        )),
        Err(error) => Err(NoEngine::absent(
            format!("no container engine answers at {shown} ({error})"),
            START,
        )),
    }
}

fn not_there(path: &Path) -> NoEngine {
    let podman = [
        Some(PathBuf::from("/run/podman/podman.sock")),
        std::env::var_os("XDG_RUNTIME_DIR").map(|dir| Path::new(&dir).join("podman/podman.sock")),
    ];
    let reason = format!("there is no container engine at {}", path.display());
    if let Some(socket) = podman.into_iter().flatten().find(|socket| socket.exists()) {
        let socket = socket.display();
        return NoEngine::unusable(
            format!("{reason}, but Podman's socket is {socket}"),
            format!("set DOCKER_HOST=unix://{socket}"),
        );
    }
    if crate::host::on_path("dockerd").is_some() {
        return NoEngine::absent(format!("{reason}, though Docker is installed"), START);
    }
    NoEngine::absent(
        reason,
        "run `assay doctor --fix`, or set DOCKER_HOST to its socket",
    )
}

impl Engine {
    /// Connects to the engine of this machine.
    ///
    /// # Errors
    /// A sentence: why there is none, and what to do.
    pub async fn connect() -> Result<Self, String> {
        let address = address();
        look(&address).map_err(|none| none.to_string())?;
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
        let words = |address: &str| look(address).unwrap_err().to_string();
        let remote = words("tcp://10.0.0.9:2375");
        assert!(remote.contains("cgroups cannot be read"), "{remote}");
        assert!(words("ssh://pi@board").contains("network"));
        assert!(words("").contains("unset"));
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("docker.sock");
        let at = |path: &Path| look(&format!("unix://{}", path.display()));
        let absent = at(&missing).unwrap_err();
        assert!(absent.reason.contains("no container engine at"), "{absent}");
        std::fs::write(&missing, "").unwrap();
        let dead = at(&missing).unwrap_err();
        assert!(dead.absent && dead.next.contains("start it"), "{dead}");
        let there = folder.path().join("there.sock");
        let _listening = std::os::unix::net::UnixListener::bind(&there).unwrap();
        assert_eq!(at(&there).unwrap(), there);
    }
}
