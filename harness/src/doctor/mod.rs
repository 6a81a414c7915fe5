//! `doctor`: what this host offers, what it lacks, and the exact command that mends it.
//!
//! Probing turns a [`HostView`] into [`Finding`]s by a table of checks; rendering and fixing only read
//! findings. A check never changes the host.

pub mod args;
mod binaries;
mod boot;
mod cgroups;
mod command;
mod engines;
mod fix;
mod packages;
mod privileges;
mod render;
mod resources;
mod system;
mod view;

#[cfg(test)]
mod tests;

use serde::Serialize;

pub use command::{of_a_place, run_doctor};
pub use render::{Look, render_json, render_text};
pub use view::{Binary, Engine, Facts, HostView};

/// How a host stands with one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There and usable.
    Ok,
    /// Usable with a reservation, which the detail names.
    Degraded,
    /// Not there or not usable.
    Missing,
}

/// A command that mends a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fix {
    /// The program and its arguments; no shell is involved.
    pub command: Vec<String>,
    /// Whether only root may run it.
    pub needs_root: bool,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's id, as in `doctor --only`.
    pub id: &'static str,
    /// What was looked at, for people.
    pub what: &'static str,
    /// How it stands.
    pub state: State,
    /// What was found and, unless all is well, what to do.
    pub detail: String,
    /// The command that mends it, where one does.
    pub fix: Option<Fix>,
    /// What it makes possible.
    pub enables: &'static str,
    /// Whether nothing at all can run while it is missing.
    pub essential: bool,
}

/// One check of the host.
pub(crate) struct HostCheck {
    id: &'static str,
    what: &'static str,
    enables: &'static str,
    essential: bool,
    probe: fn(&HostView) -> Probed,
}

/// What a check's probe says; the rest of the finding is the check's own.
pub(crate) struct Probed {
    state: State,
    detail: String,
    fix: Option<Fix>,
}

impl Probed {
    fn ok(detail: impl Into<String>) -> Self {
        Self {
            state: State::Ok,
            detail: detail.into(),
            fix: None,
        }
    }

    fn degraded(detail: impl Into<String>) -> Self {
        Self {
            state: State::Degraded,
            detail: detail.into(),
            fix: None,
        }
    }

    fn missing(detail: impl Into<String>) -> Self {
        Self {
            state: State::Missing,
            detail: detail.into(),
            fix: None,
        }
    }

    fn with_fix(self, fix: Option<Fix>) -> Self {
        Self { fix, ..self }
    }
}

/// Every area's checks, in the order in which people read them.
const AREAS: &[&[HostCheck]] = &[
    system::MACHINE,
    privileges::CHECKS,
    cgroups::CHECKS,
    binaries::CHECKS,
    engines::CHECKS,
    resources::CHECKS,
    system::SURROUNDINGS,
];

/// The ids of all checks.
pub fn ids() -> impl Iterator<Item = &'static str> {
    AREAS.iter().copied().flatten().map(|check| check.id)
}

/// Runs every check.
pub fn examine(host: &HostView) -> Vec<Finding> {
    let checks = AREAS.iter().copied().flatten();
    checks
        .map(|check| {
            let Probed { state, detail, fix } = (check.probe)(host);
            let HostCheck {
                id,
                what,
                enables,
                essential,
                ..
            } = *check;
            Finding {
                id,
                what,
                state,
                detail,
                fix,
                enables,
                essential,
            }
        })
        .collect()
}

/// Whether `suite all` can run at all on such a host, if only on the specimen.
pub fn can_run(findings: &[Finding]) -> bool {
    !findings
        .iter()
        .any(|finding| finding.essential && finding.state == State::Missing)
}
