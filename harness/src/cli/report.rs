//! `assay report`: judges and renders a run from its journal, by the same code as at its end.

use std::path::{Path, PathBuf};

use anyhow::Context;
use reports::record::RunRecord;
use reports::{ExitCode, REPORTS, Report};

use super::CommandError;
use crate::output::{stderr_line, stdout};
use crate::run_dir::write_rendered;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The run's folder.
    #[arg(default_value = "reports/runs/latest")]
    run: PathBuf,
    /// Only these formats, such as html,junit.
    #[arg(long, value_delimiter = ',')]
    format: Vec<String>,
    /// Write beneath this folder instead of the run's own.
    #[arg(long)]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let formats = chosen(&args.format)?;
    let record = load(&args.run)?;
    let out = args.out.as_deref().unwrap_or(&args.run);
    render(&record, &formats, out)
        .map_err(|error| CommandError::Usage(format!("{error:#}; choose another --out")))?;
    stdout(reports::console::summary(&record, super::suite::colour()));
    stdout(format_args!("report: {}\n", place(&formats, out).display()));
    Ok(reports::exit_code(&record))
}

/// What to open: the page where it was written, else the folder.
fn place(formats: &[&dyn Report], out: &Path) -> PathBuf {
    if formats.iter().any(|report| report.name() == "html") {
        out.join("report.html")
    } else {
        out.to_owned()
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static dyn Report>, CommandError> {
    if names.is_empty() {
        return Ok(REPORTS.to_vec());
    }
    names
        .iter()
        .map(|name| {
            REPORTS
                .iter()
                .copied()
                .find(|report| report.name() == name)
                .ok_or_else(|| {
                    let known: Vec<_> = REPORTS.iter().map(|report| report.name()).collect();
                    CommandError::Usage(format!(
                        "there is no format {name:?}; choose from {}",
                        known.join(", ")
                    ))
                })
        })
        .collect()
}

/// Reads and judges a run.
pub(super) fn load(run: &Path) -> Result<RunRecord, CommandError> {
    let journal = run.join("events.jsonl");
    let bytes = fs_err::read(&journal).map_err(|error| {
        CommandError::Usage(format!(
            "failed to read a run: {error}; name a folder that holds events.jsonl"
        ))
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let mut record = RunRecord::from_journal(&text).map_err(|error| {
        CommandError::Usage(format!("failed to read {}: {error}", journal.display()))
    })?;
    crate::histories::judge(run, &mut record);
    reports::judge(&mut record);
    Ok(record)
}

/// Renders a judged run; one format's failure does not keep the others from being written.
pub(super) fn render(
    record: &RunRecord,
    formats: &[&dyn Report],
    out: &Path,
) -> anyhow::Result<()> {
    let mut failure = None;
    for report in formats {
        let written = report
            .render(record)
            .map_err(anyhow::Error::from)
            .and_then(|files| write_rendered(out, &files));
        if let Err(error) = written {
            stderr_line(format_args!("assay: {error:#}"));
            failure.get_or_insert(error);
        }
    }
    failure
        .map_or(Ok(()), Err)
        .context("failed to write the whole report")
}
