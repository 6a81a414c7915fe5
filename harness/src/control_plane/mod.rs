//! The servers of a Kubernetes control plane as one process from outside: `assay __control-plane …`.
//!
//! Kubernetes comes as a binary a server, where K3s comes as one. This process makes their keys, starts etcd, the API
//! server and the controller manager in that order, and ends all of them when one ends or when it is told to; whoever
//! starts and measures a cell sees one server. It sits in the cell with them, so that the footprint is the whole.

mod pki;
mod servers;
mod supervise;

use std::ffi::OsString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

pub(crate) use servers::ETCD_SOCKET;

/// The hidden subcommand.
pub(crate) const SUBCOMMAND: &str = "__control-plane";

/// What the distribution says to its supervisor, on its command line.
#[derive(Debug, Clone, PartialEq, Eq, Parser)]
#[command(
    name = "assay __control-plane",
    about = "The kubernetes distribution; started by assay itself"
)]
pub(crate) struct Args {
    /// Its own folder: keys, etcd's data, the kubeconfig.
    #[arg(long)]
    pub data_dir: PathBuf,
    /// The address at which the API server is reached.
    #[arg(long)]
    pub address: IpAddr,
    /// The API server's port; a free one where none is given.
    #[arg(long)]
    pub port: Option<u16>,
    #[arg(long)]
    pub etcd: PathBuf,
    #[arg(long)]
    pub kube_apiserver: PathBuf,
    /// Left out: no controller runs.
    #[arg(long)]
    pub kube_controller_manager: Option<PathBuf>,
    /// Where etcd is to show its metrics.
    #[arg(long)]
    pub etcd_metrics: Option<String>,
}

/// Runs the servers until one ends or a signal asks for the end. To be called before any thread starts.
pub(crate) fn run(args: &[OsString]) -> ExitCode {
    let args = Args::parse_from(args);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let served = runtime
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(supervise::serve(&args)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to serve Kubernetes: {error:#}");
            ExitCode::FAILURE
        }
    }
}
