//! The server that is started in the guest, with paths of the guest.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::provision::{DATA_DIR, SERVER_LOG};
use crate::cell::Cell;
use crate::distribution::{Access, CommandLine, ServerSpec};
use crate::guest::{Control, Exec, SERVER_CGROUP, Spawn};
use crate::text;

/// What is to be started, with paths of the guest.
pub(super) struct Server {
    pub command: CommandLine,
    pub access: Access,
    pub etcd_metrics: Option<String>,
}

/// What a server needs for agents to join it.
pub(super) struct Joined {
    /// Where they reach it.
    pub address: Ipv4Addr,
    pub token: String,
}

/// Asks the distribution for the server of a machine at this address.
pub(super) fn plan(
    cell: &Cell,
    address: Ipv4Addr,
    joined: Option<&Joined>,
    binaries: &BTreeMap<&'static str, PathBuf>,
) -> Server {
    let spec = ServerSpec {
        datastore: cell.datastore,
        shape: cell.shape,
        env: &cell.env,
        data_dir: Path::new(DATA_DIR),
        address: IpAddr::V4(address),
        private_network: true,
        node_address: joined.map(|joined| IpAddr::V4(joined.address)),
        token: joined.map(|joined| joined.token.as_str()),
        binaries,
    };
    let mut command = cell.distribution.server(&spec);
    if cell.distribution.name() == "etcd" {
        // etcd 3.4 refuses to start on ARM64 without it.
        command
            .env
            .push(("ETCD_UNSUPPORTED_ARCH".to_owned(), "arm64".to_owned()));
    }
    Server {
        access: cell.distribution.access(&spec),
        etcd_metrics: cell.distribution.etcd_metrics(&spec),
        command,
    }
}

/// What the agent is asked to start.
pub(super) fn to_spawn(cell: &Cell, command: &CommandLine) -> Spawn {
    let program = command.program.display().to_string();
    Spawn {
        argv: std::iter::once(program)
            .chain(command.args.iter().cloned())
            .collect(),
        env: command.env.clone(),
        folder: DATA_DIR.to_owned(),
        cgroup: Some(SERVER_CGROUP.to_owned()),
        limits: part_of_a_cpu(cell),
        log: SERVER_LOG.to_owned(),
    }
}

/// Makes the server's data folder in the guest.
pub(super) async fn make_folder(control: &Control) -> Result<()> {
    let made = control.exec(&Exec::new(&["mkdir", "-p", DATA_DIR])).await?;
    if made.exit.code != Some(0) {
        bail!(
            "failed to make the server's folder in the guest: {}; see its console",
            text::tame(&String::from_utf8_lossy(&made.stderr))
        );
    }
    Ok(())
}

/// A machine has whole CPUs; where the budget does not, the server's cgroup holds the rest back.
fn part_of_a_cpu(cell: &Cell) -> Vec<(String, String)> {
    cell.budget
        .cpu_milli
        .filter(|milli| !milli.is_multiple_of(1000))
        .map(|milli| ("cpu.max".to_owned(), format!("{} 100000", milli * 100)))
        .into_iter()
        .collect()
}
