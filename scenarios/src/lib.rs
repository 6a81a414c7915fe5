//! Content: what is checked and what is measured.

pub mod conformance;
pub mod datastore;
pub mod footprint;

use harness::suite::Suite;

/// The suites, in the order in which they run: a fresh server's footprint before it is used, and conformance last,
/// for it alone makes custom resource definitions, whose cost in memory no later figure should carry.
pub static SUITES: &[Suite] = &[
    Suite {
        name: "footprint",
        checks: Vec::new,
        scenarios: footprint::SCENARIOS,
    },
    Suite {
        name: "datastore",
        checks: Vec::new,
        scenarios: datastore::SCENARIOS,
    },
    Suite {
        name: "conformance",
        checks: conformance::checks,
        scenarios: &[],
    },
];
