//! Datastore: the same work on SQLite and on etcd, from the same host.

mod common;
mod compaction;
mod faults;
mod large_values;
mod lease_churn;
mod mixed_soak;
mod read_list_scaling;
mod restart;
mod size;
mod watch_fanout;
mod write_ladder;

use harness::scenario::Scenario;

/// The scenarios, in the order in which they run.
pub const SCENARIOS: &[&dyn Scenario] = &[
    &write_ladder::WriteLadder,
    &read_list_scaling::ReadListScaling,
    &watch_fanout::WatchFanout,
    &large_values::LargeValues,
    &lease_churn::LeaseChurn,
    &compaction::Compaction,
    &mixed_soak::MixedSoak,
    &restart::Restart,
    &faults::KILL,
    &faults::FREEZE,
    &faults::OUT_OF_MEMORY,
    &faults::DISK_FULL,
    &faults::READ_ONLY,
    &faults::KILLED_COMPACTING,
    &faults::SlowSync,
];
