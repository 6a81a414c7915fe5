//! Starting the servers in their order, and ending all of them together.

use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::servers::{self, ETCD_SOCKET, Server};
use super::{Args, pki};
use crate::api::{self, Api, Request};

/// etcd may take that long to open its socket, on a slow disk and a fraction of a CPU.
const ETCD_WITHIN: Duration = Duration::from_secs(120);
/// The API server may take that long to be ready. The runner's own deadline is shorter and says more.
const READY_WITHIN: Duration = Duration::from_secs(1800);
/// A server that is told to end may take that long before it is killed.
const END_WITHIN: Duration = Duration::from_secs(10);
/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves until a server ends or a signal asks for the end.
///
/// # Errors
/// When a server could not be started or ended unasked.
pub(super) async fn serve(args: &Args) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (stop, stopping) = watch::channel(false);
    let mut running = Running {
        ends: JoinSet::new(),
        stopping,
    };
    let served = tokio::select! {
        served = run(args, &mut running) => served,
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
    };
    let _ = stop.send(true);
    while running.ends.join_next().await.is_some() {}
    served
}

/// The servers that run.
struct Running {
    ends: JoinSet<(&'static str, std::io::Result<ExitStatus>)>,
    stopping: watch::Receiver<bool>,
}

impl Running {
    fn start(&mut self, server: &Server, folder: &Path) -> anyhow::Result<()> {
        let child = Command::new(&server.program)
            .args(&server.args)
            .current_dir(folder)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| {
                format!(
                    "failed to start {} from {}",
                    server.name,
                    server.program.display()
                )
            })?;
        let (name, stopping) = (server.name, self.stopping.clone());
        self.ends
            .spawn(async move { (name, end_of(child, stopping).await) });
        Ok(())
    }

    /// Waits for `condition`; a server that ends meanwhile, or a deadline that passes, is an error.
    async fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        condition: impl Future<Output = T>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            met = condition => Ok(met),
            end = self.ends.join_next() => Err(ended(end)),
            () = tokio::time::sleep(within) => bail!("failed to see {what} within {within:?}"),
        }
    }
}

/// How a server that nobody told to end did so.
fn ended(
    end: Option<Result<(&str, std::io::Result<ExitStatus>), tokio::task::JoinError>>,
) -> anyhow::Error {
    match end {
        Some(Ok((name, Ok(status)))) => {
            anyhow::anyhow!("{name} ended with {status}; its own words stand above")
        }
        Some(Ok((name, Err(error)))) => anyhow::anyhow!("failed to wait for {name}: {error}"),
        _ => anyhow::anyhow!("no server runs; report this as a bug"),
    }
}

/// Waits for a server's end, and brings it about when that is asked for.
async fn end_of(
    mut child: Child,
    mut stopping: watch::Receiver<bool>,
) -> std::io::Result<ExitStatus> {
    tokio::select! {
        status = child.wait() => return status,
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    // Not waited for yet, so that the number is still its own.
    let pid = child
        .id()
        .and_then(|id| rustix::process::Pid::from_raw(id.cast_signed()));
    if let Some(pid) = pid {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    if let Ok(status) = tokio::time::timeout(END_WITHIN, child.wait()).await {
        return status;
    }
    child.kill().await?;
    child.wait().await
}

async fn run(args: &Args, running: &mut Running) -> anyhow::Result<()> {
    let port = match args.port {
        Some(port) => port,
        None => free_port()?,
    };
    let url = format!("https://{}", std::net::SocketAddr::new(args.address, port));
    let pki = pki::prepare(&args.data_dir, args.address, &url)?;
    let folder = &args.data_dir;
    running.start(&servers::etcd(args), folder)?;
    // The API server does not wait for etcd for long, and the controller manager hardly for the API server.
    let socket = folder.join(ETCD_SOCKET);
    running
        .until("etcd's socket", ETCD_WITHIN, listens(&socket))
        .await?;
    running.start(&servers::kube_apiserver(args, &pki, port), folder)?;
    // Whoever awaits it reads it as soon as it is there.
    let unfinished = folder.join("kubeconfig.part");
    fs_err::copy(pki.admin(), &unfinished)?;
    fs_err::rename(&unfinished, folder.join("kubeconfig"))?;
    let client = api::client(&pki.admin(), None, None).await?;
    let api = Api::new(client, "control-plane");
    running
        .until("the API server ready", READY_WITHIN, ready(&api))
        .await?;
    drop(api);
    if let Some(server) = servers::kube_controller_manager(args, &pki) {
        running.start(&server, folder)?;
    }
    Err(ended(running.ends.join_next().await))
}

/// A port that was free a moment ago: the API server takes none that the kernel chooses.
fn free_port() -> std::io::Result<u16> {
    let socket = std::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket.local_addr()?.port())
}

async fn listens(socket: &Path) {
    while tokio::net::UnixStream::connect(socket).await.is_err() {
        tokio::time::sleep(PAUSE).await;
    }
}

async fn ready(api: &Api) {
    loop {
        let answer = api.send(Request::get("/readyz")).await;
        if answer.is_ok_and(|answer| answer.status == 200) {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}
