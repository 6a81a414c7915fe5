//! The `doctor` command: gathers the facts, runs the checks, prints and perhaps mends.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;

use super::args::{DoctorArgs, DoctorFormat};
use super::view::{Binary, Engine, Facts, HostView};
use super::{Finding, Look, can_run, examine, fix, render_json, render_text};
use crate::artifact::args::kubernetes_request;
use crate::artifact::progress::on_stderr;
use crate::artifact::{
    Arch, ArtifactError, Cache, K3sRequest, KubernetesBinaries, Progress, Resolved, find_k3s,
    k3s_reachable, resolve_etcd, resolve_kubernetes,
};
use crate::engine;

/// How long a container engine may take to answer.
const ENGINE_DEADLINE: Duration = Duration::from_secs(2);

/// Runs `assay doctor`. Returns the exit code: 0 when the main job can run here, 6 when it cannot.
///
/// # Errors
/// When the arguments are malformed.
pub async fn run_doctor(args: &DoctorArgs) -> anyhow::Result<u8> {
    let mut host = look(args).await?;
    let mut findings = examine(&host);
    if args.fix {
        let steps = fix::plan(
            &chosen(&findings, &args.only),
            host.is_root(),
            host.has_program("sudo"),
        );
        if steps.is_empty() {
            crate::output::stderr_line("there is nothing that a command could mend");
        } else {
            fix::run(&steps).await;
            host = look(args).await?;
            findings = examine(&host);
        }
    }
    // Whether anything can run is judged by all checks, however few are shown.
    let can_run = can_run(&findings);
    let findings = chosen(&findings, &args.only);
    let colour = std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let text = match args.format {
        DoctorFormat::Text => render_text(
            &findings,
            can_run,
            Look {
                colour,
                is_root: host.is_root(),
            },
        ),
        DoctorFormat::Json => render_json(&findings, can_run),
    };
    crate::output::stdout(text);
    Ok(if can_run { 0 } else { 6 })
}

fn chosen(findings: &[Finding], only: &[String]) -> Vec<Finding> {
    let wanted = |finding: &&Finding| only.is_empty() || only.iter().any(|id| id == finding.id);
    findings.iter().filter(wanted).cloned().collect()
}

/// Gathers the facts about this host. Nothing here takes longer than a few seconds.
async fn look(args: &DoctorArgs) -> anyhow::Result<HostView> {
    let progress = on_stderr();
    let (k3s, etcd, kubernetes) = match Arch::of_host() {
        Some(arch) => {
            let request = args.k3s.request(arch)?;
            let etcd = resolve_etcd(&args.etcd.request(arch), progress.as_ref()).await;
            let etcd = etcd.map_or_else(
                |error| Binary::Absent(format!("failed to {error}")),
                |found| Binary::Found(words(&found)),
            );
            let kubernetes = resolve_kubernetes(&kubernetes_request(arch), progress.as_ref()).await;
            (
                look_for_k3s(&request, progress.as_ref()).await,
                etcd,
                kubernetes_words(kubernetes),
            )
        }
        None => {
            let why = || Binary::Absent("no binary for this architecture is known".to_owned());
            (why(), why(), why())
        }
    };
    let facts = Facts {
        k3s,
        etcd,
        kubernetes,
        engine: look_for_engine().await,
        disks: disks(),
        now: jiff::Timestamp::now().as_second(),
        arch: std::env::consts::ARCH.to_owned(),
        kvm: look_for_kvm().await,
        fetch_k3s: fetch_command(args),
    };
    Ok(HostView::of_this(facts))
}

/// What is found of a place where clusters could be made, without a look for any binary.
pub async fn of_a_place(id: Option<&str>) -> Option<Finding> {
    let id = id?;
    let not_asked = || Binary::Absent("not asked".to_owned());
    let facts = Facts {
        k3s: not_asked(),
        etcd: not_asked(),
        kubernetes: not_asked(),
        engine: look_for_engine().await,
        disks: Vec::new(),
        now: jiff::Timestamp::now().as_second(),
        arch: std::env::consts::ARCH.to_owned(),
        kvm: match id {
            "kvm" => look_for_kvm().await,
            _ => Err("not asked".to_owned()),
        },
        fetch_k3s: Vec::new(),
    };
    let findings = examine(&HostView::of_this(facts));
    findings.into_iter().find(|finding| finding.id == id)
}

/// Runs a guest, where the host is of its kind.
async fn look_for_kvm() -> Result<(), String> {
    tokio::task::spawn_blocking(crate::machine::kvm)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}

fn words(found: &Resolved) -> String {
    format!(
        "{} at {} ({})",
        found.version,
        found.path.display(),
        found.origin
    )
}

fn kubernetes_words(found: Result<KubernetesBinaries, ArtifactError>) -> Binary {
    match found {
        Ok(KubernetesBinaries {
            apiserver,
            controller_manager: Ok(_),
            ..
        }) => Binary::Found(words(&apiserver)),
        Ok(KubernetesBinaries {
            controller_manager: Err(why),
            ..
        }) => Binary::Absent(why),
        Err(error) => Binary::Absent(format!("failed to {error}")),
    }
}

async fn look_for_k3s(request: &K3sRequest, progress: &dyn Progress) -> Binary {
    match find_k3s(request, progress).await {
        Ok(Some(found)) => Binary::Found(words(&found)),
        Err(error) => Binary::Absent(format!("failed to {error}")),
        Ok(None) => match k3s_reachable(request).await {
            Ok(()) => Binary::Fetchable(request.mirror.to_string()),
            Err(reason) => {
                Binary::Absent(format!("not on this machine, and no download: {reason}"))
            }
        },
    }
}

/// `assay fetch k3s`, by this very program and with the same source.
fn fetch_command(args: &DoctorArgs) -> Vec<String> {
    let program = std::env::current_exe()
        .ok()
        .and_then(|path| path.to_str().map(str::to_owned));
    let mut command = vec![
        program.unwrap_or_else(|| "assay".to_owned()),
        "fetch".into(),
        "k3s".into(),
    ];
    let pairs = [
        ("--k3s-version", &args.k3s.k3s_version),
        ("--release-mirror", &args.k3s.source.release_mirror),
    ];
    for (flag, value) in pairs {
        command.extend(
            value
                .iter()
                .flat_map(|value| [flag.to_owned(), value.clone()]),
        );
    }
    command
}

/// Free bytes where reports and the cache go; of folders that do not exist yet, where they would be made.
fn disks() -> Vec<(String, u64)> {
    let cache = Cache::of_user().root().to_owned();
    let here = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
    let free = |path: &PathBuf| {
        let there = path
            .ancestors()
            .find(|path| path.exists())
            .unwrap_or(Path::new("/"));
        let disk = rustix::fs::statvfs(there).ok()?;
        Some((
            there.display().to_string(),
            disk.f_bavail.saturating_mul(disk.f_frsize),
        ))
    };
    [here, cache].iter().filter_map(free).collect()
}

/// Asks the engine itself, as `docker info` would.
async fn look_for_engine() -> Engine {
    let address = engine::address();
    let socket = match engine::look(&address) {
        Ok(socket) => socket,
        Err(none) if none.absent => return Engine::Silent(none.reason),
        Err(none) => return Engine::Unusable(none.to_string()),
    };
    let asked = async { ping(UnixStream::connect(socket).await?).await };
    match tokio::time::timeout(ENGINE_DEADLINE, asked).await {
        Ok(Ok(true)) => Engine::Answers(address),
        Ok(Ok(false)) => Engine::Silent(format!("what listens at {address} is no Docker engine")),
        Ok(Err(error)) => Engine::Silent(format!("no engine answers at {address} ({error})")),
        Err(_) => Engine::Silent(format!(
            "the engine at {address} did not answer within {} s",
            ENGINE_DEADLINE.as_secs()
        )),
    }
}

async fn ping(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> std::io::Result<bool> {
    stream
        .write_all(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer);
    Ok(answer.starts_with("HTTP/1.")
        && answer.contains(" 200 ")
        && answer.trim_end().ends_with("OK"))
}
