//! Datastore: the same work on SQLite and on etcd, from the same host.

mod size;
mod write_ladder;

use harness::scenario::Scenario;

/// The scenarios, in the order in which they run.
pub const SCENARIOS: &[&dyn Scenario] = &[&write_ladder::WriteLadder];
