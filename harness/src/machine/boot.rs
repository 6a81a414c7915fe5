//! A machine: an emulator with its network, booted, cut off and booted again on the same disks.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::command::MachineSpec;
use super::network::{Network, NetworkRequest, Reserved};
use super::process::Emulator;
use crate::scope::{Resource, Scope};

/// How often forwarded ports are chosen anew when another process took one first.
const TRIES: u32 = 5;
/// What QEMU says then.
const PORT_TAKEN: &str = "Could not set up host forwarding rule";

/// Where an emulator's inner commands come from and where its words go.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// This program, or another that serves the inner commands of [`crate::internal()`].
    pub helper: PathBuf,
    /// The emulator's own messages; appended to.
    pub log: PathBuf,
    /// The ledger.
    pub scope: Scope,
}

/// What stands in the ledger for a machine's network until this is dropped.
struct Held(Scope, Option<Resource>);

impl Held {
    /// The device went with its emulator; this finds it gone and strikes it out.
    async fn release(mut self) -> Option<String> {
        let resource = self.1.take()?;
        let (scope, words) = (self.0.clone(), resource.describe());
        tokio::task::spawn_blocking(move || scope.release(&resource))
            .await
            .map_err(|error| error.to_string())
            .and_then(|released| released)
            .err()
            .map(|reason| format!("{words}: {reason}"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(resource) = self.1.take() {
            // What stays is in the ledger.
            let _ = self.0.release(&resource);
        }
    }
}

/// A running machine. Dropped, it is ended.
pub struct Machine {
    // Dropped in this order: the device goes with the emulator.
    emulator: Emulator,
    held: Held,
    network: Network,
    spec: MachineSpec,
    surroundings: Surroundings,
}

impl Machine {
    /// Starts a machine with one network device besides those of its specification. Returns when the emulator
    /// answers; the guest has only begun to boot.
    ///
    /// # Errors
    /// When the network or the emulator cannot be made. Nothing of it is left then.
    pub async fn boot(
        spec: MachineSpec,
        request: &NetworkRequest,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let mut tries = 0;
        loop {
            tries += 1;
            let reserved = Reserved::new(request, &surroundings.scope).await?;
            let resource = reserved.network.resource();
            let held = Held(surroundings.scope.clone(), resource);
            match start(&spec, reserved, &surroundings).await {
                Ok((emulator, network)) => {
                    return Ok(Self {
                        emulator,
                        held,
                        network,
                        spec,
                        surroundings,
                    });
                }
                Err(error) => {
                    held.release().await;
                    if tries == TRIES || !format!("{error:#}").contains(PORT_TAKEN) {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The emulator.
    #[must_use]
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    /// Its network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// What it is made of, without its first network device.
    #[must_use]
    pub fn spec(&self) -> &MachineSpec {
        &self.spec
    }

    /// Cuts the power and starts the machine again on the same disks, on a TAP device at the same
    /// address; forwarded ports are chosen anew. Whatever the guest had
    /// not flushed is lost. A saved state is not used again.
    ///
    /// # Errors
    /// When the emulator stays, or does not start again.
    pub async fn power_cut(self) -> Result<Self> {
        let Self {
            emulator,
            held,
            network,
            mut spec,
            surroundings,
        } = self;
        emulator.cut().await.map_err(anyhow::Error::msg)?;
        let request = match &network {
            Network::Private { subnet, .. } => NetworkRequest {
                tap: true,
                subnet: Some(*subnet),
                ports: Vec::new(),
            },
            Network::Forwarded { ports } => NetworkRequest {
                tap: false,
                subnet: None,
                ports: ports.keys().copied().collect(),
            },
        };
        held.release().await;
        spec.incoming = None;
        Self::boot(spec, &request, surroundings).await
    }

    /// Ends it. Returns what stayed, one line each.
    pub async fn end(self) -> Vec<String> {
        let mut stayed: Vec<String> = self.emulator.cut().await.err().into_iter().collect();
        stayed.extend(self.held.release().await);
        stayed
    }
}

async fn start(
    spec: &MachineSpec,
    reserved: Reserved,
    surroundings: &Surroundings,
) -> Result<(Emulator, Network)> {
    let mut spec = spec.clone();
    spec.nics.insert(0, reserved.network.nic());
    spec.kernel_args.extend(reserved.network.kernel_args());
    let Surroundings { helper, log, scope } = surroundings;
    let emulator = Emulator::start(helper, &spec, log, scope).await?;
    let network = reserved.settle().await?;
    Ok((emulator, network))
}

/// Whether this process may make TAP devices.
#[must_use]
pub fn may_use_tap() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists()
}
