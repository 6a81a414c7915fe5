//! Datastore: the same work on SQLite and on etcd, from the same host.

mod mix;
mod size;
pub mod store;

use harness::scenario::Scenario;

/// The scenarios, in the order in which they run.
pub const SCENARIOS: &[&dyn Scenario] = &[&mix::Mix];
