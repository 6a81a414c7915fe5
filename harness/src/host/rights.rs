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
