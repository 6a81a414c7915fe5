//! `assay list`: what there is to run.

use reports::ExitCode;
use serde_json::json;

use super::CommandError;
use crate::suite::Suite;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, Default, clap::ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

pub(super) fn run(args: &Args, suites: &'static [Suite]) -> Result<ExitCode, CommandError> {
    match args.format {
        Format::Human => human(suites),
        Format::Json => {
            let all: Vec<_> = suites.iter().map(as_json).collect();
            println!(
                "{}",
                serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?
            );
        }
    }
    Ok(ExitCode::Passed)
}

fn human(suites: &[Suite]) {
    for suite in suites {
        println!("{}", suite.name);
        for scenario in suite.scenarios {
            println!(
                "  {:<52} {}",
                format!("{}/{}", suite.name, scenario.name()),
                scenario.title()
            );
        }
        for check in (suite.checks)() {
            println!("  {:<52} {}", check.id, check.title);
        }
    }
}

fn as_json(suite: &Suite) -> serde_json::Value {
    let scenarios: Vec<_> = suite
        .scenarios
        .iter()
        .map(|scenario| json!({"id": format!("{}/{}", suite.name, scenario.name()), "title": scenario.title()}))
        .collect();
    let checks: Vec<_> = (suite.checks)()
        .into_iter()
        .map(|check| {
            json!({
                "id": check.id,
                "title": check.title,
                "official": check.official,
                "requires": check.requires.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "kills": check.kills.iter().map(|mutant| mutant.name).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"suite": suite.name, "scenarios": scenarios, "checks": checks})
}
