//! Disk, memory and swap.

use indicatif::HumanBytes;

use super::view::HostView;
use super::{HostCheck, Probed};

pub(super) const CHECKS: &[HostCheck] = &[
    HostCheck {
        id: "disk",
        what: "free disk",
        enables: "data folders, the cache and reports",
        essential: true,
        probe: disk,
    },
    HostCheck {
        id: "memory",
        what: "free memory",
        enables: "cells that the budget ends, not the host",
        essential: true,
        probe: memory,
    },
    HostCheck {
        id: "swap",
        what: "swap",
        enables: "a memory budget that means memory",
        essential: false,
        probe: swap,
    },
];

const MIB: u64 = 1 << 20;
/// The specimen and a report need this much.
const LEAST_DISK: u64 = 256 * MIB;
/// K3s unpacks to several times its download, and each datastore gets a folder of its own.
const GOOD_DISK: u64 = 2048 * MIB;
/// The harness and the specimen need this much.
const LEAST_MEMORY: u64 = 128 * MIB;
/// The edge budget of 512 MiB and the harness beside it.
const GOOD_MEMORY: u64 = 640 * MIB;

fn disk(host: &HostView) -> Probed {
    let Some((folder, free)) = host.facts.disks.iter().min_by_key(|(_, free)| free) else {
        return Probed::degraded("the free space is not to be seen");
    };
    let said = format!("{} free at {folder}", HumanBytes(*free));
    match *free {
        free if free < LEAST_DISK => Probed::missing(format!(
            "{said}; free at least {}, or set --out and ASSAY_CACHE",
            HumanBytes(LEAST_DISK)
        )),
        free if free < GOOD_DISK => Probed::degraded(format!(
            "{said}; K3s on both datastores wants {}",
            HumanBytes(GOOD_DISK)
        )),
        _ => Probed::ok(said),
    }
}

fn memory(host: &HostView) -> Probed {
    let kib = host
        .field("/proc/meminfo", "MemAvailable")
        .and_then(|value| value.split(' ').next()?.parse::<u64>().ok());
    let Some(free) = kib.map(|kib| kib * 1024) else {
        return Probed::degraded("/proc/meminfo does not say how much is available");
    };
    let said = format!("{} available", HumanBytes(free));
    match free {
        free if free < LEAST_MEMORY => Probed::missing(format!(
            "{said}; end other programs until there are {}",
            HumanBytes(LEAST_MEMORY)
        )),
        free if free < GOOD_MEMORY => Probed::degraded(format!(
            "{said}; the edge budget is 512 MiB, so the host may run out before the budget does"
        )),
        _ => Probed::ok(said),
    }
}

fn swap(host: &HostView) -> Probed {
    let swaps = host.read("/proc/swaps").unwrap_or_default();
    let on: Vec<_> = swaps
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if on.is_empty() {
        return Probed::ok("off");
    }
    Probed::degraded(format!(
        "on ({}): a cell may exceed its budget into it where the kernel cannot limit swap; turn it off with swapoff -a for figures that count",
        on.join(", ")
    ))
}
