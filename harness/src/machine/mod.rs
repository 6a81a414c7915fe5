//! Emulated ARM64 machines: profiles, the emulator's process, its control socket, network, disks and saved states.
//!
//! Nothing here knows what boots: kernel, images and the agent in the guest are the caller's.

mod boot;
pub mod command;
#[cfg(test)]
mod command_test;
mod control;
mod kvm;
mod network;
pub mod process;
pub mod profile;
pub mod qcow2;
pub mod qmp;
#[cfg(test)]
mod qmp_test;
mod state;
pub mod switch;
#[cfg(test)]
mod switch_test;

pub use boot::{Machine, Surroundings, may_use_tap};
pub use command::{Disk, DiskFormat, MachineSpec, Nic, TimeMode, USER_GATEWAY, USER_GUEST};
pub use control::BalloonStats;
pub use kvm::{Accelerator, kvm, run_guest};
pub use network::{Network, NetworkRequest};
pub use process::{Emulator, Ended, find_emulator};
pub use profile::{Profile, Size};
pub use qmp::{Qmp, QmpError, QmpEvent};
pub use state::{SavedState, StateStore, state_key};
pub use switch::{Link, Switch, Traffic};
