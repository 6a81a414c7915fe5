//! What the record shows of an emulated machine.

use super::QemuTarget;
use crate::guest::{Hello, Images};
use crate::machine::{Machine, Network, Size, TimeMode};

/// A key and a few words for each.
pub(super) fn facts(
    target: &QemuTarget,
    machine: &Machine,
    hello: &Hello,
    images: &Images,
) -> Vec<(String, String)> {
    let Size { memory_mib, cpus } = machine.spec().size;
    let profile = &target.profile;
    let guest = match &images.manifest {
        Some(manifest) => format!(
            "built from {} packages, {}",
            manifest.packages.len(),
            manifest.key
        ),
        None => "given by the user".to_owned(),
    };
    let network = match machine.network() {
        Network::Private { .. } => "TAP device",
        Network::Forwarded { .. } => {
            "user-mode network with forwarded ports, for there is no root; it stalls beyond some 50 connections at once"
        }
    };
    let time = match target.time {
        TimeMode::Free => "free running: wall times are the emulator's",
        TimeMode::Counted => "counted: one nanosecond of the guest's clock per instruction",
    };
    [
        (
            "machine",
            format!(
                "{}: {}; {memory_mib} MiB, {cpus} CPU ({})",
                profile.name, profile.title, profile.cpu
            ),
        ),
        (
            "emulator",
            format!("QEMU {}, TCG", machine.emulator().qmp().version()),
        ),
        ("guest kernel", hello.kernel.clone()),
        ("guest", guest),
        ("guest network", network.to_owned()),
        ("guest clock", time.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .to_vec()
}
