//! The binaries under test.

use super::packages::{self, Thing};
use super::view::{Binary, HostView};
use super::{Fix, HostCheck, Probed};

pub(super) const CHECKS: &[HostCheck] = &[
    HostCheck {
        id: "k3s",
        what: "K3s binary",
        enables: "figures about K3s; without it only the built-in specimen is tested",
        essential: false,
        probe: k3s,
    },
    HostCheck {
        id: "etcd",
        what: "etcd binary",
        enables: "the etcd distribution, and etcd beside SQLite for the specimen",
        essential: false,
        probe: etcd,
    },
    HostCheck {
        id: "kubernetes",
        what: "Kubernetes binaries",
        enables: "the kubernetes distribution",
        essential: false,
        probe: kubernetes,
    },
];

fn k3s(host: &HostView) -> Probed {
    match &host.facts.k3s {
        Binary::Found(which) => Probed::ok(which),
        Binary::Fetchable(from) => Probed::missing(format!(
            "not on this machine; it can be fetched from {from}"
        ))
        .with_fix(Some(Fix {
            command: host.facts.fetch_k3s.clone(),
            needs_root: false,
        })),
        Binary::Absent(why) => Probed::missing(format!(
            "{why}; copy one here and give it as --k3s-binary or K3S_BINARY"
        )),
    }
}

fn etcd(host: &HostView) -> Probed {
    match &host.facts.etcd {
        Binary::Found(which) | Binary::Fetchable(which) => Probed::ok(which),
        Binary::Absent(why) => Probed::missing(why).with_fix(packages::install(host, Thing::Etcd)),
    }
}

fn kubernetes(host: &HostView) -> Probed {
    match &host.facts.kubernetes {
        Binary::Found(which) | Binary::Fetchable(which) => Probed::ok(which),
        Binary::Absent(why) => Probed::missing(why),
    }
}
