//! `qemu`: the server in an emulated ARM64 machine that is as large as its budget.
//!
//! The budget *is* the machine: nothing in it can have more memory or CPUs, the kernel's own share included. Wall
//! time there is the emulator's and never a board's. Nothing of the guest's images is written to: each cell has
//! overlays and a data disk of its own, which go with it.

mod agents;
mod booted;
mod cluster;
mod evidence;
mod facts;
mod follow;
mod lan;
mod life;
mod limits;
mod node;
mod parts;
mod provision;
mod samplers;
mod saved;
mod server;

use std::path::PathBuf;
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reports::budget::Budget;

use crate::artifact::{Arch, Cache};
use crate::cell::{Cell, Shape};
use crate::guest::GuestArgs;
use crate::machine::{Accelerator, Profile, TimeMode, kvm};
use crate::scope::Scope;
use crate::target::{Cluster, ProvisionError, Target, TargetKind, Timing};

/// This target, in the table.
pub(super) const KIND: TargetKind = TargetKind {
    name: NAME,
    title: "an emulated ARM64 machine as large as the budget",
    found_by: Some("qemu"),
    open: |args| Ok(Arc::new(QemuTarget::new(&args.qemu)?)),
};

const NAME: &str = "qemu";
/// The machine where none is named: that of the `edge` budget.
const MACHINE: &str = "aarch64-virt";

/// How much slower than this host a server runs when the clock is free. A K3s that is up after 8 s natively takes
/// 44 s on one emulated core of a quiet 2-core host.
const FREE_PATIENCE: u32 = 4;
/// Counting instructions costs a third more, and the guest's clock stands still while the host is busy.
const COUNTED_PATIENCE: u32 = 8;

/// The options of this target.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct QemuArgs {
    /// qemu: the machine, aarch64-virt, pi3, pi4, or a TOML file; a budget without a size takes the machine's
    #[arg(long, value_name = "NAME|FILE")]
    pub machine: Option<String>,
    /// qemu: how the guest's clock runs, with the host's (free) or with its own instructions (counted)
    #[arg(long, value_enum, default_value_t)]
    pub time: TimeMode,
    /// qemu: restore the ready server from a saved state, or else a booted guest; what is not there is made and saved
    #[arg(long)]
    pub restore: bool,
    /// qemu: swap of this size in the guest, compressed in the machine's own memory, such as 256Mi; part of the cell's
    /// name
    #[arg(long, value_name = "SIZE", value_parser = zram)]
    pub zram: Option<u64>,
    /// Where the guest comes from.
    #[command(flatten)]
    pub guest: GuestArgs,
}

/// The target `qemu`.
#[derive(Debug, Clone)]
pub struct QemuTarget {
    /// `qemu`, with the machine and the way of time where they are not the default ones.
    pub name: &'static str,
    /// The kind of machine.
    pub profile: Profile,
    /// How the guest's clock runs.
    pub time: TimeMode,
    /// Whether a ready server is restored from a saved state, or saved where there is none.
    pub restore: bool,
    /// Bytes of swap that the guest has in zram, if any.
    pub zram: Option<u64>,
    /// Where the guest comes from.
    pub guest: GuestArgs,
    /// The program that serves the inner commands of [`crate::internal()`]; `None` is this very program.
    pub helper: Option<PathBuf>,
    /// Where built guests are kept.
    pub cache: Cache,
}

impl QemuTarget {
    /// With this program as its own helper.
    ///
    /// # Errors
    /// When there is no such machine.
    pub fn new(args: &QemuArgs) -> Result<Self, String> {
        let machine = args.machine.as_deref().unwrap_or(MACHINE);
        let mut profile = Profile::find(machine).map_err(|error| format!("{error:#}"))?;
        if args.time == TimeMode::Free && kvm().is_ok() {
            profile.accelerator = Accelerator::Kvm;
        }
        Ok(Self {
            name: name_of(&profile, args.time, args.zram),
            profile,
            time: args.time,
            restore: args.restore,
            zram: args.zram,
            guest: args.guest.clone(),
            helper: None,
            cache: Cache::of_user(),
        })
    }

    /// The program that serves the inner commands.
    fn helper(&self) -> PathBuf {
        let own = || "/proc/self/exe".into();
        self.helper.clone().unwrap_or_else(own)
    }
}

/// Cells of different machines or clocks are different cells: no figure of one is ever compared with the other's.
fn name_of(profile: &Profile, time: TimeMode, zram: Option<u64>) -> &'static str {
    let machine = match profile.name.as_str() {
        MACHINE => String::new(),
        other => format!("-{other}"),
    };
    let time = match time {
        TimeMode::Free => "",
        TimeMode::Counted => "-counted",
    };
    let accelerator = match profile.accelerator {
        Accelerator::Tcg => "",
        Accelerator::Kvm => "-kvm",
    };
    let zram = zram.map_or_else(String::new, |bytes| format!("-zram{}Mi", bytes >> 20));
    // Made once a run.
    String::leak(format!("{NAME}{machine}{accelerator}{time}{zram}"))
}

/// A size for zram: a whole number of MiB, as `256Mi` or `256MiB`.
fn zram(text: &str) -> Result<u64, String> {
    let quantity = text.strip_suffix('B').unwrap_or(text);
    // The names of whole budgets are no sizes.
    let number = quantity.starts_with(|first: char| first.is_ascii_digit());
    let budget = number.then(|| quantity.parse::<Budget>().ok()).flatten();
    let bytes = budget.and_then(|budget| budget.memory_bytes);
    bytes
        .filter(|bytes| *bytes > 0 && bytes.is_multiple_of(1 << 20))
        .ok_or_else(|| "write a whole number of MiB, such as 256Mi".to_owned())
}

impl Target for QemuTarget {
    fn name(&self) -> &'static str {
        self.name
    }

    fn timing(&self) -> Timing {
        Timing::Emulated
    }

    fn arch(&self) -> Option<Arch> {
        Some(Arch::Arm64)
    }

    fn shapes(&self) -> &'static [Shape] {
        &[Shape::ControlPlane, Shape::Node]
    }

    /// Counted machines have a clock each, which run apart: they would take each other for late.
    fn has_agents(&self) -> bool {
        self.time == TimeMode::Free
    }

    fn patience(&self) -> u32 {
        match self.time {
            TimeMode::Free => FREE_PATIENCE,
            TimeMode::Counted => COUNTED_PATIENCE,
        }
    }

    /// Debian's etcd is in the guest's own root disk.
    fn supplies(&self, artifact: &str) -> bool {
        artifact == "etcd"
    }

    fn provision<'a>(
        &'a self,
        cell: &'a Cell,
        scope: &'a Scope,
    ) -> BoxFuture<'a, Result<Box<dyn Cluster>, ProvisionError>> {
        provision::provision(self, cell, scope).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_a_machine_another_one_is_in_its_name() {
        let mut virt = Profile::find(MACHINE).unwrap();
        assert_eq!(name_of(&virt, TimeMode::Free, None), "qemu");
        let zram = Some(zram("256MiB").unwrap());
        assert_eq!(
            name_of(&virt, TimeMode::Counted, zram),
            "qemu-counted-zram256Mi"
        );
        virt.accelerator = Accelerator::Kvm;
        assert_eq!(name_of(&virt, TimeMode::Free, None), "qemu-kvm");
    }

    #[test]
    fn a_size_of_zram_is_whole_mebibytes() {
        assert_eq!(zram("384Mi"), Ok(384 << 20));
        for bad in ["", "0", "edge", "1000", "x"] {
            zram(bad).unwrap_err();
        }
    }
}
