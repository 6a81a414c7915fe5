//! `assay suite`: plan, run, judge, report.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context;
use reports::event::{EventKind, RunStarted, SCHEMA_VERSION};
use reports::{ExitCode, REPORTS};

use super::leg::{self, Leg};
use super::{CommandError, dry_run, report, state_dir};
use crate::artifact::args::{EtcdArgs, K3sArgs};
use crate::cancel::Cancel;
use crate::cell::{Cell, Shape};
use crate::display::Live;
use crate::journal::{Journal, Sink};
use crate::observer::{self, SamplerCost};
use crate::output::stdout;
use crate::profile::{Profile, Repeats};
use crate::run_dir::RunDir;
use crate::runner::{RunSettings, run_cell};
use crate::scope::{Scope, StateDir};
use crate::suite::Suite;
use crate::target::TargetArgs;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// all, conformance, datastore or footprint.
    pub(super) suite: String,
    /// Where clusters are made: native, docker, qemu, or existing for one that is there already; several separated by
    /// commas. By default native; for `all` every one that this host has, within the profile.
    #[arg(long, value_delimiter = ',')]
    pub(super) target: Vec<String>,
    /// How much is run.
    #[arg(long, value_enum, default_value_t)]
    pub(super) profile: Profile,
    /// auto, k3s, kubernetes, reference or etcd. auto is K3s where it can be had, else the built-in specimen.
    #[arg(long, default_value = "auto")]
    pub(super) distribution: String,
    /// sqlite, sqlite-full (waiting for the disk at each commit), etcd, or several separated by commas. By default sqlite
    /// and etcd, as far as the distribution has them; for `datastore --profile full` all three.
    #[arg(long, value_delimiter = ',')]
    pub(super) datastore: Vec<String>,
    /// edge (512 MiB, 1 CPU; the default but for an existing cluster), server (2 GiB, 2 CPU), unlimited, or MEMORY/CPU
    /// such as 768Mi/1.5.
    #[arg(long)]
    pub(super) budget: Option<String>,
    /// How much of Kubernetes the server runs.
    #[arg(long, value_enum, default_value_t)]
    pub(super) shape: Shape,
    /// A variable for the server and its agents, such as GOGC=40; may be given again. It becomes part of the cell's name.
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) server_env: Vec<(String, String)>,
    /// How many agents join the server, each a further node with a budget like the server's; needs --shape node and a
    /// target that can, docker or free-running qemu. It becomes part of the cell's name.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = clap::value_parser!(u8).range(..=8))]
    pub(super) agents: u8,
    /// Run headline scenarios on this many servers, one after another, instead of as many as the profile has; the
    /// datastores take turns in mirrored order.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..=100))]
    repeats: Option<u32>,
    /// Only checks and scenarios whose id or title holds this text.
    #[arg(long)]
    pub(super) filter: Option<String>,
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
    pub(super) dry_run: bool,
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
    pub(super) k3s: K3sArgs,
    #[command(flatten)]
    pub(super) etcd: EtcdArgs,
    #[command(flatten)]
    pub(super) places: TargetArgs,
}

impl Args {
    /// How often scenarios run.
    pub(super) fn repeats(&self) -> Repeats {
        Repeats {
            profile: self.profile,
            asked: self.repeats,
        }
    }
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
    let (legs, left_out) = leg::plan(&args, suites).await?;
    if args.dry_run {
        match args.format {
            Format::Human => stdout(dry_run::text(&legs, &left_out)),
            Format::Json => stdout(format_args!("{}\n", dry_run::json(&legs, &left_out))),
        }
        return Ok(ExitCode::Passed);
    }
    // Before the run's folder: a run that cannot start leaves none.
    let state = state_dir()?;
    let dir =
        RunDir::create(&args.out).map_err(|error| CommandError::Usage(format!("{error:#}")))?;
    execute(&args, &dir, &state, legs, left_out).await?;
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
    legs: Vec<Leg>,
    left_out: Vec<String>,
) -> Result<(), CommandError> {
    let surroundings = |error: anyhow::Error| CommandError::Errored(format!("{error:#}"));
    let (stop, cancel) = Cancel::on_signals().map_err(anyhow::Error::from)?;
    let journal = Journal::create(&dir.journal(), Box::new(Live::on_stderr()), move || {
        // Nobody waits any more when the run is over.
        let _ = stop.send(true);
    })
    .map_err(surroundings)?;
    let sink = journal.sink();
    sink.run(started(dir, &legs));
    let warnings = legs.iter().flat_map(|leg| &leg.chosen.warnings);
    for message in left_out.iter().chain(warnings) {
        sink.run(EventKind::Warning {
            message: message.clone(),
        });
    }
    let scope = Scope::open(state.root(), dir.id())
        .map_err(|error| CommandError::Usage(format!("{error:#}")))?;
    let mut run = Run {
        args,
        dir,
        state,
        scope: &scope,
        sink: &sink,
        cancel: &cancel,
        begun: Instant::now(),
        cells: 0,
        cost: SamplerCost::default(),
    };
    let mut outcome = Ok(());
    for leg in legs {
        outcome = outcome.and(run.leg(leg).await);
    }
    let cost = run.cost;
    finish(sink, &cancel, &cost);
    // What stayed is in the record of its cell already.
    scope.close();
    journal.close().map_err(surroundings)?;
    outcome.map_err(surroundings)
}

/// What all legs of a run share.
struct Run<'a> {
    args: &'a Args,
    dir: &'a RunDir,
    state: &'a StateDir,
    scope: &'a Scope,
    sink: &'a Sink,
    cancel: &'a Cancel,
    begun: Instant,
    cells: usize,
    cost: SamplerCost,
}

impl Run<'_> {
    async fn leg(&mut self, leg: Leg) -> anyhow::Result<()> {
        let args = self.args;
        let patience = leg.target.patience();
        let settings = RunSettings {
            run: self.dir.id().to_owned(),
            target: leg.target,
            selections: leg.selections,
            repeats: args.repeats(),
            binaries: leg.chosen.binaries,
            version: leg.chosen.version,
            artifacts: leg.chosen.artifacts,
            jobs: usize::from(args.jobs),
            ready_within: Duration::from_secs(args.ready_timeout) * patience,
            hold: Duration::from_secs(args.hold),
            profile: args.profile,
            folder: self.dir.path().to_owned(),
        };
        for mut planned in leg.planned {
            if self.cancel.is_cancelled() {
                break;
            }
            planned.skip = planned.skip.or_else(|| self.too_late());
            let logs = self
                .dir
                .logs(&planned.id)
                .context("failed to make a folder for the server's log")?;
            let cell = Cell {
                id: planned.id.clone(),
                distribution: planned.distribution,
                datastore: planned.datastore,
                shape: planned.shape,
                env: planned.env.clone(),
                agents: planned.agents,
                budget: planned.budget.clone(),
                disk: planned.faults.then_some(crate::plan::FAULTS_DISK),
                binaries: settings.binaries.clone(),
                // Short, for unix sockets beneath it have at most 107 bytes for their path.
                work: self
                    .state
                    .work()
                    .join(self.dir.short_id())
                    .join(self.cells.to_string()),
                keep: args.keep,
                logs,
            };
            self.cells += 1;
            let sink = self.sink.cell(&planned.id);
            let cost = &mut self.cost;
            run_cell(
                &settings,
                &planned,
                &cell,
                self.scope,
                &sink,
                self.cancel,
                cost,
            )
            .await;
        }
        Ok(())
    }

    /// Why no further cell is begun, if so. What was asked for by name is always begun.
    fn too_late(&self) -> Option<String> {
        let time = self.args.profile.time()?;
        let chosen_by_us = self.args.target.is_empty();
        (chosen_by_us && self.begun.elapsed() >= time).then(|| {
            format!(
                "the profile's {} minutes were over; give --profile full",
                time.as_secs() / 60
            )
        })
    }
}

fn started(dir: &RunDir, legs: &[Leg]) -> EventKind {
    let mut suites: Vec<String> = Vec::new();
    for selection in legs.iter().flat_map(|leg| &leg.selections) {
        if !suites.iter().any(|suite| suite == selection.suite) {
            suites.push(selection.suite.to_owned());
        }
    }
    EventKind::RunStarted(RunStarted {
        schema: SCHEMA_VERSION,
        run: dir.id().to_owned(),
        started_at: jiff::Timestamp::now().to_string(),
        assay: env!("CARGO_PKG_VERSION").to_owned(),
        command: crate::text::redact_words(
            std::env::args_os().map(|word| word.to_string_lossy().into_owned()),
        ),
        suites,
        host: crate::host::probe().host,
    })
}

fn finish(sink: Sink, cancel: &Cancel, cost: &SamplerCost) {
    sink.run(EventKind::RunFinished {
        interrupted: cancel.is_cancelled(),
        observer: observer::observe(cost),
    });
}
