//! `assay mutants`: shows that each check can fail, by putting each defect that it declares between it and a
//! healthy server.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reports::ExitCode;
use reports::budget::Budget;
use reports::mutants::MutantMatrix;

use super::resolve::{self, Chosen};
use super::{CommandError, leg};
use crate::artifact::args::{EtcdArgs, K3sArgs};
use crate::cancel::Cancel;
use crate::cell::{Cell, Shape};
use crate::check::mutants::run_mutants;
use crate::check::{Check, Limits, Offer, RunOptions};
use crate::distribution::lacks;
use crate::ready;
use crate::run_dir::RunDir;
use crate::runner::take_back;
use crate::scenario::Access;
use crate::scope::{Scope, StateDir};
use crate::suite::{Suite, select};
use crate::target::{Cluster, TargetArgs};

/// A server may take that long to become ready.
const READY_WITHIN: Duration = Duration::from_secs(180);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where the cluster is made: native, docker, qemu, or existing for one that is there already.
    #[arg(long, default_value = "native")]
    target: String,
    /// auto, k3s, kubernetes or reference; told by the cluster itself where it is there already.
    #[arg(long)]
    distribution: Option<String>,
    /// Only checks whose id or title holds this text.
    #[arg(long)]
    filter: Option<String>,
    /// Checks that run at once.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Seconds that a check waits for one condition before it fails; the control run waits no longer.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u64).range(1..=600))]
    patience: u64,
    /// Where the run's folder, with the matrix and the server's log, is made.
    #[arg(long, default_value = "reports/runs")]
    out: PathBuf,
    #[command(flatten)]
    k3s: K3sArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    places: TargetArgs,
}

pub(super) async fn run(args: Args, suites: &'static [Suite]) -> Result<ExitCode, CommandError> {
    let selections = select(suites, "all", args.filter.as_deref()).map_err(CommandError::Usage)?;
    let checks: Vec<&'static Check> = selections
        .into_iter()
        .flat_map(|selection| selection.checks)
        .collect();
    if checks.is_empty() {
        return Err(CommandError::Usage(
            "the filter selects no check; `assay list` shows them all".into(),
        ));
    }
    let target = (leg::kind(&args.target)?.open)(&args.places).map_err(CommandError::Usage)?;
    let distribution = match (&args.distribution, target.name()) {
        (Some(name), _) => name,
        (None, "native") => "reference",
        (None, _) => "auto",
    };
    let chosen =
        resolve::distribution(distribution, &args.k3s, &args.etcd, false, target.as_ref()).await?;
    let state = super::state_dir()?;
    let dir =
        RunDir::create(&args.out).map_err(|error| CommandError::Usage(format!("{error:#}")))?;
    let (_signals, cancel) = Cancel::on_signals().map_err(anyhow::Error::from)?;
    let scope = Scope::open(state.root(), dir.id())?;
    let cell = cell(&chosen, target.name(), &dir, &state)?;
    // A dropped provisioning ends what it began; what it made is in the ledger.
    let cluster = tokio::select! {
        made = target.provision(&cell, &scope) => made.map_err(|error| error.to_string()),
        () = cancel.cancelled() => Err("interrupted while the cluster was made".to_owned()),
    };
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(reason) => {
            let leftovers = take_back(&scope).await;
            scope.close();
            tell(&leftovers);
            return cut_short(&cancel, reason);
        }
    };
    let matrix = matrix(
        cluster.as_ref(),
        &cell,
        &dir,
        &checks,
        &args,
        &cancel,
        target.patience(),
    )
    .await;
    let leftovers = cluster.destroy().await;
    scope.close();
    tell(&leftovers);
    let mut matrix = match matrix {
        Ok(matrix) => matrix,
        Err(error) => return cut_short(&cancel, format!("{error:#}")),
    };
    matrix.distribution = chosen.distribution.name().to_owned();
    write(&dir, &matrix)?;
    crate::output::stdout(matrix.text());
    let page = dir.path().join("mutants.html");
    crate::output::stdout(format_args!("report: {}\n", page.display()));
    Ok(if cancel.is_cancelled() {
        ExitCode::Interrupted
    } else if !matrix.proven() {
        ExitCode::CheckFailed
    } else if !leftovers.is_empty() || !matrix.left.is_empty() {
        ExitCode::Leftovers
    } else {
        ExitCode::Passed
    })
}

fn tell(leftovers: &[String]) {
    for leftover in leftovers {
        crate::output::stdout(format_args!("remains {leftover}\n"));
    }
}

/// There is no matrix: by Ctrl-C, or for a reason.
fn cut_short(cancel: &Cancel, reason: String) -> Result<ExitCode, CommandError> {
    if cancel.is_cancelled() {
        Ok(ExitCode::Interrupted)
    } else {
        Err(CommandError::Errored(reason))
    }
}

/// The matrix for programs, for a browser, and as a table for a repository.
fn write(dir: &RunDir, matrix: &MutantMatrix) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(matrix)?;
    for (name, content) in [
        ("mutants.json", json),
        ("mutants.html", matrix.html()),
        ("mutants.md", matrix.markdown()),
    ] {
        fs_err::write(dir.path().join(name), content)?;
    }
    Ok(())
}

fn cell(
    chosen: &Chosen,
    target: &str,
    dir: &RunDir,
    state: &StateDir,
) -> Result<Cell, CommandError> {
    let id = format!("{target}-{}-mutants", chosen.distribution.name());
    Ok(Cell {
        distribution: chosen.distribution,
        datastore: chosen.distribution.datastores()[0],
        shape: Shape::ControlPlane,
        env: Vec::new(),
        agents: 0,
        budget: Budget::unlimited(),
        disk: None,
        binaries: chosen.binaries.clone(),
        work: state.work().join(dir.short_id()).join("0"),
        keep: false,
        logs: dir.logs(&id)?,
        id,
    })
}

async fn matrix(
    cluster: &dyn Cluster,
    cell: &Cell,
    dir: &RunDir,
    checks: &[&'static Check],
    args: &Args,
    cancel: &Cancel,
    patience: u32,
) -> anyhow::Result<MutantMatrix> {
    let last_seen = Mutex::new(String::new());
    let waited = ready::wait(
        cluster,
        cell.distribution.ready_when(cell.shape),
        dir.id(),
        &last_seen,
    );
    let ready = tokio::select! {
        () = cancel.cancelled() => anyhow::bail!("interrupted while the server started"),
        exit = cluster.ended() => anyhow::bail!("the server ended before it was ready: {exit:?}; see {}", cluster.log().display()),
        waited = tokio::time::timeout(READY_WITHIN * patience, waited) => {
            waited.map_err(|_| anyhow::anyhow!("the server was not ready within {:?}; see {}", READY_WITHIN * patience, cluster.log().display()))??
        }
    };
    let Access::Kubernetes(api) = &ready.access else {
        anyhow::bail!(
            "{} serves no Kubernetes API, so there is nothing to check",
            cell.distribution.name()
        );
    };
    let lacks = lacks(cell.distribution, cell.shape, cell.agents);
    let offer = Offer::discover(api, &lacks).await?;
    let place = cluster.callback_place();
    let offer = Arc::new(offer.with_callback(api, place, checks, patience).await);
    let limits = Limits {
        patience: Duration::from_secs(args.patience),
        ..Limits::default()
    }
    .stretched(patience);
    let version = offer.version.clone();
    let options = RunOptions {
        jobs: usize::from(args.jobs),
        limits,
        offer,
        cancel: cancel.receiver(),
    };
    tokio::select! {
        matrix = run_mutants(checks, api, &options) => Ok(MutantMatrix { version, ..matrix }),
        exit = cluster.ended() => anyhow::bail!("the server ended while it was checked: {exit:?}; see {}", cluster.log().display()),
    }
}
