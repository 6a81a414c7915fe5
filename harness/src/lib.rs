//! Effects: provision a distribution on a target, drive it, sample it, tear it down.
//!
//! The harness knows no check and no scenario; the `scenarios` crate hands it its tables. Whatever happens
//! leaves as an event through one channel into the journal; judging and rendering belong to `reports`.

pub mod api;
pub mod artifact;
pub mod callback;
pub mod cancel;
pub mod cell;
pub mod cgroup;
pub mod check;
pub mod cli;
pub mod cold_start;
mod control_plane;
pub mod display;
pub mod distribution;
pub mod doctor;
pub mod drive;
pub mod engine;
pub mod guest;
pub mod histories;
mod hold;
pub mod host;
mod internal;
pub mod journal;
pub mod kubectl;
pub mod load;
pub mod machine;
pub mod net;
pub mod observer;
pub mod output;
pub mod plan;
pub mod probe;
pub mod profile;
pub mod ready;
mod redact;
pub mod run_dir;
pub mod runner;

pub mod sampler;
pub mod scenario;
pub mod scope;
mod settle;
pub mod specimen;
pub mod suite;
mod sys;
pub mod target;
pub mod text;
pub mod thrash;
pub mod version;
mod watchdog;
mod workshop;

pub use internal::internal;
