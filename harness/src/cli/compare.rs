//! `assay compare`: what changed from one run to another by more than noise.

use std::path::PathBuf;

use reports::ExitCode;
use reports::compare::{self, Comparison};

use super::{CommandError, report};
use crate::output::stdout;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of the first run, A.
    a: PathBuf,
    /// The folder of the second run, B. It may be the same one, with --cells.
    b: PathBuf,
    /// Compare this cell of A with that one of B, although they are called differently; may be given again. By default
    /// cells of the same id are compared.
    #[arg(long, value_name = "A=B", value_parser = cells)]
    cells: Vec<(String, String)>,
    /// What standard output gets.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Write what --format says into this file; standard output gets the table for people.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// End with exit code 5 when anything got worse by more than noise.
    #[arg(long)]
    fail_on_regression: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, clap::ValueEnum)]
enum Format {
    /// A table for people.
    #[default]
    Human,
    /// The whole comparison.
    Json,
    /// For a step summary or a comment.
    Markdown,
}

fn cells(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((a, b)) if !a.is_empty() && !b.is_empty() => Ok((a.to_owned(), b.to_owned())),
        _ => Err("write it as CELL_OF_A=CELL_OF_B".to_owned()),
    }
}

pub(super) fn run(args: &Args) -> Result<ExitCode, CommandError> {
    let (a, b) = (report::load(&args.a)?, report::load(&args.b)?);
    let compared = compare::compare(&a, &b, &args.cells)
        .map_err(|why| CommandError::Usage(format!("failed to compare: {why}")))?;
    if compared.pairs.is_empty() {
        return Err(CommandError::Usage(format!(
            "failed to compare: nothing of the two runs can be compared: {}",
            compared.refused.join("; ")
        )));
    }
    let rendered = render(&compared, args.format)?;
    match &args.out {
        None => stdout(rendered),
        Some(file) => {
            fs_err::write(file, rendered).map_err(|error| {
                CommandError::Usage(format!(
                    "failed to write the comparison: {error}; choose another --out"
                ))
            })?;
            stdout(compare::text(&compared));
            stdout(format_args!("comparison: {}\n", file.display()));
        }
    }
    Ok(if args.fail_on_regression && compared.regressed() {
        ExitCode::BudgetExceeded
    } else {
        ExitCode::Passed
    })
}

fn render(compared: &Comparison, format: Format) -> anyhow::Result<String> {
    Ok(match format {
        Format::Human => compare::text(compared),
        Format::Markdown => compare::markdown(compared),
        Format::Json => serde_json::to_string_pretty(compared)? + "\n",
    })
}
