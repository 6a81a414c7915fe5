//! `assay list`: what there is to run.

use fixtures::official::{self, Tier};
use reports::ExitCode;
use serde_json::json;

use super::CommandError;
use crate::check::Check;
use crate::output::stdout;
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
        Format::Human => stdout(human(suites)),
        Format::Json => {
            let all: Vec<_> = suites.iter().map(as_json).collect();
            let text = serde_json::to_string_pretty(&all).map_err(anyhow::Error::from)?;
            stdout(format_args!("{text}\n"));
        }
    }
    Ok(ExitCode::Passed)
}

fn human(suites: &[Suite]) -> String {
    let mut lines = Vec::new();
    for suite in suites {
        lines.push(format!("{}\n", suite.name));
        for scenario in suite.scenarios {
            let id = format!("{}/{}", suite.name, scenario.name());
            lines.push(format!("  {id:<52} {}\n", scenario.title()));
        }
        for check in (suite.checks)() {
            let slow = check
                .slow
                .map_or_else(String::new, |why| format!(" (slow: {why})"));
            lines.push(format!("  {:<52} {}{slow}\n", check.id, check.title));
        }
    }
    lines.concat()
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
                "official": check.names().map(|name| official(check, name)).collect::<Vec<_>>(),
                "serial": check.serial,
                "requires": check.requires.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "slow": check.slow,
                "kills": check.kills.iter().map(|mutant| mutant.name).collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({"suite": suite.name, "scenarios": scenarios, "checks": checks})
}

/// An official test of a check: what it needs, whether the check only restates it, and the minor versions whose list
/// has it.
fn official(check: &Check, name: &str) -> serde_json::Value {
    let tier = official::find(name).map(|known| known.tier);
    let minors: Vec<_> = official::minors(name)
        .into_iter()
        .map(|minor| format!("1.{minor}"))
        .collect();
    json!({
        "name": name,
        "tier": tier.map(Tier::letter),
        "restated": tier == Some(Tier::R) || check.restates.contains(&name),
        "minors": minors,
    })
}
