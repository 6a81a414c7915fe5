//! Which cgroups this host has: pure parsing, so that hosts that are not at hand can be tested.

use std::path::{Path, PathBuf};

use crate::scope::unescape;

/// How the host's cgroups are arranged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Version 1 hierarchies only.
    V1,
    /// The unified hierarchy only.
    V2,
    /// Version 1 controllers with a unified hierarchy beside them.
    Hybrid,
    /// No cgroup file system is mounted.
    None,
}

impl Mode {
    /// The lower-case word used in every output.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
            Self::Hybrid => "hybrid",
            Self::None => "none",
        }
    }
}

/// Where the v1 controllers that assay uses are mounted, or a cell's folders in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V1Mounts {
    /// `memory`: limit, usage, peak, OOM.
    pub memory: PathBuf,
    /// `cpu`: quota and throttling.
    pub cpu: PathBuf,
    /// `cpuacct`: CPU time.
    pub cpuacct: Option<PathBuf>,
    /// `pids`: only so that every process is listed in one more place.
    pub pids: Option<PathBuf>,
    /// `freezer`: stops every process at once.
    pub freezer: Option<PathBuf>,
}

impl V1Mounts {
    /// All paths, without repeating co-mounted ones.
    #[must_use]
    pub fn distinct(&self) -> Vec<&Path> {
        let mut all = vec![self.memory.as_path(), self.cpu.as_path()];
        all.extend(
            [&self.cpuacct, &self.pids, &self.freezer]
                .into_iter()
                .flatten()
                .map(PathBuf::as_path),
        );
        let mut distinct = Vec::with_capacity(all.len());
        for path in all {
            if !distinct.contains(&path) {
                distinct.push(path);
            }
        }
        distinct
    }

    pub(crate) fn map(&self, f: impl Fn(&Path) -> PathBuf) -> Self {
        Self {
            memory: f(&self.memory),
            cpu: f(&self.cpu),
            cpuacct: self.cpuacct.as_deref().map(&f),
            pids: self.pids.as_deref().map(&f),
            freezer: self.freezer.as_deref().map(&f),
        }
    }

    #[cfg(test)]
    pub(crate) fn rooted_at(root: &Path) -> Self {
        Self {
            memory: root.join("memory"),
            cpu: root.join("cpu"),
            cpuacct: Some(root.join("cpuacct")),
            pids: Some(root.join("pids")),
            freezer: Some(root.join("freezer")),
        }
    }
}

/// The hierarchy in which cells' cgroups are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hierarchy {
    /// Version 1: the same relative path in each.
    V1(V1Mounts),
    /// Version 2.
    V2 {
        /// Where it is mounted.
        mount: PathBuf,
    },
}

/// The host's cgroups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// How they are arranged.
    pub mode: Mode,
    /// Where a cell's cgroup would go, or why a budget cannot be enforced and what to do.
    pub usable: Result<Hierarchy, String>,
}

const NO_MEMORY: &str = "the kernel offers no memory controller; on a Raspberry Pi append \
     `cgroup_memory=1 cgroup_enable=memory` to the one line of /boot/firmware/cmdline.txt and reboot";

/// Reads the host's files.
#[must_use]
pub fn probe() -> Layout {
    let mountinfo = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    detect(&mountinfo, |mount| {
        std::fs::read_to_string(mount.join("cgroup.controllers")).unwrap_or_default()
    })
}

/// Judges the text of `/proc/self/mountinfo`; `controllers` gives the text of `cgroup.controllers` of a v2 mount.
///
/// `/proc/cgroups` is not asked: from Linux 6.12 without CONFIG_MEMCG_V1 it no longer lists memory though v2
/// memory works.
pub fn detect(mountinfo: &str, controllers: impl Fn(&Path) -> String) -> Layout {
    let mut v1: Vec<(&str, PathBuf)> = Vec::new();
    let mut v2: Option<PathBuf> = None;
    for line in mountinfo.lines() {
        let Some((left, right)) = line.split_once(" - ") else {
            continue;
        };
        let Some(point) = left.split(' ').nth(4).map(unescape) else {
            continue;
        };
        let mut right = right.split(' ');
        match (right.next(), right.nth(1)) {
            (Some("cgroup"), Some(options)) => {
                v1.extend(options.split(',').map(|option| (option, point.clone())));
            }
            // The first one counts: container runtimes bind further ones elsewhere.
            (Some("cgroup2"), _) if v2.is_none() => v2 = Some(point),
            _ => {}
        }
    }
    let controller = |name: &str| {
        v1.iter()
            .find(|(option, _)| *option == name)
            .map(|(_, point)| point.clone())
    };
    let has_v1 = [
        "memory", "cpu", "cpuacct", "cpuset", "blkio", "pids", "devices", "freezer",
    ]
    .iter()
    .any(|name| controller(name).is_some());
    let mode = match (has_v1, v2.is_some()) {
        (true, true) => Mode::Hybrid,
        (true, false) => Mode::V1,
        (false, true) => Mode::V2,
        (false, false) => Mode::None,
    };
    let usable = match (controller("memory"), controller("cpu"), v2) {
        (Some(memory), Some(cpu), _) => Ok(Hierarchy::V1(V1Mounts {
            memory,
            cpu,
            cpuacct: controller("cpuacct"),
            pids: controller("pids"),
            freezer: controller("freezer"),
        })),
        (Some(_), None, _) => Err(
            "the cgroup v1 controller `cpu` is not mounted; mount it beneath /sys/fs/cgroup"
                .to_owned(),
        ),
        (None, _, Some(mount)) => {
            let offered = controllers(&mount);
            let offers = |name| offered.split_ascii_whitespace().any(|c| c == name);
            match (offers("memory"), offers("cpu")) {
                (true, true) => Ok(Hierarchy::V2 { mount }),
                (false, _) if has_v1 => Err(NO_MEMORY.to_owned()),
                (false, false) => Err(format!(
                    "no controllers are delegated to {}; run as root outside a container, or under \
                     `systemd-run --user --scope -p Delegate=yes`",
                    mount.display()
                )),
                (false, true) => Err(NO_MEMORY.to_owned()),
                (true, false) => Err(format!(
                    "the controller `cpu` is not delegated to {}; delegate it, or run as root",
                    mount.display()
                )),
            }
        }
        (None, _, None) if has_v1 => Err(NO_MEMORY.to_owned()),
        (None, _, None) => {
            Err("no cgroup file system is mounted; mount cgroup2 on /sys/fs/cgroup".to_owned())
        }
    };
    Layout { mode, usable }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(name: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/mountinfo")
            .join(name);
        std::fs::read_to_string(path).unwrap()
    }

    fn judge(name: &str, controllers: &str) -> Layout {
        detect(&fixture(name), |_| controllers.to_owned())
    }

    #[test]
    fn hybrid_hosts_use_the_v1_controllers() {
        let layout = judge("hybrid", "hugetlb");
        assert_eq!(layout.mode, Mode::Hybrid);
        let root = Path::new("/sys/fs/cgroup");
        assert_eq!(layout.usable, Ok(Hierarchy::V1(V1Mounts::rooted_at(root))));
    }

    #[test]
    fn co_mounted_controllers_share_a_folder() {
        let layout = judge("v1-systemd", "");
        assert_eq!(layout.mode, Mode::V1);
        let Ok(Hierarchy::V1(mounts)) = layout.usable else {
            panic!("{layout:?}");
        };
        assert_eq!(mounts.cpu, Path::new("/sys/fs/cgroup/cpu,cpuacct"));
        assert_eq!(mounts.cpuacct.as_ref(), Some(&mounts.cpu));
        assert_eq!(mounts.distinct().len(), 3);
    }

    #[test]
    fn a_unified_host_is_usable_if_memory_and_cpu_are_there() {
        let mount = PathBuf::from("/sys/fs/cgroup");
        let layout = judge("v2", "cpuset cpu io memory hugetlb pids rdma\n");
        assert_eq!(
            (layout.mode, layout.usable),
            (Mode::V2, Ok(Hierarchy::V2 { mount }))
        );
        let undelegated = judge("v2", "\n").usable.unwrap_err();
        assert!(undelegated.contains("delegated"), "{undelegated}");
    }

    #[test]
    fn a_raspberry_pi_without_memory_is_told_what_to_append() {
        for (name, controllers) in [("v2", "cpuset cpu io pids\n"), ("v1-pi-no-memory", "")] {
            let reason = judge(name, controllers).usable.unwrap_err();
            assert!(reason.contains("cgroup_enable=memory"), "{name}: {reason}");
        }
        // systemd on a Pi: v1 controllers without memory, and a unified hierarchy without it.
        let reason = judge("hybrid-pi-no-memory", "").usable.unwrap_err();
        assert!(reason.contains("cgroup_enable=memory"), "{reason}");
    }

    #[test]
    fn nothing_mounted_is_said_so() {
        assert_eq!(detect("", |_| String::new()).mode, Mode::None);
        assert!(
            detect("garbage - x\n\u{0}", |_| String::new())
                .usable
                .is_err()
        );
    }
}
