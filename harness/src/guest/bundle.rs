//! Bundles: which packages and kernel modules a guest has, by what it is to run.

use std::fmt;

/// What a guest can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Bundle {
    /// A static server, such as K3s without agent.
    Base,
    /// Debian's etcd besides.
    Etcd,
    /// A whole Kubernetes node: container runtime, CNI plugins, packet filter and their kernel modules.
    Node,
}

impl fmt::Display for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base => "base",
            Self::Etcd => "etcd",
            Self::Node => "node",
        })
    }
}

/// The kernel without drivers of boards and cards; it boots fastest under emulation.
pub(super) const KERNEL: &str = "linux-image-cloud-arm64";

/// Loaded by the initramfs, with what they need. What a kernel has built in is left out.
pub(super) const BOOT_MODULES: &[&str] = &[
    "virtio_pci",
    "virtio_mmio",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_balloon",
    "ext4",
    "overlay",
];

impl Bundle {
    /// The packages asked for; what they depend on comes with them.
    pub(super) fn packages(self) -> Vec<&'static str> {
        let mut packages = vec!["busybox-static", "perl-base", "libc6"];
        packages.extend_from_slice(match self {
            Self::Base => &[],
            Self::Etcd => &["etcd-server", "ca-certificates"],
            Self::Node => &[
                "ca-certificates",
                "conntrack",
                "containerd",
                "containernetworking-plugins",
                "iptables",
                "mount",
                "runc",
                "util-linux",
            ],
        });
        packages
    }

    /// Folders of the kernel's modules that the root disk has in full, for the kernel and modprobe to load from.
    pub(super) fn module_folders(self) -> &'static [&'static str] {
        match self {
            Self::Base | Self::Etcd => &["kernel/drivers/block/zram/", "kernel/crypto/lzo"],
            Self::Node => &[
                "kernel/net/netfilter/",
                "kernel/net/ipv4/netfilter/",
                "kernel/net/ipv6/netfilter/",
                "kernel/net/bridge/",
                "kernel/net/ipv4/udp_tunnel",
                "kernel/net/ipv6/ip6_udp_tunnel",
                "kernel/net/sched/",
                "kernel/drivers/net/vxlan/",
                "kernel/drivers/net/veth",
                "kernel/drivers/net/dummy",
                "kernel/drivers/net/wireguard/",
                "kernel/drivers/block/zram/",
                "kernel/crypto/lzo",
                "kernel/fs/overlayfs/",
            ],
        }
    }
}

/// Packages that only maintainer scripts and administrators use; nothing in a guest runs either.
pub(super) fn is_needless(package: &str) -> bool {
    const NAMES: &[&str] = &[
        "adduser",
        "coreutils",
        "debconf",
        "dpkg",
        "gcc-12-base",
        "init-system-helpers",
        "libfile-find-rule-perl",
        "libnumber-compare-perl",
        "libsemanage-common",
        "libsemanage2",
        "libsepol2",
        "libtext-glob-perl",
        "openssl",
        "passwd",
        "perl",
        "sensible-utils",
        "tar",
        "usr-is-merged",
        "usrmerge",
    ];
    const BEGINNINGS: &[&str] = &["libgdbm", "libpam-", "libperl5", "perl-modules-"];
    NAMES.contains(&package)
        || BEGINNINGS
            .iter()
            .any(|beginning| package.starts_with(beginning))
}

/// The programs of busybox that get a name of their own, where no package has one.
pub(super) const APPLETS: &[&str] = &[
    "[",
    "awk",
    "base64",
    "basename",
    "cat",
    "chmod",
    "chown",
    "chroot",
    "cp",
    "cut",
    "date",
    "dd",
    "df",
    "dirname",
    "dmesg",
    "du",
    "echo",
    "env",
    "expr",
    "false",
    "find",
    "free",
    "grep",
    "gzip",
    "head",
    "hostname",
    "id",
    "ip",
    "kill",
    "killall",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mknod",
    "mktemp",
    "modprobe",
    "mount",
    "mountpoint",
    "mv",
    "nc",
    "nproc",
    "nsenter",
    "od",
    "pidof",
    "ping",
    "poweroff",
    "printf",
    "ps",
    "pwd",
    "readlink",
    "realpath",
    "reboot",
    "rm",
    "rmdir",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "stat",
    "stty",
    "sync",
    "sysctl",
    "tail",
    "tar",
    "tee",
    "test",
    "timeout",
    "top",
    "touch",
    "tr",
    "true",
    "truncate",
    "umount",
    "uname",
    "unshare",
    "uptime",
    "vi",
    "wc",
    "wget",
    "which",
    "xargs",
];
