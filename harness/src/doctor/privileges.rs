//! May assay make namespaces and cgroups?

use super::view::HostView;
use super::{HostCheck, Probed};

pub(super) const CHECKS: &[HostCheck] = &[
    HostCheck {
        id: "root",
        what: "root",
        enables: "budgets that are enforced, not only observed; private namespaces on native",
        essential: false,
        probe: root,
    },
    HostCheck {
        id: "namespaces",
        what: "namespaces",
        enables: "K3s on native, beside other cells and without touching the host",
        essential: false,
        probe: namespaces,
    },
];

fn root(host: &HostView) -> Probed {
    if host.is_root() {
        return Probed::ok("running as root");
    }
    Probed::degraded(
        "not root: budgets are observed but not enforced; run assay with sudo to enforce them",
    )
}

/// The bits of `CapEff` in /proc/self/status that are needed (linux/capability.h).
const NEEDED: &[(u32, &str)] = &[(12, "CAP_NET_ADMIN"), (21, "CAP_SYS_ADMIN")];

fn namespaces(host: &HostView) -> Probed {
    let lacking: Vec<_> = ["mnt", "net", "pid"]
        .into_iter()
        .filter(|kind| !host.exists(&format!("/proc/self/ns/{kind}")))
        .collect();
    if !lacking.is_empty() {
        return Probed::missing(format!(
            "the kernel has no {} namespaces; use a kernel with CONFIG_NAMESPACES",
            lacking.join(", ")
        ));
    }
    for kind in ["mnt", "net", "pid"] {
        let limit = host.read(&format!("/proc/sys/user/max_{kind}_namespaces"));
        if limit.is_some_and(|limit| limit.trim() == "0") {
            return Probed::missing(format!(
                "user.max_{kind}_namespaces is 0; raise it with sysctl"
            ));
        }
    }
    if !host.is_root() {
        return Probed::degraded(
            "the kernel has them, but only root may make them; run assay with sudo",
        );
    }
    let held = host
        .field("/proc/self/status", "CapEff")
        .and_then(|hex| u64::from_str_radix(&hex, 16).ok());
    let Some(held) = held else {
        return Probed::degraded(
            "the kernel has them; whether this process may make them is not to be seen",
        );
    };
    let missing: Vec<_> = NEEDED
        .iter()
        .filter(|(bit, _)| held >> bit & 1 == 0)
        .map(|(_, name)| *name)
        .collect();
    if missing.is_empty() {
        return Probed::ok("mount, network and pid namespaces can be made");
    }
    Probed::missing(format!(
        "root, but without {} (a container?); run it with --privileged",
        missing.join(" and ")
    ))
}
