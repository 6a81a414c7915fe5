//! Why a kernel runs without the memory controller, and how to turn it on.
//!
//! Raspberry Pi OS boots with it off. Its parameters have to stand on the one line of `cmdline.txt`
//! (k3s-io/k3s#2067, #3283: a second line is ignored; #8890: the file moved to /boot/firmware), and some
//! firmware adds `cgroup_disable=memory` behind them (raspberrypi/linux#6980).

use super::view::HostView;
use super::{Fix, Probed};

const WANTED: &str = "cgroup_memory=1 cgroup_enable=memory";

/// What to do about a missing memory controller.
pub(super) fn memory_advice(host: &HostView) -> Probed {
    let enabled = host.read("/proc/cgroups").is_some_and(|table| {
        table
            .lines()
            .any(|line| line.starts_with("memory\t") && line.trim_end().ends_with("\t1"))
    });
    if enabled {
        return Probed::missing(
            "the kernel has the memory controller but no hierarchy carries it; mount /sys/fs/cgroup, or delegate memory to this container",
        );
    }
    let model = host.read("/proc/device-tree/model").unwrap_or_default();
    if model.contains("Raspberry Pi") {
        on_a_pi(host)
    } else {
        elsewhere(host)
    }
}

fn elsewhere(host: &HostView) -> Probed {
    let running = host.read("/proc/cmdline").unwrap_or_default();
    if running.contains("cgroup_disable=memory") {
        return Probed::missing(
            "the kernel was started with cgroup_disable=memory; remove that from its command line and reboot",
        );
    }
    Probed::missing(
        "the kernel runs without the memory controller; add cgroup_enable=memory to its command line and reboot (or use a kernel with CONFIG_MEMCG)",
    )
}

fn on_a_pi(host: &HostView) -> Probed {
    let files = ["/boot/firmware/cmdline.txt", "/boot/cmdline.txt"];
    let Some((file, text)) = files
        .iter()
        .find_map(|file| Some((*file, host.read(file)?)))
    else {
        return Probed::missing(format!(
            "off, as on every Raspberry Pi at first; append \"{WANTED}\" to the one line of the boot partition's cmdline.txt and reboot"
        ));
    };
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    if lines.len() > 1 {
        return Probed::missing(format!(
            "{file} has {} lines and only the first counts; join them into one that ends with \"{WANTED}\", and reboot",
            lines.len()
        ));
    }
    let has = |text: &str, word: &str| text.split_whitespace().any(|found| found == word);
    let asked = lines
        .first()
        .is_some_and(|line| has(line, "cgroup_enable=memory"));
    let running = host.read("/proc/cmdline").unwrap_or_default();
    if asked && has(&running, "cgroup_enable=memory") && has(&running, "cgroup_disable=memory") {
        return Probed::missing(
            "the firmware adds cgroup_disable=memory to the command line; update it (rpi-update or apt full-upgrade) and reboot, see raspberrypi/linux#6980",
        );
    }
    if asked {
        return Probed::missing(format!("{file} asks for it already; reboot"));
    }
    let script = format!("1s/[[:space:]]*$/ {WANTED}/");
    let command = ["sed", "-i", &script, file].map(str::to_owned).to_vec();
    Probed::missing(format!("off, as on every Raspberry Pi at first; append \"{WANTED}\" to the one line of {file} and reboot"))
        .with_fix(Some(Fix { command, needs_root: true }))
}
