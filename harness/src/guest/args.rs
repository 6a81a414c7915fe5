//! The options of the command line about the guest.

use std::path::PathBuf;

/// Where the emulated guest comes from, when not from Debian's packages through the host's apt.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct GuestArgs {
    /// A folder with a built guest: `kernel`, `initramfs`, `root.ext4` and, if it is there, `manifest.json`
    #[arg(long, value_name = "FOLDER", conflicts_with_all = ["guest_kernel", "guest_initramfs", "guest_root"])]
    pub guest_bundle: Option<PathBuf>,
    /// The arm64 kernel to boot
    #[arg(long, value_name = "FILE", requires_all = ["guest_initramfs", "guest_root"])]
    pub guest_kernel: Option<PathBuf>,
    /// The initramfs of that kernel
    #[arg(long, value_name = "FILE", requires_all = ["guest_kernel", "guest_root"])]
    pub guest_initramfs: Option<PathBuf>,
    /// The guest's root disk, an ext4 image with assay's agent
    #[arg(long, value_name = "FILE", requires_all = ["guest_kernel", "guest_initramfs"])]
    pub guest_root: Option<PathBuf>,
    /// A deb822 file of apt sources with Debian's arm64 packages, for hosts that are not Debian
    #[arg(long, value_name = "FILE")]
    pub guest_sources: Option<PathBuf>,
    /// Build the guest anew, from the newest packages
    #[arg(long)]
    pub guest_refresh: bool,
}
