//! Tests of the checks on made-up hosts, and of what is rendered and run from their findings.

mod hosts;
mod mending;
mod rendering;

use std::collections::BTreeMap;

use tempfile::TempDir;

use super::{Binary, Engine, Facts, Finding, HostView, examine};

/// A made-up host: a folder with the files that the checks read.
struct MadeUp {
    folder: TempDir,
    view: HostView,
}

const ROOT: &str = "Name:\tassay\nUid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n";
const USER: &str = "Name:\tassay\nUid:\t1000\t1000\t1000\t1000\nCapEff:\t0000000000000000\n";
const V2: &str = "cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n";
const V1_MEMORY: &str = "cgroup /sys/fs/cgroup/memory cgroup rw,relatime,memory 0 0\n";

impl MadeUp {
    /// A host on which all is well: root, cgroup v2, everything installed.
    fn well() -> Self {
        let folder = tempfile::tempdir().expect("temporary folder");
        let facts = Facts {
            k3s: Binary::Found("v1.36.3+k3s1 at /usr/local/bin/k3s (PATH)".into()),
            etcd: Binary::Found("3.5.9 at /usr/bin/etcd (PATH)".into()),
            kubernetes: Binary::Found(
                "v1.36.2 at /usr/local/kubebuilder/bin/kube-apiserver (convention)".into(),
            ),
            engine: Engine::Answers("unix:///var/run/docker.sock".into()),
            disks: vec![("/".into(), 20 << 30), ("/home".into(), 10 << 30)],
            now: 1_800_000_000,
            arch: "aarch64".into(),
            kvm: Ok(()),
            fetch_k3s: vec!["/opt/assay".into(), "fetch".into(), "k3s".into()],
        };
        let variables = BTreeMap::from([("PATH".to_owned(), "/usr/bin:/usr/sbin".to_owned())]);
        let view = HostView {
            root: folder.path().to_owned(),
            variables,
            facts,
        };
        let host = Self { folder, view };
        for (path, text) in [
            ("proc/self/status", ROOT),
            ("proc/self/mounts", V2),
            (
                "proc/meminfo",
                "MemTotal: 8000000 kB\nMemAvailable:    4000000 kB\n",
            ),
            ("proc/swaps", "Filename Type Size Used Priority\n"),
            ("proc/sys/kernel/osrelease", "6.12.34+rpt-rpi-v8\n"),
            (
                "proc/cgroups",
                "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t40\t1\n",
            ),
            ("proc/cmdline", "console=tty1\n"),
            ("proc/self/ns/mnt", ""),
            ("proc/self/ns/net", ""),
            ("proc/self/ns/pid", ""),
            (
                "sys/fs/cgroup/cgroup.controllers",
                "cpuset cpu io memory pids\n",
            ),
            ("usr/bin/qemu-system-aarch64", ""),
            ("usr/bin/apt-get", ""),
        ] {
            host.put(path, text);
        }
        host
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs_err::create_dir_all(path.parent().expect("below the root")).expect("writable");
        fs_err::write(path, text).expect("writable");
    }

    fn remove(&self, path: &str) {
        fs_err::remove_file(self.folder.path().join(path)).expect("there");
    }

    fn finding(&self, id: &str) -> Finding {
        examine(&self.view)
            .into_iter()
            .find(|finding| finding.id == id)
            .expect(id)
    }

    /// The fix of a finding as one would type it.
    fn fix(&self, id: &str) -> Option<String> {
        self.finding(id)
            .fix
            .as_ref()
            .map(|fix| super::fix::shown(fix, false))
    }
}
