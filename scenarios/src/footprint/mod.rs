//! Footprint: what the distribution costs in memory and CPU, against the budget.
//!
//! `cold_start` is recorded by the runner itself, for it happens before there is anything to drive.

mod agent;
pub mod idle;
mod load;
mod partition;

use harness::scenario::Scenario;

/// The scenarios, in the order in which they run.
pub const SCENARIOS: &[&dyn Scenario] = &[
    &idle::Idle,
    &load::Load,
    &agent::Agent,
    &partition::Partition,
];
