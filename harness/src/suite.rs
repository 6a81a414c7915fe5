//! Suites: named sets of checks and scenarios. The `scenarios` crate fills the table.

use std::time::Duration;

use crate::check::Check;
use crate::distribution::{Distribution, Surface};
use crate::profile::Repeats;
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
    /// Every check that the suite has: what was not chosen is told apart from what does not exist.
    pub every: Vec<&'static Check>,
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
            every: (suite.checks)(),
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

/// A slice through everything that was chosen, for quick runs: the first check of each area and the first scenario of
/// each suite.
#[must_use]
pub fn slice(selections: Vec<Selection>) -> Vec<Selection> {
    let area = |check: &&'static Check| check.id.split('/').next();
    selections
        .into_iter()
        .map(|mut selection| {
            selection.checks.retain(|check| check.slow.is_none());
            selection.checks.dedup_by_key(|check| area(check));
            selection.scenarios.truncate(1);
            selection
        })
        .collect()
}

/// What of the selections runs again in repeat `nth`, counted from 0: the scenarios that repeat so often, and nothing
/// else.
#[must_use]
pub fn again(selections: &[Selection], nth: u32, repeats: Repeats) -> Vec<Selection> {
    let of = |selection: &Selection| Selection {
        checks: Vec::new(),
        scenarios: selection
            .scenarios
            .iter()
            .copied()
            .filter(|scenario| repeats.of(*scenario) > nth)
            .collect(),
        ..selection.clone()
    };
    let kept = selections.iter().map(of);
    kept.filter(|selection| !selection.is_empty()).collect()
}

/// A check that may wait longer than this is for whoever asks for it.
const LONG: Duration = Duration::from_secs(5 * 60);

/// Leaves out the checks that may wait longer than all the others together take, and gives their ids.
#[must_use]
pub fn without_the_longest(mut selections: Vec<Selection>) -> (Vec<Selection>, Vec<&'static str>) {
    let mut left_out = Vec::new();
    for selection in &mut selections {
        let (long, rest) = selection
            .checks
            .iter()
            .partition(|check| check.patience > LONG);
        selection.checks = rest;
        left_out.extend(long.into_iter().map(|check: &Check| check.id));
    }
    (selections, left_out)
}

/// Leaves out of `all` the suites of which a distribution serves nothing, with a sentence for each. A suite that
/// was asked for by name is never left out.
///
/// # Errors
/// With a usage message, when nothing remains.
pub fn served(
    selections: Vec<Selection>,
    name: &str,
    distribution: &dyn Distribution,
) -> Result<(Vec<Selection>, Vec<String>), String> {
    let surfaces = distribution.surfaces();
    let serves = |selection: &Selection| {
        let checks = !selection.checks.is_empty() && surfaces.contains(&Surface::KubernetesApi);
        checks
            || selection.scenarios.iter().any(|scenario| {
                scenario
                    .surfaces()
                    .iter()
                    .any(|need| surfaces.contains(need))
            })
    };
    let (served, not): (Vec<_>, Vec<_>) = selections.into_iter().partition(serves);
    let sentence = |selection: &Selection| {
        format!(
            "{} serves none of the APIs that the suite {} needs",
            distribution.name(),
            selection.suite
        )
    };
    let left_out: Vec<String> = not.iter().map(sentence).collect();
    match left_out.first() {
        Some(why) if name != "all" || served.is_empty() => Err(format!(
            "{why}; choose another distribution or another suite"
        )),
        _ => Ok((
            served,
            left_out
                .into_iter()
                .map(|why| format!("{why}: it was left out"))
                .collect(),
        )),
    }
}
