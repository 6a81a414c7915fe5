//! `assay suite`: plan, run, judge, report.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reports::budget::Budget;
use reports::event::{EventKind, RunStarted, SCHEMA_VERSION};
use reports::{ExitCode, REPORTS};

use super::resolve::{self, Chosen};
use super::{CommandError, dry_run, report, state_dir};
use crate::artifact::args::{EtcdArgs, K3sArgs};
use crate::cancel::Cancel;
use crate::cell::{Cell, Shape};
use crate::display::Live;
use crate::distribution::{Datastore, Distribution};
use crate::journal::{Journal, Sink};
use crate::observer::{self, SamplerCost};
use crate::output::stdout;
use crate::plan::{self, Common, PlannedCell};
use crate::run_dir::RunDir;
use crate::runner::{RunSettings, run_cell};
use crate::scope::{Scope, StateDir};
use crate::suite::{Selection, Suite, select, served};
use crate::target::{TARGETS, Target, TargetArgs};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// all, conformance, datastore or footprint.
    suite: String,
    /// Where the cluster is made: native, docker, qemu, or existing for one that is there already.
    #[arg(long, default_value = "native")]
    target: String,
    /// auto, k3s, reference or etcd. auto is K3s where it can be had, else the built-in specimen.
    #[arg(long, default_value = "auto")]
    distribution: String,
    /// sqlite, etcd, or both separated by a comma; all that the distribution has by default.
    #[arg(long, value_delimiter = ',')]
    datastore: Vec<String>,
    /// edge (512 MiB, 1 CPU; the default but for an existing cluster), server (2 GiB, 2 CPU), unlimited, or MEMORY/CPU
    /// such as 768Mi/1.5.
    #[arg(long)]
    budget: Option<String>,
    /// How much of Kubernetes the server runs.
    #[arg(long, value_enum, default_value_t)]
    shape: Shape,
    /// A variable for the server, such as GOGC=40; may be given again. It becomes part of the cell's name.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    server_env: Vec<(String, String)>,
    /// Only checks and scenarios whose id or title holds this text.
    #[arg(long)]
    filter: Option<String>,
    /// Checks that run at once.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=256))]
    jobs: u16,
    /// Where run folders are made.
    #[arg(long, default_value = "reports/runs")]
    out: PathBuf,
    /// Leave the server's data folder behind.
    #[arg(long)]
    keep: bool,
    /// Print the plan and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// What standard output gets at the end.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Seconds that a server may take to become ready.
    #[arg(long, default_value_t = 180, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    ready_timeout: u64,
    /// Seconds that a server must go on serving after it became ready.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    hold: u64,
    #[command(flatten)]
    k3s: K3sArgs,
    #[command(flatten)]
    etcd: EtcdArgs,
    #[command(flatten)]
    places: TargetArgs,
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write it as NAME=VALUE".to_owned()),
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum Format {
    /// A summary for people.
    #[default]
    Human,
    /// The judged record.
    Json,
}

/// Colour only on a terminal, and never with NO_COLOR (no-color.org).
pub(super) fn colour() -> bool {
    std::io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

pub(super) async fn run(args: Args, suites: &'static [Suite]) -> Result<ExitCode, CommandError> {
    let selections =
        select(suites, &args.suite, args.filter.as_deref()).map_err(CommandError::Usage)?;
    let target = open_target(&args)?;
    let budget: Budget = args
        .budget
        .as_deref()
        .unwrap_or(target.default_budget())
        .parse()
        .map_err(|error| CommandError::Usage(format!("{error}")))?;
    let wanted = wanted_datastores(&args.datastore)?;
    let mut chosen = resolve::distribution(
        &args.distribution,
        &args.k3s,
        &args.etcd,
        args.dry_run,
        target.as_ref(),
    )
    .await?;
    let served = served(selections, &args.suite, chosen.distribution);
    let (selections, left_out) = served.map_err(CommandError::Usage)?;
    offers_shape(args.shape, target.as_ref(), chosen.distribution)?;
    let datastores = intersect(&wanted, &chosen)?;
    let common = Common {
        target: target.name(),
        distribution: chosen.distribution,
        shape: args.shape,
        env: &args.server_env,
        budget: &budget,
    };
    let planned = plan::cells(&common, &datastores, &chosen.binaries, &chosen.missing);
    chosen.warnings.extend(left_out);
    if args.dry_run {
        match args.format {
            Format::Human => stdout(dry_run::text(&planned, &selections, &chosen)),
            Format::Json => stdout(format_args!(
                "{}\n",
                dry_run::json(&planned, &selections, &chosen)
            )),
        }
        return Ok(ExitCode::Passed);
    }
    // Before the run's folder: a run that cannot start leaves none.
    let state = state_dir()?;
    let dir =
        RunDir::create(&args.out).map_err(|error| CommandError::Usage(format!("{error:#}")))?;
    execute(&args, &dir, &state, target, selections, &planned, chosen).await?;
    let record = report::load(dir.path())?;
    let rendered = report::render(&record, REPORTS, dir.path());
    if args.format == Format::Json {
        let text = serde_json::to_string(&record).map_err(anyhow::Error::from)?;
        stdout(format_args!("{text}\n"));
    } else {
        stdout(reports::console::summary(&record, colour()));
        let page = dir.path().join("report.html");
        stdout(format_args!("report: {}\n", page.display()));
    }
    rendered.map_err(|error| CommandError::Errored(format!("{error:#}")))?;
    Ok(reports::exit_code(&record))
}

/// From an empty run folder to a closed journal. Whatever happens, the ledger is closed: what is still in it
/// then is for `sweep`.
async fn execute(
    args: &Args,
    dir: &RunDir,
    state: &StateDir,
    target: Arc<dyn Target>,
    selections: Vec<Selection>,
    planned: &[PlannedCell],
    chosen: Chosen,
) -> Result<(), CommandError> {
    let surroundings = |error: anyhow::Error| CommandError::Errored(format!("{error:#}"));
    let (stop, cancel) = Cancel::on_signals().map_err(anyhow::Error::from)?;
    let journal = Journal::create(&dir.journal(), Box::new(Live::on_stderr()), move || {
        // Nobody waits any more when the run is over.
        let _ = stop.send(true);
    })
    .map_err(surroundings)?;
    let sink = journal.sink();
    sink.run(started(dir, &selections));
    for warning in &chosen.warnings {
        sink.run(EventKind::Warning {
            message: warning.clone(),
        });
    }
    let patience = target.patience();
    let settings = RunSettings {
        run: dir.id().to_owned(),
        target,
        selections,
        binaries: chosen.binaries,
        version: chosen.version,
        artifacts: chosen.artifacts,
        jobs: usize::from(args.jobs),
        ready_within: Duration::from_secs(args.ready_timeout) * patience,
        hold: Duration::from_secs(args.hold),
    };
    let scope = Scope::open(state.root(), dir.id())
        .map_err(|error| CommandError::Usage(format!("{error:#}")))?;
    let mut cost = SamplerCost::default();
    let mut failure = None;
    for (nth, planned) in planned.iter().enumerate() {
        if cancel.is_cancelled() {
            break;
        }
        let logs = match dir.logs(&planned.id) {
            Ok(logs) => logs,
            Err(error) => {
                failure = Some(error.context("failed to make a folder for the server's log"));
                break;
            }
        };
        let cell = Cell {
            id: planned.id.clone(),
            distribution: planned.distribution,
            datastore: planned.datastore,
            shape: planned.shape,
            env: planned.env.clone(),
            budget: planned.budget.clone(),
            binaries: settings.binaries.clone(),
            // Short, for unix sockets beneath it have at most 107 bytes for their path.
            work: state.work().join(dir.short_id()).join(nth.to_string()),
            keep: args.keep,
            logs,
        };
        let sink = sink.cell(&planned.id);
        run_cell(&settings, planned, &cell, &scope, &sink, &cancel, &mut cost).await;
    }
    finish(sink, &cancel, &cost);
    // What stayed is in the record of its cell already.
    scope.close();
    journal.close().map_err(surroundings)?;
    failure.map_or(Ok(()), |error| Err(surroundings(error)))
}

fn started(dir: &RunDir, selections: &[Selection]) -> EventKind {
    EventKind::RunStarted(RunStarted {
        schema: SCHEMA_VERSION,
        run: dir.id().to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
        assay: env!("CARGO_PKG_VERSION").to_owned(),
        command: crate::text::redact_words(
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()),
        ),
        suites: selections
            .iter()
            .map(|selection| selection.suite.to_owned())
            .collect(),
        host: crate::host::probe().host,
    })
}

fn finish(sink: Sink, cancel: &Cancel, cost: &SamplerCost) {
    sink.run(EventKind::RunFinished {
        interrupted: cancel.is_cancelled(),
        observer: observer::observe(cost),
    });
}

fn open_target(args: &Args) -> Result<Arc<dyn Target>, CommandError> {
    let kind = TARGETS
        .iter()
        .find(|kind| kind.name == args.target)
        .ok_or_else(|| {
            let known: Vec<_> = TARGETS.iter().map(|kind| kind.name).collect();
            CommandError::Usage(format!(
                "there is no target {:?}; choose one of {}",
                args.target,
                known.join(", ")
            ))
        })?;
    (kind.open)(&args.places).map_err(CommandError::Usage)
}

fn offers_shape(
    shape: Shape,
    target: &dyn Target,
    distribution: &dyn Distribution,
) -> Result<(), CommandError> {
    let refuse = |who: &str, shapes: &[Shape]| {
        let shapes: Vec<_> = shapes.iter().map(ToString::to_string).collect();
        Err(CommandError::Usage(format!(
            "{who} does not run the shape {shape}; it runs {}",
            shapes.join(", ")
        )))
    };
    if !distribution.shapes().contains(&shape) {
        return refuse(distribution.name(), distribution.shapes());
    }
    if !target.shapes().contains(&shape) {
        return refuse(&format!("the target {}", target.name()), target.shapes());
    }
    Ok(())
}

fn wanted_datastores(names: &[String]) -> Result<Vec<Datastore>, CommandError> {
    names
        .iter()
        .map(|name| match name.as_str() {
            "sqlite" => Ok(Datastore::Sqlite),
            "etcd" => Ok(Datastore::Etcd),
            _ => Err(CommandError::Usage(format!(
                "there is no datastore {name:?}; choose from sqlite, etcd"
            ))),
        })
        .collect()
}

fn intersect(wanted: &[Datastore], chosen: &Chosen) -> Result<Vec<Datastore>, CommandError> {
    let has = chosen.distribution.datastores();
    if let Some(lacking) = wanted.iter().find(|datastore| !has.contains(datastore)) {
        let name = chosen.distribution.name();
        let has: Vec<_> = has.iter().map(ToString::to_string).collect();
        return Err(CommandError::Usage(format!(
            "{name} does not run on {lacking}; it runs on {}",
            has.join(", ")
        )));
    }
    Ok(has
        .iter()
        .copied()
        .filter(|datastore| wanted.is_empty() || wanted.contains(datastore))
        .collect())
}
