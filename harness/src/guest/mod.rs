//! The guest of an emulated machine: what boots there, and the agent through which assay acts inside.
//!
//! A guest is built from Debian's arm64 packages and a few files of ours; nothing is installed on the host and no
//! root is needed. Its parts are cached by content.

mod acts;
mod apt;
mod args;
mod build;
mod bundle;
mod clock;
mod control;
mod cpio;
mod disk;
mod error;
mod manifest;
mod modules;
mod part;
mod protocol;
mod record;
mod request;
mod root;
mod samples;
mod sources;
mod store;
mod tool;

pub use apt::Package;
pub use args::GuestArgs;
pub use build::{Images, prepare};
pub use bundle::Bundle;
pub use control::Control;
pub use disk::{make_data_disk, programs_image};
pub use error::GuestError;
pub use manifest::Manifest;
pub use record::Record;
pub use request::{Event, Exec, Hello, Output, SERVER_CGROUP, Spawn, Status};
pub use samples::{SamplerCost, Samples};
