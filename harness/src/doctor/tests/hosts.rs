//! Each check, on a host that has what it asks for and on one that has not.

use super::super::{Binary, Engine, State, can_run, examine, ids};
use super::{MadeUp, USER, V1_MEMORY, V2};

#[test]
fn ids_are_unique() {
    let all: Vec<_> = ids().collect();
    let unique: std::collections::BTreeSet<_> = all.iter().collect();
    assert_eq!(unique.len(), all.len());
}

#[test]
fn a_host_on_which_all_is_well() {
    let host = MadeUp::well();
    for finding in examine(&host.view) {
        assert_eq!(finding.state, State::Ok, "{finding:?}");
        assert_eq!(finding.fix, None, "{finding:?}");
    }
}

#[test]
fn an_empty_host_is_all_warnings_and_no_panic() {
    let mut host = MadeUp::well();
    let empty = tempfile::tempdir().expect("temporary folder");
    host.view.root = empty.path().to_owned();
    host.view.facts.disks.clear();
    let findings = examine(&host.view);
    assert!(
        findings
            .iter()
            .any(|finding| finding.state == State::Missing)
    );
    assert!(
        can_run(&findings),
        "what is not to be seen is not said to be missing"
    );
}

#[test]
fn without_root_budgets_are_only_observed() {
    let host = MadeUp::well();
    host.put("proc/self/status", USER);
    assert_eq!(host.finding("root").state, State::Degraded);
    assert_eq!(host.finding("namespaces").state, State::Degraded);
}

#[test]
fn root_in_a_plain_container_lacks_capabilities() {
    let host = MadeUp::well();
    host.put(
        "proc/self/status",
        "Uid:\t0\t0\t0\t0\nCapEff:\t00000000a80425fb\n",
    );
    let found = host.finding("namespaces");
    assert_eq!(found.state, State::Missing);
    assert!(
        found.detail.contains("CAP_NET_ADMIN and CAP_SYS_ADMIN"),
        "{}",
        found.detail
    );
    host.put("proc/sys/user/max_net_namespaces", "0\n");
    assert!(
        host.finding("namespaces")
            .detail
            .contains("max_net_namespaces")
    );
}

#[test]
fn cgroup_modes_are_told_apart() {
    let host = MadeUp::well();
    assert!(
        host.finding("cgroup-memory")
            .detail
            .contains("v2 at /sys/fs/cgroup")
    );
    host.put("proc/self/mounts", V1_MEMORY);
    assert!(
        host.finding("cgroup-memory")
            .detail
            .contains("v1 at /sys/fs/cgroup/memory")
    );
    assert_eq!(host.finding("cgroup-cpu").state, State::Missing);
    let unified = "cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
    host.put("proc/self/mounts", &format!("{V1_MEMORY}{unified}"));
    assert!(host.finding("cgroup-memory").detail.contains("hybrid"));
    host.put("proc/self/mounts", &V2.replace("rw,", "ro,"));
    assert_eq!(host.finding("cgroup-memory").state, State::Degraded);
}

#[test]
fn a_raspberry_pi_without_memory_cgroup_gets_the_one_line() {
    let host = MadeUp::well();
    host.put("sys/fs/cgroup/cgroup.controllers", "cpuset cpu io pids\n");
    host.put(
        "proc/cgroups",
        "#subsys_name\thierarchy\tnum_cgroups\tenabled\nmemory\t0\t40\t0\n",
    );
    host.put("proc/device-tree/model", "Raspberry Pi 5 Model B Rev 1.0\0");
    assert!(host.finding("cgroup-memory").detail.contains("cmdline.txt"));

    host.put(
        "boot/firmware/cmdline.txt",
        "console=tty1 root=PARTUUID=1 rootwait\n",
    );
    let found = host.finding("cgroup-memory");
    assert_eq!(found.state, State::Missing);
    assert!(
        found
            .detail
            .contains("cgroup_memory=1 cgroup_enable=memory"),
        "{}",
        found.detail
    );
    let fix = found.fix.expect("a fix");
    assert!(fix.needs_root);
    // The command itself, on the made-up file.
    let file = host.folder.path().join("boot/firmware/cmdline.txt");
    let mut argv = fix.command.clone();
    *argv.last_mut().expect("the file") = file.display().to_string();
    let status = std::process::Command::new(&argv[0])
        .args(&argv[1..])
        .status()
        .expect("sed runs");
    assert!(status.success());
    let expected = "console=tty1 root=PARTUUID=1 rootwait cgroup_memory=1 cgroup_enable=memory\n";
    assert_eq!(fs_err::read_to_string(&file).expect("there"), expected);
    let found = host.finding("cgroup-memory");
    assert!(
        found.detail.contains("reboot") && found.fix.is_none(),
        "asked for already: {found:?}"
    );

    host.put(
        "proc/cmdline",
        "cgroup_memory=1 cgroup_enable=memory cgroup_disable=memory",
    );
    assert!(
        host.finding("cgroup-memory")
            .detail
            .contains("firmware adds cgroup_disable=memory")
    );
    host.put(
        "boot/firmware/cmdline.txt",
        "console=tty1\ncgroup_memory=1 cgroup_enable=memory\n",
    );
    let found = host.finding("cgroup-memory");
    assert!(
        found.detail.contains("2 lines and only the first counts"),
        "{}",
        found.detail
    );
    assert_eq!(found.fix, None);
}

#[test]
fn other_machines_without_memory_cgroup_are_told_what_to_boot_with() {
    let host = MadeUp::well();
    host.put("sys/fs/cgroup/cgroup.controllers", "cpu\n");
    assert!(
        host.finding("cgroup-memory")
            .detail
            .contains("no hierarchy carries it")
    );
    host.put("proc/cgroups", "memory\t0\t40\t0\n");
    assert!(
        host.finding("cgroup-memory")
            .detail
            .contains("add cgroup_enable=memory")
    );
    host.put("proc/cmdline", "quiet cgroup_disable=memory");
    assert!(host.finding("cgroup-memory").detail.contains("remove that"));
}

#[test]
fn binaries_come_with_the_command_that_gets_them() {
    let mut host = MadeUp::well();
    host.view.facts.k3s = Binary::Fetchable("https://mirror.example".into());
    assert_eq!(host.fix("k3s").as_deref(), Some("/opt/assay fetch k3s"));
    host.view.facts.k3s = Binary::Absent("no download: no network".into());
    assert_eq!(host.fix("k3s"), None);
    assert!(host.finding("k3s").detail.contains("--k3s-binary"));
    host.view.facts.etcd = Binary::Absent("failed to find etcd".into());
    assert_eq!(
        host.fix("etcd").as_deref(),
        Some("sudo apt-get update && sudo apt-get install -y etcd-server")
    );
}

#[test]
fn each_package_manager_has_its_own_words() {
    let mut host = MadeUp::well();
    host.view.facts.etcd = Binary::Absent("none".into());
    host.remove("usr/bin/apt-get");
    host.remove("usr/bin/qemu-system-aarch64");
    assert_eq!(host.fix("qemu"), None);
    for (manager, qemu, etcd) in [
        (
            "zypper",
            "sudo zypper --non-interactive install qemu-arm",
            Some("sudo zypper --non-interactive install etcd"),
        ),
        (
            "pacman",
            "sudo pacman -S --noconfirm --needed qemu-system-aarch64",
            None,
        ),
        (
            "apk",
            "sudo apk update && sudo apk add qemu-system-aarch64",
            Some("sudo apk update && sudo apk add etcd"),
        ),
        (
            "dnf",
            "sudo dnf install -y qemu-system-aarch64",
            Some("sudo dnf install -y etcd"),
        ),
        (
            "apt-get",
            "sudo apt-get update && sudo apt-get install -y qemu-system-arm",
            Some("sudo apt-get update && sudo apt-get install -y etcd-server"),
        ),
    ] {
        host.put(&format!("usr/bin/{manager}"), "");
        assert_eq!(host.fix("qemu").as_deref(), Some(qemu));
        assert_eq!(host.fix("etcd").as_deref(), etcd);
    }
}

#[test]
fn an_engine_that_cannot_be_used_is_not_mended_by_installing_one() {
    let mut host = MadeUp::well();
    host.view.facts.engine = Engine::Unusable("it may not be used; run as root".into());
    assert_eq!(host.fix("docker"), None);
    assert_eq!(host.finding("docker").state, State::Missing);
}

#[test]
fn a_docker_client_without_an_engine_is_not_docker() {
    let mut host = MadeUp::well();
    host.view.facts.engine =
        Engine::Silent("no engine answers at unix:///var/run/docker.sock".into());
    assert_eq!(
        host.fix("docker").as_deref(),
        Some("sudo apt-get update && sudo apt-get install -y docker.io")
    );
    host.put("usr/bin/docker", "");
    assert!(host.finding("docker").detail.starts_with("only the client"));
    host.put("usr/bin/dockerd", "");
    assert_eq!(host.fix("docker"), None);
    assert!(host.finding("docker").detail.ends_with("`dockerd` as root"));
    host.put("run/systemd/system/x", "");
    assert_eq!(
        host.fix("docker").as_deref(),
        Some("sudo systemctl start docker")
    );
}

#[test]
fn essentials_stop_the_main_job_and_nothing_else_does() {
    let mut host = MadeUp::well();
    host.view.facts.disks.push(("/tmp".into(), 1 << 30));
    assert_eq!(host.finding("disk").state, State::Degraded);
    assert!(can_run(&examine(&host.view)));
    host.view.facts.disks.push(("/tmp".into(), 1 << 20));
    assert_eq!(host.finding("disk").state, State::Missing);
    assert!(!can_run(&examine(&host.view)));

    let host = MadeUp::well();
    host.put("proc/meminfo", "MemAvailable: 500000 kB\n");
    assert_eq!(host.finding("memory").state, State::Degraded);
    host.put("proc/meminfo", "MemAvailable: 50000 kB\n");
    assert!(!can_run(&examine(&host.view)));
}

#[test]
fn swap_clock_kernel_and_surroundings() {
    let mut host = MadeUp::well();
    host.put(
        "proc/swaps",
        "Filename Type Size\n/dev/zram0 partition 100\n",
    );
    assert!(host.finding("swap").detail.contains("/dev/zram0"));
    host.view.facts.now = 86_400;
    let clock = host.finding("clock");
    assert_eq!(clock.state, State::Missing);
    assert!(clock.detail.contains("1970-01-02"), "{}", clock.detail);
    host.view.facts.now = 1_700_000_000;
    assert_eq!(host.finding("clock").state, State::Degraded);
    host.put("proc/sys/kernel/osrelease", "5.15.0-rc1\n");
    assert!(host.finding("kernel").detail.contains("peaks are sampled"));
    host.view
        .variables
        .insert("INVOCATION_ID".into(), "abc".into());
    assert!(
        host.finding("invocation-id")
            .detail
            .contains("cgroup driver")
    );
    host.view.facts.arch = "arm".into();
    assert_eq!(host.finding("arch").state, State::Degraded);
    host.view.facts.arch = "riscv64".into();
    assert!(host.finding("arch").detail.contains("--k3s-binary"));
}
