//! What the record shows of an emulated machine.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::QemuTarget;
use crate::guest::{Control, Exec, Hello, Images};
use crate::machine::{Accelerator, Machine, Network, Profile, Size, TimeMode, kvm};

/// A key and a few words for each.
pub(super) fn facts(
    target: &QemuTarget,
    machine: &Machine,
    hello: &Hello,
    images: &Images,
) -> Vec<(String, String)> {
    let Size { memory_mib, cpus } = machine.spec().size;
    let profile = &target.profile;
    let packages = images
        .manifest
        .iter()
        .flat_map(|manifest| &manifest.packages);
    let etcd = packages
        .filter(|package| package.name == "etcd-server")
        .map(|package| {
            (
                "etcd".to_owned(),
                format!("Debian's etcd-server {}", package.version),
            )
        });
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
        TimeMode::Counted => {
            "counted: one nanosecond of the guest's clock per instruction; what the server draws as candidates of RSA \
             primes is the same in each run, for the luck of these draws is a sixth of a start"
        }
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
            format!(
                "QEMU {}, {}",
                machine.emulator().qmp().version(),
                accelerator(profile)
            ),
        ),
        ("guest kernel", hello.kernel.clone()),
        ("guest", guest),
        ("guest network", network.to_owned()),
        ("guest clock", time.to_owned()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .chain(etcd)
    .collect()
}

/// How the guest's instructions are executed, and why so.
fn accelerator(profile: &Profile) -> String {
    match (profile.accelerator, kvm()) {
        (Accelerator::Kvm, _) => {
            "kvm: the host's own CPU, on which a guest had run before".to_owned()
        }
        (Accelerator::Tcg, Err(reason)) => format!("tcg: {reason}"),
        (Accelerator::Tcg, Ok(())) => "tcg: instructions are counted".to_owned(),
    }
}

/// Fixed work for one CPU, by which emulated machines on different hosts can be told apart. Small, for it is done
/// before each server starts.
const CALIBRATION: &str = "dd if=/dev/zero bs=65536 count=256 2>/dev/null | sha256sum";
const CALIBRATION_MIB: u32 = 16;
/// The sum of as many zeros: that the work was done.
const CALIBRATION_SUM: &str = "080acf35a507ac9849cfcba47dc2ad83e01b75663a516279c8b9d243b719643e";

/// Measures how fast the machine is, on both clocks.
pub(super) async fn calibrate(control: &Control) -> Result<String> {
    let (here, there) = (Instant::now(), control.tick(Duration::ZERO).await?);
    let done = control.exec(&Exec::new(&["sh", "-c", CALIBRATION])).await?;
    let there = control.tick(Duration::ZERO).await?.saturating_sub(there);
    let here = here.elapsed();
    let sum = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        sum.starts_with(CALIBRATION_SUM),
        "failed to calibrate the machine: its SHA-256 of zeros is wrong"
    );
    Ok(format!(
        "{CALIBRATION_MIB} MiB of SHA-256 took {} ms by the guest's clock, {} ms by the host's",
        there.as_millis(),
        here.as_millis()
    ))
}
