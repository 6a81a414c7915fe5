//! The kubectl binary, for checks of what a user sees through it.
//!
//! kubectl is a program of its own, so what it sends would pass by assay's client: its mutants, its evidence and its ledger.
//! It is therefore given the address of a [`gateway::Gateway`], which takes what it sends through that client. What it is asked
//! to do writes no file: its kubeconfig is in memory, and it has no home and so no cache.

mod forward;
mod gateway;
mod packed;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use gateway::Reach;
pub use process::{KubectlError, Output, Running, Session};

use process::{Launch, finish};

/// A kubectl may take that long to say its own version.
const VERSION_WITHIN: Duration = Duration::from_secs(20);
/// Minor versions by which kubectl may differ from the server (Kubernetes' version skew policy).
const SKEW: u32 = 1;

/// A kubectl that fits the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kubectl {
    program: PathBuf,
    /// Whether the program is a K3s, which acts as kubectl under that name.
    k3s: bool,
    /// `gitVersion` of the client.
    pub version: String,
    /// Minor version of the client.
    pub minor: u32,
}

/// Whether there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// This one.
    Is(Kubectl),
    /// None, for this reason.
    Not(String),
}

impl Default for Found {
    fn default() -> Self {
        Self::Not("nobody has looked for one".to_owned())
    }
}

impl Kubectl {
    /// Looks for a kubectl within the version skew of a server: the one that `KUBECTL` names and no other, else `kubectl` on
    /// the path, in `KUBEBUILDER_ASSETS`, and as part of a K3s that `K3S_BINARY` names or that is on the path.
    pub async fn find(server_minor: u32) -> Found {
        let mut unfit = Vec::new();
        for (program, k3s) in candidates() {
            let shown = program.display().to_string();
            if k3s && !packed::holds_kubectl(&program) {
                unfit.push(format!(
                    "{shown} would unpack itself under /var/lib/rancher to act as one"
                ));
                continue;
            }
            match Self::ask(program, k3s).await {
                Ok(kubectl) if kubectl.minor.abs_diff(server_minor) <= SKEW => {
                    return Found::Is(kubectl);
                }
                Ok(kubectl) => unfit.push(format!("{shown} is {}", kubectl.version)),
                Err(reason) => unfit.push(format!("{shown} {reason}")),
            }
        }
        let seen = if unfit.is_empty() {
            "there is none".to_owned()
        } else {
            unfit.join(", ")
        };
        Found::Not(format!(
            "a kubectl within one minor version of 1.{server_minor} is needed, and {seen}; set KUBECTL to one"
        ))
    }

    async fn ask(program: PathBuf, k3s: bool) -> Result<Self, String> {
        let unknown = Self {
            program,
            k3s,
            version: String::new(),
            minor: 0,
        };
        let launch = Launch {
            kubectl: &unknown,
            kubeconfig: Path::new("/dev/null"),
            goes_on: false,
        };
        let child = launch
            .spawn(&["version", "--client", "--output=json"])
            .map_err(|error| error.to_string())?;
        let said = finish(child, None, VERSION_WITHIN)
            .await
            .map_err(|error| error.to_string())?;
        let told: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_default();
        let client = &told["clientVersion"];
        let minor = client["minor"].as_str().unwrap_or_default();
        match (
            minor.trim_end_matches('+').parse(),
            client["gitVersion"].as_str(),
        ) {
            (Ok(minor), Some(version)) => Ok(Self {
                version: crate::text::tame(version),
                minor,
                ..unknown
            }),
            _ => Err("tells no version".to_owned()),
        }
    }
}

/// Programs to try, and whether each is a K3s.
fn candidates() -> Vec<(PathBuf, bool)> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    if let Some(only) = named("KUBECTL") {
        return vec![(only, false)];
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = |name: &str| {
        std::env::split_paths(&path)
            .map(|folder| folder.join(name))
            .find(|file| file.is_file())
    };
    let assets = named("KUBEBUILDER_ASSETS").map(|folder| folder.join("kubectl"));
    let k3s = named("K3S_BINARY").or_else(|| on_path("k3s"));
    [
        (on_path("kubectl"), false),
        (assets.filter(|file| file.is_file()), false),
        (k3s, true),
    ]
    .into_iter()
    .filter_map(|(file, k3s)| Some((file?, k3s)))
    .collect()
}
