//! `assay sweep`: removes what dead runs left, by recorded identity.

use reports::ExitCode;

use super::{CommandError, state_dir};
use crate::output::stdout;
use crate::scope::sweep;

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<ExitCode, CommandError> {
    let state = state_dir()?;
    let report = sweep(state.root());
    for item in &report.removed {
        stdout(format_args!("removed {item}\n"));
    }
    for item in &report.remaining {
        stdout(format_args!("remains {item}\n"));
    }
    stdout(format_args!(
        "{} removed, {} remain, {} live runs left alone\n",
        report.removed.len(),
        report.remaining.len(),
        report.alive_runs.len()
    ));
    Ok(if report.remaining.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::Leftovers
    })
}
