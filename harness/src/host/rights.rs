//! What this process may do.

use rustix::thread::{CapabilitySet, UnshareFlags};

/// Capabilities that some target needs.
const OF_INTEREST: &[(&str, CapabilitySet)] = &[
    ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN),
    ("CAP_NET_ADMIN", CapabilitySet::NET_ADMIN),
    ("CAP_SYS_RESOURCE", CapabilitySet::SYS_RESOURCE),
    ("CAP_SYS_PTRACE", CapabilitySet::SYS_PTRACE),
    ("CAP_KILL", CapabilitySet::KILL),
    ("CAP_SYS_MODULE", CapabilitySet::SYS_MODULE),
];

/// Root and capabilities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rights {
    /// Whether the effective user is root.
    pub root: bool,
    /// Capabilities of interest that are in effect.
    pub effective: Vec<&'static str>,
    /// Capabilities of interest that children could get at most.
    pub bounding: Vec<&'static str>,
}

impl Rights {
    /// Those of this process.
    #[must_use]
    pub fn current() -> Self {
        let effective = rustix::thread::capabilities(None)
            .map_or_else(|_| CapabilitySet::empty(), |sets| sets.effective);
        let names = |has: &dyn Fn(CapabilitySet) -> bool| {
            OF_INTEREST
                .iter()
                .filter(|(_, capability)| has(*capability))
                .map(|(name, _)| *name)
                .collect()
        };
        Self {
            root: rustix::process::geteuid().is_root(),
            effective: names(&|capability| effective.contains(capability)),
            bounding: names(&|capability| {
                rustix::thread::capability_is_in_bounding_set(capability).unwrap_or(false)
            }),
        }
    }
}

/// All capabilities of capability(7) as far as this program knows them, in the words of container engines.
const NAMES: &[(&str, CapabilitySet)] = &[
    ("CHOWN", CapabilitySet::CHOWN),
    ("DAC_OVERRIDE", CapabilitySet::DAC_OVERRIDE),
    ("DAC_READ_SEARCH", CapabilitySet::DAC_READ_SEARCH),
    ("FOWNER", CapabilitySet::FOWNER),
    ("FSETID", CapabilitySet::FSETID),
    ("KILL", CapabilitySet::KILL),
    ("SETGID", CapabilitySet::SETGID),
    ("SETUID", CapabilitySet::SETUID),
    ("SETPCAP", CapabilitySet::SETPCAP),
    ("LINUX_IMMUTABLE", CapabilitySet::LINUX_IMMUTABLE),
    ("NET_BIND_SERVICE", CapabilitySet::NET_BIND_SERVICE),
    ("NET_BROADCAST", CapabilitySet::NET_BROADCAST),
    ("NET_ADMIN", CapabilitySet::NET_ADMIN),
    ("NET_RAW", CapabilitySet::NET_RAW),
    ("IPC_LOCK", CapabilitySet::IPC_LOCK),
    ("IPC_OWNER", CapabilitySet::IPC_OWNER),
    ("SYS_MODULE", CapabilitySet::SYS_MODULE),
    ("SYS_RAWIO", CapabilitySet::SYS_RAWIO),
    ("SYS_CHROOT", CapabilitySet::SYS_CHROOT),
    ("SYS_PTRACE", CapabilitySet::SYS_PTRACE),
    ("SYS_PACCT", CapabilitySet::SYS_PACCT),
    ("SYS_ADMIN", CapabilitySet::SYS_ADMIN),
    ("SYS_BOOT", CapabilitySet::SYS_BOOT),
    ("SYS_NICE", CapabilitySet::SYS_NICE),
    ("SYS_RESOURCE", CapabilitySet::SYS_RESOURCE),
    ("SYS_TIME", CapabilitySet::SYS_TIME),
    ("SYS_TTY_CONFIG", CapabilitySet::SYS_TTY_CONFIG),
    ("MKNOD", CapabilitySet::MKNOD),
    ("LEASE", CapabilitySet::LEASE),
    ("AUDIT_WRITE", CapabilitySet::AUDIT_WRITE),
    ("AUDIT_CONTROL", CapabilitySet::AUDIT_CONTROL),
    ("SETFCAP", CapabilitySet::SETFCAP),
    ("MAC_OVERRIDE", CapabilitySet::MAC_OVERRIDE),
    ("MAC_ADMIN", CapabilitySet::MAC_ADMIN),
    ("SYSLOG", CapabilitySet::SYSLOG),
    ("WAKE_ALARM", CapabilitySet::WAKE_ALARM),
    ("BLOCK_SUSPEND", CapabilitySet::BLOCK_SUSPEND),
    ("AUDIT_READ", CapabilitySet::AUDIT_READ),
    ("PERFMON", CapabilitySet::PERFMON),
    ("BPF", CapabilitySet::BPF),
    ("CHECKPOINT_RESTORE", CapabilitySet::CHECKPOINT_RESTORE),
];

/// The capabilities that a child of this process could get at most, such as `SYS_ADMIN`.
#[must_use]
pub fn bounding_capabilities() -> Vec<&'static str> {
    NAMES
        .iter()
        .filter(|(_, set)| rustix::thread::capability_is_in_bounding_set(*set).unwrap_or(false))
        .map(|(name, _)| *name)
        .collect()
}

/// Tries to make the namespaces that `native` needs, on a thread that ends right after.
///
/// # Errors
/// The kernel's reason.
pub(super) fn namespaces() -> Result<(), String> {
    // Not NEWPID: it would only matter for children, and there are none. Where the others work, it does.
    let flags =
        UnshareFlags::NEWNS | UnshareFlags::NEWNET | UnshareFlags::NEWIPC | UnshareFlags::NEWUTS;
    std::thread::spawn(move || crate::sys::unshare(flags))
        .join()
        .map_err(|_| "the probe panicked".to_owned())?
        .map_err(|error| format!("the kernel refuses namespaces ({error}); run as root"))
}
