//! Conformance: what an API server does that needs no kubelet, each statement a check of its own.
//!
//! One area a file. A new check is a `Check` and its line in the area's `CHECKS`; a new area is a file, its `mod` line and
//! its line in [`AREAS`]. The official source of each test named in `official` was read, or, where a comment says
//! so, its one-line summary; nothing of it is copied.

mod configmap;
mod discovery;
mod kinds;
mod namespace;
mod version;
mod watchers;

use harness::check::Check;

/// A group of checks that concern one thing.
#[derive(Clone, Copy)]
pub struct Area {
    /// The part of its checks' ids before the slash, and the name of its file.
    pub name: &'static str,
    /// Its checks.
    pub checks: &'static [Check],
}

/// Every area.
pub const AREAS: &[Area] = &[
    Area {
        name: "configmap",
        checks: configmap::CHECKS,
    },
    Area {
        name: "discovery",
        checks: discovery::CHECKS,
    },
    Area {
        name: "namespace",
        checks: namespace::CHECKS,
    },
    Area {
        name: "version",
        checks: version::CHECKS,
    },
    Area {
        name: "watchers",
        checks: watchers::CHECKS,
    },
];

/// Every check, in the order of the table.
#[must_use]
pub fn checks() -> Vec<&'static Check> {
    AREAS.iter().flat_map(|area| area.checks).collect()
}
