//! The host's package manager and what it calls the things that assay can use.

use super::Fix;
use super::view::HostView;

/// Something that a package provides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thing {
    /// The etcd server.
    Etcd,
    /// QEMU's system emulator for ARM64.
    QemuArm64,
    /// A Docker engine.
    Docker,
}

/// A package manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PackageManager {
    program: &'static str,
    install: &'static [&'static str],
    /// What has to run once before anything is installed.
    pub(super) refresh: Option<&'static [&'static str]>,
    etcd: Option<&'static str>,
    qemu_arm64: &'static str,
    docker: &'static str,
}

const MANAGERS: &[PackageManager] = &[
    PackageManager {
        program: "apt-get",
        install: &["apt-get", "install", "-y"],
        refresh: Some(&["apt-get", "update"]),
        etcd: Some("etcd-server"),
        qemu_arm64: "qemu-system-arm",
        docker: "docker.io",
    },
    PackageManager {
        program: "dnf",
        install: &["dnf", "install", "-y"],
        refresh: None,
        etcd: Some("etcd"),
        qemu_arm64: "qemu-system-aarch64",
        docker: "moby-engine",
    },
    PackageManager {
        program: "apk",
        install: &["apk", "add"],
        refresh: Some(&["apk", "update"]),
        etcd: Some("etcd"),
        qemu_arm64: "qemu-system-aarch64",
        docker: "docker",
    },
    PackageManager {
        program: "pacman",
        install: &["pacman", "-S", "--noconfirm", "--needed"],
        // Refreshing without upgrading is unsupported on Arch, so it is left to the user.
        refresh: None,
        // Arch has it only outside its own repositories.
        etcd: None,
        qemu_arm64: "qemu-system-aarch64",
        docker: "docker",
    },
    PackageManager {
        program: "zypper",
        install: &["zypper", "--non-interactive", "install"],
        refresh: None,
        etcd: Some("etcd"),
        qemu_arm64: "qemu-arm",
        docker: "docker",
    },
];

/// The host's package manager, if it is a known one.
pub(super) fn manager(host: &HostView) -> Option<&'static PackageManager> {
    MANAGERS
        .iter()
        .find(|manager| host.has_program(manager.program))
}

/// The command that must run once before `fix`, if `fix` installs a package.
pub(super) fn refresh_before(fix: &Fix) -> Option<Vec<String>> {
    let installs = |manager: &&PackageManager| {
        fix.command
            .iter()
            .map(String::as_str)
            .take(manager.install.len())
            .eq(manager.install.iter().copied())
    };
    let refresh = MANAGERS.iter().find(installs)?.refresh?;
    Some(refresh.iter().map(ToString::to_string).collect())
}

/// The command that installs a thing here.
pub(super) fn install(host: &HostView, thing: Thing) -> Option<Fix> {
    let manager = manager(host)?;
    let package = match thing {
        Thing::Etcd => manager.etcd?,
        Thing::QemuArm64 => manager.qemu_arm64,
        Thing::Docker => manager.docker,
    };
    let command = manager
        .install
        .iter()
        .chain([&package])
        .map(ToString::to_string)
        .collect();
    Some(Fix {
        command,
        needs_root: true,
    })
}
