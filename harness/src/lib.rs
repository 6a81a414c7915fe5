//! Effects: provision a distribution on a target, drive it, sample it, tear it down.
//!
//! The harness knows no check and no scenario; the `scenarios` crate hands it its tables. Whatever happens
//! leaves as an event through one channel into the journal; judging and rendering belong to `reports`.

pub mod artifact;
pub mod cell;
pub mod distribution;
pub mod doctor;
pub mod sampler;
pub mod scope;
pub mod target;
