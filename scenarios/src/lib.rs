//! Content: what is checked and what is measured.

pub mod conformance;
pub mod datastore;
pub mod footprint;

use harness::suite::Suite;

/// The suites, in the order in which they run: the footprint of a fresh server is read before it is loaded.
pub static SUITES: &[Suite] = &[
    Suite {
        name: "footprint",
        checks: Vec::new,
        scenarios: footprint::SCENARIOS,
    },
    Suite {
        name: "conformance",
        checks: conformance::checks,
        scenarios: &[],
    },
    Suite {
        name: "datastore",
        checks: Vec::new,
        scenarios: datastore::SCENARIOS,
    },
];
