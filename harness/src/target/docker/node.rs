//! A whole node in a container: what its image has besides the server, and the one image that its pods run.
//!
//! K3s's release brings containerd, runc and CNI plugins and unpacks them at its first start; a K3s built without
//! that bundle finds those of the image. Nothing is pulled: the pods' image is side-loaded.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};
use testcontainers::bollard::models::{DeviceMapping, HostConfig};

use crate::distribution::PROBE_IMAGE;
use crate::engine::archive::{self, ImageConfig};
use crate::engine::{Content, Privilege, Tool, architecture, find};

/// The first program of a node's container.
pub(super) const ENTRY: &str = "/bin/assay-node";

/// The variable that names the subnet of a node's pods, where it is not the one of [`CNI`].
pub(super) const PODS: &str = "ASSAY_PODS";

/// Folders that must not lie on the container's overlay, for overlays are mounted in them or they grow; each is a
/// folder of the cell's work folder outside.
pub(super) const VOLUMES: &[(&str, &str)] = &[
    ("kubelet", "/var/lib/kubelet"),
    ("cni", "/var/lib/cni"),
    ("log", "/var/log"),
];

/// Gives an agent's pods their subnet, makes cgroups and sysctls writable (an engine mounts them read-only unless the container is privileged), and lets
/// the kubelet's mounts reach the pods.
const ENTRY_SCRIPT: &str = r#"#!/bin/sh
for mount in /sys /sys/fs/cgroup /sys/fs/cgroup/* /proc/sys; do
  [ -d "$mount" ] && mount -o remount,bind,rw "$mount" 2>/dev/null
done
mount --make-rshared /
[ -z "$ASSAY_PODS" ] || sed -i "s#10\.42\.0\.0/24#$ASSAY_PODS#" /etc/cni/net.d/10-assay.conflist
[ -e /dev/kmsg ] || ln -s /dev/null /dev/kmsg
if (echo -1 > /proc/self/oom_score_adj) 2>/dev/null; then ln -sf runc-itself /bin/runc; fi
exec "$@"
"#;

/// Without CAP_SYS_RESOURCE nobody may lower an OOM score, and runc ends when it is asked to. The entry puts this in
/// its place only then.
const RUNC_SCRIPT: &str = r#"#!/bin/sh
[ -f config.json ] && sed -i 's/"oomScoreAdj":-[0-9]*/"oomScoreAdj":0/' config.json
exec /bin/runc-itself "$@"
"#;

/// A bridge instead of flannel: one node needs no overlay, and the plugin flannel is in no Debian package.
pub(in crate::target) const CNI: &str = r#"{"cniVersion":"0.4.0","name":"assay","plugins":[
{"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":true,"hairpinMode":true,
 "ipam":{"type":"host-local","ranges":[[{"subnet":"10.42.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}},
{"type":"portmap","capabilities":{"portMappings":true}}]}
"#;

/// What the entry, the kubelet and K3s's own scripts call.
const APPLETS: &[&str] = &[
    "cat", "cut", "du", "find", "grep", "hostname", "id", "ip", "ln", "ls", "mkdir", "modprobe",
    "nice", "nsenter", "ps", "sed", "sh", "sleep", "sysctl", "tail",
];

const IPTABLES: &[&str] = &[
    "ip6tables",
    "ip6tables-restore",
    "ip6tables-save",
    "iptables",
    "iptables-restore",
    "iptables-save",
];

const BUSYBOX: Tool = Tool {
    name: "busybox",
    folders: &[],
    package: "busybox-static",
    inside: &["bin/busybox", "usr/bin/busybox"],
    is_static: true,
};

const RUNC: Tool = tool("runc", "runc", &["usr/sbin/runc", "usr/bin/runc"]);
const PACKET_FILTER: Tool = tool(
    "xtables-nft-multi",
    "iptables",
    &["usr/sbin/xtables-nft-multi"],
);
const TOOLS: &[Tool] = &[
    tool(
        "containerd-shim-runc-v2",
        "containerd",
        &["usr/bin/containerd-shim-runc-v2"],
    ),
    tool("mount", "mount", &["bin/mount", "usr/bin/mount"]),
    tool("umount", "mount", &["bin/umount", "usr/bin/umount"]),
    tool("conntrack", "conntrack", &["usr/sbin/conntrack"]),
    PACKET_FILTER,
];

const PLUGINS: &[Tool] = &[
    plugin("bridge", &["usr/lib/cni/bridge"]),
    plugin("host-local", &["usr/lib/cni/host-local"]),
    plugin("loopback", &["usr/lib/cni/loopback"]),
    plugin("portmap", &["usr/lib/cni/portmap"]),
];

const fn tool(name: &'static str, package: &'static str, inside: &'static [&'static str]) -> Tool {
    Tool {
        name,
        folders: &[],
        package,
        inside,
        is_static: false,
    }
}

const fn plugin(name: &'static str, inside: &'static [&'static str]) -> Tool {
    Tool {
        name,
        folders: &["/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"],
        package: "containernetworking-plugins",
        inside,
        is_static: false,
    }
}

/// Adds what a node needs to an image that has the server. Blocks: packages may have to be fetched.
pub(super) fn furnish(content: &mut Content) -> Result<()> {
    for tool in TOOLS {
        content.program(&format!("bin/{}", tool.name), &find(tool)?)?;
    }
    content.program("bin/runc-itself", &find(&RUNC)?)?;
    content.program("bin/busybox", &find(&BUSYBOX)?)?;
    for plugin in PLUGINS {
        content.program(&format!("opt/cni/bin/{}", plugin.name), &find(plugin)?)?;
    }
    // K3s takes the folder of this one on PATH for that of all plugins.
    content.link("bin/host-local", "/opt/cni/bin/host-local");
    for name in APPLETS {
        content.link(&format!("bin/{name}"), "busybox");
    }
    for name in IPTABLES {
        content.link(&format!("bin/{name}"), PACKET_FILTER.name);
    }
    extensions(content, &find(&PACKET_FILTER)?)?;
    // K3s looks these up on PATH and is each of them under that name.
    for name in ["containerd", "crictl", "ctr", "kubectl"] {
        content.link(&format!("bin/{name}"), "k3s");
    }
    content.text("etc/cni/net.d/10-assay.conflist", 0o644, CNI);
    content.text(ENTRY.trim_start_matches('/'), 0o755, ENTRY_SCRIPT);
    content.text("bin/runc", 0o755, RUNC_SCRIPT);
    Ok(())
}

/// The packet filter loads its matches and targets from a folder that no library list shows.
fn extensions(content: &mut Content, program: &Path) -> Result<()> {
    let root = program
        .ancestors()
        .find(|root| root.join("usr/lib").is_dir())
        .unwrap_or(Path::new("/"));
    let library = root.join("usr/lib");
    let folders = std::iter::once(library.clone()).chain(
        fs_err::read_dir(&library)?
            .flatten()
            .map(|entry| entry.path()),
    );
    let folder = folders
        .map(|folder| folder.join("xtables"))
        .find(|folder| folder.is_dir())
        .context("failed to find the folder xtables of iptables; install the package iptables")?;
    let inside = folder
        .strip_prefix(root)
        .ok()
        .and_then(Path::to_str)
        .context("failed to name the folder xtables")?;
    for entry in fs_err::read_dir(&folder)?.flatten() {
        let path = entry.path();
        if path.is_file()
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            content.file(&format!("{inside}/{name}"), &path);
        }
    }
    Ok(())
}

/// Writes the image of the pods' own first process and of assay's probes into the folder from which K3s imports
/// images when it starts. Blocks.
pub(super) fn side_load(data_dir: &Path) -> Result<()> {
    let images = data_dir.join("agent/images");
    fs_err::create_dir_all(&images)?;
    let layer = images.join(".layer");
    let mut content = Content::bare();
    content.file("bin/busybox", &find(&BUSYBOX)?);
    content.link("bin/sh", "busybox");
    let config = ImageConfig {
        reference: PROBE_IMAGE.to_owned(),
        architecture: architecture(),
        entrypoint: ["/bin/busybox", "sleep", "2147483647"]
            .map(str::to_owned)
            .to_vec(),
        labels: Vec::new(),
    };
    let archive = images.join("probe.tar");
    let written = content
        .write(&layer)
        .and_then(|()| archive::write(&layer, &config, &archive));
    let _ = std::fs::remove_file(&layer);
    written.context("failed to make the pods' image")?;
    Ok(())
}

/// Makes the folders behind [`VOLUMES`].
pub(super) fn make_volumes(work: &Path) -> Result<()> {
    for (name, _) in VOLUMES {
        let folder = work.join(name);
        fs_err::create_dir_all(&folder)?;
        fs_err::set_permissions(&folder, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// What the container gets besides its rights: the kernel's log, which the kubelet reads for OOM kills.
pub(super) fn equip(host: &mut HostConfig, privilege: &Privilege) {
    if *privilege != Privilege::Privileged && Path::new("/dev/kmsg").exists() {
        let kmsg = Some("/dev/kmsg".to_owned());
        host.devices = Some(vec![DeviceMapping {
            path_on_host: kmsg.clone(),
            path_in_container: kmsg,
            cgroup_permissions: Some("r".to_owned()),
        }]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_configuration_is_valid_and_its_plugins_are_packed() {
        let parsed: serde_json::Value = serde_json::from_str(CNI).unwrap();
        for plugin in parsed["plugins"].as_array().unwrap() {
            let name = plugin["type"].as_str().unwrap();
            assert!(PLUGINS.iter().any(|packed| packed.name == name), "{name}");
        }
        let ipam = parsed["plugins"][0]["ipam"]["type"].as_str().unwrap();
        assert!(PLUGINS.iter().any(|packed| packed.name == ipam));
    }

    #[test]
    fn what_the_scripts_call_is_in_the_image() {
        assert!(ENTRY_SCRIPT.contains(&format!("${PODS}#")));
        for name in ["ip", "ln", "sed", "sh"] {
            assert!(APPLETS.contains(&name), "{name}");
        }
        assert!(TOOLS.iter().any(|tool| tool.name == "mount"));
    }
}
