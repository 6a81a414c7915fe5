//! What this host is and offers, probed once.

mod rights;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reports::event::Host;

use crate::cgroup::{self, Layout};

pub use rights::{Rights, bounding_capabilities};

/// The host as probed.
#[derive(Debug, Clone)]
pub struct Probe {
    /// For the record.
    pub host: Host,
    /// For the plan and `doctor`.
    pub offers: Offers,
}

/// What the host offers beyond its description.
#[derive(Debug, Clone)]
pub struct Offers {
    /// Root and capabilities.
    pub rights: Rights,
    /// Its cgroups, and why they are unusable if they are.
    pub cgroups: Layout,
    /// `Err`: why private namespaces cannot be made.
    pub namespaces: Result<(), String>,
    /// Where the Docker socket is, if it is.
    pub docker_socket: Option<PathBuf>,
    /// `qemu-system-aarch64` on `PATH`.
    pub qemu_aarch64: Option<PathBuf>,
    /// `etcd` on `PATH`.
    pub etcd: Option<PathBuf>,
}

impl Offers {
    /// Whether a budget can be enforced here, or why not and what to do.
    ///
    /// # Errors
    /// The reason.
    pub fn enforcement(&self) -> Result<(), String> {
        if !self.rights.root {
            return Err("not root, so that no cgroup can be made; run as root".to_owned());
        }
        self.cgroups
            .usable
            .as_ref()
            .map(|_| ())
            .map_err(Clone::clone)
    }
}

/// Probes this host. Takes a few milliseconds, changes nothing.
#[must_use]
pub fn probe() -> Probe {
    let rights = Rights::current();
    let cgroups = cgroup::probe();
    let namespaces = rights::namespaces();
    let host = Host {
        kernel: text("/proc/sys/kernel/osrelease").unwrap_or_default(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: processor(&text("/proc/cpuinfo").unwrap_or_default()),
        // Those that the affinity mask and, on v2, the own cgroup's quota leave.
        cpus: std::thread::available_parallelism()
            .map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
        memory_bytes: meminfo("MemTotal:").unwrap_or(0),
        cgroups: cgroups.mode.word().to_owned(),
        root: rights.root,
        facts: facts(&cgroups, &namespaces),
    };
    let offers = Offers {
        rights,
        cgroups,
        namespaces,
        docker_socket: ["/run/docker.sock", "/var/run/docker.sock"]
            .into_iter()
            .map(PathBuf::from)
            .find(|path| path.exists()),
        qemu_aarch64: on_path("qemu-system-aarch64"),
        etcd: on_path("etcd"),
    };
    Probe { host, offers }
}

fn facts(cgroups: &Layout, namespaces: &Result<(), String>) -> BTreeMap<String, String> {
    let mut facts = BTreeMap::new();
    let mut put = |key: &str, value: Option<String>| {
        if let Some(value) = value {
            facts.insert(key.to_owned(), value);
        }
    };
    put(
        "swap_bytes",
        meminfo("SwapTotal:").map(|bytes| bytes.to_string()),
    );
    put(
        "transparent_hugepages",
        text("/sys/kernel/mm/transparent_hugepage/enabled").map(|t| chosen(&t)),
    );
    put(
        "clocksource",
        text("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
    );
    put("boot_id", Some(crate::scope::boot_id()));
    put("cgroups_unusable", cgroups.usable.as_ref().err().cloned());
    put("namespaces_refused", namespaces.as_ref().err().cloned());
    put("virtualized", virtualized());
    facts
}

fn text(path: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    Some(text.trim_end().to_owned())
}

/// `always [madvise] never` has the chosen word in brackets.
fn chosen(text: &str) -> String {
    text.split_ascii_whitespace()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'))
        .unwrap_or(text)
        .to_owned()
}

/// x86 says `model name`; ARM says it only in newer kernels, and a Raspberry Pi has `Model` at the end.
fn processor(cpuinfo: &str) -> String {
    ["model name", "Model", "Hardware"]
        .iter()
        .find_map(|wanted| {
            cpuinfo.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                (key.trim() == *wanted).then(|| value.trim().to_owned())
            })
        })
        .unwrap_or_else(|| "unknown".to_owned())
}

/// A line of `/proc/meminfo`, in bytes.
fn meminfo(key: &str) -> Option<u64> {
    let text = text("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kib: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(kib * 1024)
}

/// Time on a virtual machine may be stolen; the record says that it was one.
fn virtualized() -> Option<String> {
    let cpuinfo = text("/proc/cpuinfo")?;
    cpuinfo
        .lines()
        .find(|line| line.starts_with("flags"))?
        .split_ascii_whitespace()
        .any(|flag| flag == "hypervisor")
        .then(|| "yes".to_owned())
}

/// Looks a program up on `PATH`.
#[must_use]
pub fn on_path(name: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let runs = |path: &Path| {
        path.metadata()
            .is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(name))
        .find(|path| runs(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_host_is_described() {
        let probe = probe();
        assert!(probe.host.cpus >= 1 && probe.host.memory_bytes > 0);
        assert!(!probe.host.kernel.is_empty());
        assert_eq!(probe.host.root, probe.offers.rights.root);
        assert!(on_path("sh").is_some() && on_path("no such program").is_none());
    }

    #[test]
    fn processors_name_themselves_differently() {
        assert_eq!(
            processor("processor\t: 0\nmodel name\t: Intel X\n"),
            "Intel X"
        );
        let pi = "processor\t: 0\nBogoMIPS\t: 108\n\nModel\t\t: Raspberry Pi 4 Model B\n";
        assert_eq!(processor(pi), "Raspberry Pi 4 Model B");
        assert_eq!(processor(""), "unknown");
        assert_eq!(chosen("always [madvise] never"), "madvise");
    }
}
