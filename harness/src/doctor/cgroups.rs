//! Which cgroup hierarchies carry the memory and the CPU controller?

use super::boot;
use super::view::HostView;
use super::{HostCheck, Probed};

pub(super) const CHECKS: &[HostCheck] = &[
    HostCheck {
        id: "cgroup-memory",
        what: "memory cgroup",
        enables: "the memory budget and its figures; K3s itself refuses to run a node without it",
        essential: false,
        probe: memory,
    },
    HostCheck {
        id: "cgroup-cpu",
        what: "cpu cgroup",
        enables: "the CPU budget and the throttled share",
        essential: false,
        probe: cpu,
    },
];

/// A mounted hierarchy that carries a controller.
struct Hierarchy {
    version: u8,
    folder: String,
    writable: bool,
}

impl Hierarchy {
    fn probed(&self, host: &HostView) -> Probed {
        let mode = match (self.version, hierarchies(host)) {
            (2, _) => "v2",
            (_, (_, true)) => "v1 of a hybrid host",
            _ => "v1",
        };
        if self.writable {
            return Probed::ok(format!("cgroup {mode} at {}", self.folder));
        }
        Probed::degraded(format!(
            "cgroup {mode} at {} is mounted read-only, so budgets are observed but not enforced; run a container with --privileged",
            self.folder
        ))
    }
}

fn memory(host: &HostView) -> Probed {
    match find(host, "memory") {
        Some(found) => found.probed(host),
        None => boot::memory_advice(host),
    }
}

fn cpu(host: &HostView) -> Probed {
    match find(host, "cpu") {
        Some(found) => found.probed(host),
        None => Probed::missing(
            "no mounted hierarchy carries the cpu controller; check that /sys/fs/cgroup is mounted and that the kernel has CONFIG_CFS_BANDWIDTH",
        ),
    }
}

fn find(host: &HostView, controller: &str) -> Option<Hierarchy> {
    let mounts = host.read("/proc/self/mounts")?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (folder, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        let mut options = options.split(',');
        let writable = options.clone().any(|option| option == "rw");
        let (version, carries) = match kind {
            "cgroup" => (1, options.any(|option| option == controller)),
            "cgroup2" => {
                let listed = host
                    .read(&format!("{folder}/cgroup.controllers"))
                    .unwrap_or_default();
                (
                    2,
                    listed.split_whitespace().any(|listed| listed == controller),
                )
            }
            _ => return None,
        };
        carries.then(|| Hierarchy {
            version,
            folder: folder.to_owned(),
            writable,
        })
    })
}

/// Whether cgroup v1 and v2 are mounted.
fn hierarchies(host: &HostView) -> (bool, bool) {
    let mounts = host.read("/proc/self/mounts").unwrap_or_default();
    let has = |kind| {
        mounts
            .lines()
            .any(|line| line.split(' ').nth(2) == Some(kind))
    };
    (has("cgroup"), has("cgroup2"))
}
