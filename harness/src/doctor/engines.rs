//! Container engines and emulators.

use super::packages::{self, Thing};
use super::view::{Engine, HostView};
use super::{Fix, HostCheck, Probed};

pub(super) const CHECKS: &[HostCheck] = &[
    HostCheck {
        id: "docker",
        what: "Docker engine",
        enables: "the target docker: whole nodes in containers",
        essential: false,
        probe: docker,
    },
    HostCheck {
        id: "qemu",
        what: "qemu-system-aarch64",
        enables: "the target qemu: ARM64 boards, emulated",
        essential: false,
        probe: qemu,
    },
    HostCheck {
        id: "kvm",
        what: "arm64 guests on the host's own CPU",
        enables: "the target qemu at the speed of the host",
        essential: false,
        probe: kvm,
    },
];

/// The client alone proves nothing: what counts is an engine that answers.
fn docker(host: &HostView) -> Probed {
    let reason = match &host.facts.engine {
        Engine::Answers(address) => return Probed::ok(format!("answers at {address}")),
        Engine::Unusable(reason) => return Probed::missing(reason.clone()),
        Engine::Silent(reason) => reason,
    };
    if host.has_program("dockerd") {
        let start = ["systemctl", "start", "docker"].map(str::to_owned).to_vec();
        let fix = host.has_systemd().then_some(Fix {
            command: start,
            needs_root: true,
        });
        let how = if fix.is_some() {
            ""
        } else {
            "; start it: run `dockerd` as root"
        };
        return Probed::missing(format!("installed, but {reason}{how}")).with_fix(fix);
    }
    let client = if host.has_program("docker") {
        "only the client is installed: "
    } else {
        ""
    };
    Probed::missing(format!("{client}{reason}")).with_fix(packages::install(host, Thing::Docker))
}

fn qemu(host: &HostView) -> Probed {
    if host.has_program("qemu-system-aarch64") {
        return Probed::ok("in PATH");
    }
    Probed::missing("not in PATH").with_fix(packages::install(host, Thing::QemuArm64))
}

/// The device alone proves nothing: what counts is a guest that has run.
fn kvm(host: &HostView) -> Probed {
    match &host.facts.kvm {
        Ok(()) => Probed::ok("a guest has run with /dev/kvm"),
        Err(reason) => Probed::degraded(format!("guests are emulated (TCG): {reason}")),
    }
}
