//! Suites: named sets of checks and scenarios. The `scenarios` crate fills the table.

use crate::check::Check;
use crate::scenario::Scenario;

/// A named set.
pub struct Suite {
    /// Its name, as in `assay suite <name>`.
    pub name: &'static str,
    /// Its checks, in the order in which they are listed.
    pub checks: fn() -> Vec<&'static Check>,
    /// Its scenarios, in the order in which they run.
    pub scenarios: &'static [&'static dyn Scenario],
}

/// What of a suite was chosen.
#[derive(Clone)]
pub struct Selection {
    /// The suite's name.
    pub suite: &'static str,
    /// Its chosen checks.
    pub checks: Vec<&'static Check>,
    /// Its chosen scenarios.
    pub scenarios: Vec<&'static dyn Scenario>,
}

impl Selection {
    /// Whether nothing was chosen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.checks.is_empty() && self.scenarios.is_empty()
    }
}

/// Chooses suites by name (`all` is every suite) and what in them has `filter` in its id or title.
///
/// # Errors
/// With a usage message, when there is no such suite or the filter selects nothing.
pub fn select(
    suites: &'static [Suite],
    name: &str,
    filter: Option<&str>,
) -> Result<Vec<Selection>, String> {
    let chosen: Vec<&Suite> = suites
        .iter()
        .filter(|suite| name == "all" || suite.name == name)
        .collect();
    if chosen.is_empty() {
        let names: Vec<&str> = suites.iter().map(|suite| suite.name).collect();
        return Err(format!(
            "there is no suite {name:?}; choose one of all, {}",
            names.join(", ")
        ));
    }
    let matches = |text: &str| filter.is_none_or(|filter| text.contains(filter));
    let selected: Vec<Selection> = chosen
        .iter()
        .map(|suite| Selection {
            suite: suite.name,
            checks: (suite.checks)()
                .into_iter()
                .filter(|check| matches(check.id) || matches(check.title))
                .collect(),
            scenarios: suite
                .scenarios
                .iter()
                .copied()
                .filter(|scenario| matches(&format!("{}/{}", suite.name, scenario.name())))
                .collect(),
        })
        .filter(|selection| !selection.is_empty())
        .collect();
    if selected.is_empty() {
        return Err(format!(
            "the filter {:?} selects no check and no scenario; `assay list` shows them all",
            filter.unwrap_or_default()
        ));
    }
    Ok(selected)
}
