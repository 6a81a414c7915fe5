//! `assay sweep`: removes what dead runs left, by recorded identity.

use reports::ExitCode;

use super::CommandError;
use crate::scope::{StateDir, sweep};

#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(_: &Args) -> Result<ExitCode, CommandError> {
    let state = StateDir::find()?;
    let report = sweep(state.root());
    for item in &report.removed {
        println!("removed {item}");
    }
    for item in &report.remaining {
        println!("remains {item}");
    }
    println!(
        "{} removed, {} remain, {} live runs left alone",
        report.removed.len(),
        report.remaining.len(),
        report.alive_runs.len()
    );
    Ok(if report.remaining.is_empty() {
        ExitCode::Passed
    } else {
        ExitCode::Leftovers
    })
}
