//! The command line.

mod compare;
mod dry_run;
mod known_bug;
mod leg;
mod list;
mod mutants;
mod report;
mod resolve;
mod suite;
mod sweep;

use std::ffi::OsString;
use std::process::ExitCode as Status;

use clap::{CommandFactory, Parser, Subcommand};
use reports::ExitCode;

use crate::suite::Suite;

/// Tests whether a lightweight Kubernetes can be trusted on an edge device.
#[derive(Debug, Parser)]
#[command(name = "assay", version, propagate_version = true, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 passed; 1 internal error; 2 usage; 3 nothing ran; 4 a check failed; \
5 a budget or baseline was exceeded; 6 errored (could not provision or judge); 7 leftovers remain; 130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run a suite, judge it, and write its report.
    Suite(Box<suite::Args>),
    /// List suites, scenarios and checks.
    List(list::Args),
    /// Show that each check can fail: run it under each defect that it says it notices.
    Mutants(Box<mutants::Args>),
    /// What this host offers, what is missing, and the command that installs it.
    Doctor(crate::doctor::args::DoctorArgs),
    /// Judge and render an earlier run again.
    Report(report::Args),
    /// Tell what changed from one run to another, or from one cell to another, by more than noise.
    Compare(compare::Args),
    /// Remove what runs that died have left behind, and nothing else.
    Sweep(sweep::Args),
    /// Download a distribution into the cache.
    Fetch(crate::artifact::args::FetchArgs),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Why a command did not end well.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    /// The user can mend it: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The surroundings failed: exit code 6.
    #[error("{0}")]
    Errored(String),
    /// assay failed: exit code 1.
    #[error("{0:#}")]
    Internal(#[from] anyhow::Error),
}

impl CommandError {
    fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::Usage,
            Self::Errored(_) => ExitCode::Errored,
            Self::Internal(_) => ExitCode::Internal,
        }
    }
}

/// The whole program: hands hidden subcommands to their modules, everything else to the command line.
#[must_use]
pub fn main(suites: &'static [Suite]) -> Status {
    let args: Vec<OsString> = std::env::args_os().collect();
    if let Some(status) = crate::specimen::entry(&args).or_else(|| crate::internal(&args)) {
        return status;
    }
    let cli = Cli::parse();
    // One provider in the tree; a second installation is the only error and harms nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| CommandError::Internal(error.into()))
        .and_then(|runtime| {
            let outcome = runtime.block_on(run(cli, suites));
            // A name look-up that hangs in a thread of its own must not hold the exit.
            runtime.shutdown_background();
            outcome
        });
    match outcome {
        Ok(code) => Status::from(code.code()),
        Err(error) => {
            crate::output::stderr_line(format_args!("assay: {error}"));
            Status::from(error.exit_code().code())
        }
    }
}

/// Gives an artifact's error its own exit code.
fn artifact(error: anyhow::Error) -> CommandError {
    match error.downcast::<crate::artifact::ArtifactError>() {
        Ok(error) => resolve::refused(error),
        Err(error) => error.into(),
    }
}

/// The state folder. That it cannot be had is for the user to mend.
fn state_dir() -> Result<crate::scope::StateDir, CommandError> {
    crate::scope::StateDir::find().map_err(|error| CommandError::Usage(format!("{error:#}")))
}

async fn run(cli: Cli, suites: &'static [Suite]) -> Result<ExitCode, CommandError> {
    match cli.command {
        Command::Suite(args) => suite::run(*args, suites).await,
        Command::Mutants(args) => mutants::run(*args, suites).await,
        Command::List(args) => list::run(&args, suites),
        Command::Doctor(args) => {
            let able = crate::doctor::run_doctor(&args).await.map_err(artifact)? == 0;
            Ok(if able {
                ExitCode::Passed
            } else {
                ExitCode::Errored
            })
        }
        Command::Report(args) => report::run(&args),
        Command::Compare(args) => compare::run(&args),
        Command::Sweep(args) => sweep::run(&args),
        Command::Fetch(args) => {
            crate::artifact::run_fetch(&args).await.map_err(artifact)?;
            Ok(ExitCode::Passed)
        }
        Command::Completions { shell } => {
            // Into memory first: the generator panics on a reader that has gone.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "assay", &mut script);
            crate::output::stdout(String::from_utf8_lossy(&script));
            Ok(ExitCode::Passed)
        }
    }
}
