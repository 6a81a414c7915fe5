//! The child process that is the specimen: `assay __specimen …`.
//!
//! With etcd it starts one beside itself, as K3s embeds its own: one server process from outside, ended with it.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Parser;
use fixtures::etcd::shim::{Bug, Synchronous};
use fixtures::reference::{DatastoreChoice, Options};

#[derive(Debug, Parser)]
#[command(
    name = "assay __specimen",
    about = "The reference distribution; started by assay itself"
)]
struct Args {
    #[arg(long)]
    data_dir: PathBuf,
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long)]
    advertise: Vec<IpAddr>,
    /// Keep the data in this etcd instead of SQLite.
    #[arg(long)]
    etcd_binary: Option<PathBuf>,
    #[arg(long)]
    etcd_metrics: Option<String>,
    /// Have SQLite wait for the disk at each commit.
    #[arg(long, conflicts_with = "etcd_binary")]
    synchronous_full: bool,
    /// Have this known bug; only in SQLite's shim.
    #[arg(long, value_enum, conflicts_with = "etcd_binary")]
    bug: Option<Bug>,
}

/// etcd may take that long to open its socket, on a slow disk and a fraction of a CPU.
const ETCD_WITHIN: Duration = Duration::from_secs(60);

/// Runs the specimen when the arguments ask for it; `None` otherwise. To be called first thing in `main`.
#[must_use]
pub fn entry(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != crate::distribution::reference::SUBCOMMAND {
        return None;
    }
    let args = Args::parse_from(args.iter().skip(1));
    Some(match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("failed to serve the specimen: {error:#}");
            ExitCode::FAILURE
        }
    })
}

fn run(args: Args) -> anyhow::Result<()> {
    let (datastore, etcd) = match &args.etcd_binary {
        None => {
            let synchronous = if args.synchronous_full {
                Synchronous::Full
            } else {
                Synchronous::Normal
            };
            let bug = args.bug;
            (DatastoreChoice::Sqlite { synchronous, bug }, None)
        }
        Some(binary) => {
            let (child, endpoint) = start_etcd(binary, &args)?;
            (
                DatastoreChoice::Etcd {
                    endpoint,
                    tls: None,
                },
                Some(child),
            )
        }
    };
    let served = fixtures::reference::run(Options {
        data_dir: args.data_dir,
        listen: args.listen,
        advertise: args.advertise,
        datastore,
    });
    if let Some(mut etcd) = etcd {
        let _ = etcd.kill();
        let _ = etcd.wait();
    }
    served
}

/// Clients come over a unix socket: no port that another run could hold.
fn start_etcd(binary: &std::path::Path, args: &Args) -> anyhow::Result<(Child, String)> {
    // etcd takes `unix://name:port`; the socket is then the file `name:port` in its working folder.
    let endpoint = format!("unix://{}", args.data_dir.join("etcd.sock:0").display());
    let peer = "unix://peer.sock:0";
    let mut command = Command::new(binary);
    command
        .current_dir(&args.data_dir)
        .args(["--name", "assay", "--data-dir", "etcd"])
        .args([
            "--listen-client-urls",
            "unix://etcd.sock:0",
            "--advertise-client-urls",
            "unix://etcd.sock:0",
        ])
        .args([
            "--listen-peer-urls",
            peer,
            "--initial-advertise-peer-urls",
            peer,
        ])
        .args(["--initial-cluster", &format!("assay={peer}")])
        .args([
            "--snapshot-count",
            "10000",
            "--experimental-watch-progress-notify-interval",
            "5s",
        ]);
    if let Some(metrics) = &args.etcd_metrics {
        command.args(["--listen-metrics-urls", metrics]);
    }
    let mut child = command
        .spawn()
        .with_context(|| format!("failed to start etcd from {}", binary.display()))?;
    await_socket(&mut child, &args.data_dir.join("etcd.sock:0"))?;
    Ok((child, endpoint))
}

/// Waits until etcd accepts clients.
fn await_socket(etcd: &mut Child, socket: &std::path::Path) -> anyhow::Result<()> {
    let until = Instant::now() + ETCD_WITHIN;
    while std::os::unix::net::UnixStream::connect(socket).is_err() {
        if let Some(status) = etcd.try_wait()? {
            anyhow::bail!(
                "failed to start etcd: it ended with {status}; its own words stand above"
            );
        }
        anyhow::ensure!(
            Instant::now() < until,
            "failed to start etcd: no socket within {ETCD_WITHIN:?}"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
