//! The machine, and what surrounds a run.

use fixtures::artifacts::Arch;

use super::view::HostView;
use super::{Fix, HostCheck, Probed};

/// What the host is.
pub(super) const MACHINE: &[HostCheck] = &[
    HostCheck {
        id: "arch",
        what: "architecture",
        enables: "released K3s binaries",
        essential: false,
        probe: arch,
    },
    HostCheck {
        id: "kernel",
        what: "kernel",
        enables: "namespaces, cgroups and their counters",
        essential: false,
        probe: kernel,
    },
];

/// What may disturb a run.
pub(super) const SURROUNDINGS: &[HostCheck] = &[
    HostCheck {
        id: "clock",
        what: "clock",
        enables: "certificates that are valid now and later",
        essential: true,
        probe: clock,
    },
    HostCheck {
        id: "systemd",
        what: "init system",
        enables: "nothing: assay starts servers itself",
        essential: false,
        probe: systemd,
    },
    HostCheck {
        id: "invocation-id",
        what: "INVOCATION_ID",
        enables: "the same cgroup driver in every run",
        essential: false,
        probe: invocation_id,
    },
];

fn arch(host: &HostView) -> Probed {
    let name = &host.facts.arch;
    match name.parse::<Arch>() {
        Ok(Arch::Arm) => Probed::degraded(format!(
            "{name}: K3s is still released for 32-bit ARM, but Kubernetes is not tested there any more; use a 64-bit image"
        )),
        Ok(_) => Probed::ok(name),
        Err(_) => Probed::degraded(format!(
            "{name}: there is no K3s release for it; give your own build as --k3s-binary"
        )),
    }
}

fn kernel(host: &HostView) -> Probed {
    let release = host
        .read("/proc/sys/kernel/osrelease")
        .unwrap_or_default()
        .trim()
        .to_owned();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse::<u32>);
    let (Some(Ok(major)), Some(Ok(minor))) = (numbers.next(), numbers.next()) else {
        return Probed::degraded(format!("its release {release:?} is not understood"));
    };
    // cgroup v2 got memory.peak in 5.19; before it, the peak is what the sampler saw.
    if (major, minor) < (5, 19) && host.exists("/sys/fs/cgroup/cgroup.controllers") {
        return Probed::degraded(format!(
            "{release} keeps no memory peak on cgroup v2 (5.19 and later do), so peaks are sampled"
        ));
    }
    Probed::ok(release)
}

/// 1980-01-01: K3s refuses to start before it.
const EPOCH_OF_K3S: i64 = 315_532_800;
/// 2026-01-01: this program is younger.
const OLDER_THAN_ASSAY: i64 = 1_767_225_600;

fn clock(host: &HostView) -> Probed {
    let now = host.facts.now;
    if now >= OLDER_THAN_ASSAY {
        return Probed::ok("plausible");
    }
    let date = jiff::Timestamp::from_second(now).map_or_else(
        |_| now.to_string(),
        |time| time.strftime("%Y-%m-%d").to_string(),
    );
    let command = ["timedatectl", "set-ntp", "true"]
        .map(str::to_owned)
        .to_vec();
    let fix = (host.has_systemd() && host.has_program("timedatectl")).then_some(Fix {
        command,
        needs_root: true,
    });
    let text = format!(
        "it says {date}, which is past (a board without a clock battery?); set it, or certificates made now will not be valid"
    );
    if now < EPOCH_OF_K3S {
        Probed::missing(text).with_fix(fix)
    } else {
        Probed::degraded(text).with_fix(fix)
    }
}

fn systemd(host: &HostView) -> Probed {
    Probed::ok(if host.has_systemd() {
        "systemd"
    } else {
        "not systemd; K3s's install.sh would refuse, assay does not use it"
    })
}

/// K3s takes the systemd cgroup driver when this variable is set (a CI runner that is a systemd unit leaks it).
fn invocation_id(host: &HostView) -> Probed {
    Probed::ok(if host.variables.contains_key("INVOCATION_ID") {
        "set by a systemd unit; assay keeps it from servers, which would change K3s's cgroup driver"
    } else {
        "not set"
    })
}
