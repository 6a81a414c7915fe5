//! Load: the same work on a datastore and on the API server before it, driven, timed and recorded.
//!
//! A [`Workload`] is data. [`run`] drives it through a [`Store`], which is either etcd's protocol straight to the
//! datastore or ConfigMaps through the Kubernetes API, and gives a [`Load`]: latencies, errors, what was offered and
//! what was achieved. With a [`Recorder`] every request and its answer also go into a history, to be judged.

mod cpu;
mod generator;
mod recorder;
mod store;
mod tally;
mod workload;

pub use cpu::process_cpu;
pub use generator::run;
pub use recorder::{Handle, Recorder};
pub use store::{LoadError, Store, Unreachable, WatchStream};
pub use tally::{FLOOR, Kind, KindTally, Load};
pub use workload::{Mix, Pace, Workload};
