//! Processes without a cgroup, and the memory of single processes.

use std::path::Path;

use crate::target::ProcessMemory;

/// All descendants of a process, itself left out: one pass over `/proc`.
pub(crate) fn descendants(of: i32) -> Vec<i32> {
    let parents: Vec<(i32, i32)> = std::fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(|pid: i32| Some((pid, parent_of(pid)?)))
        .collect();
    let mut found = Vec::new();
    let mut generation = vec![of];
    while !generation.is_empty() {
        generation = parents
            .iter()
            .filter(|(_, parent)| generation.contains(parent))
            .map(|(pid, _)| *pid)
            .collect();
        found.extend(&generation);
    }
    found
}

/// Field 4 of `/proc/<pid>/stat`, counted from the last `)` (proc(5)).
fn parent_of(pid: i32) -> Option<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest = text.get(text.rfind(')')? + 1..)?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

/// The memory of processes, those left out that ended meanwhile. `smaps_rollup` costs about 2 ms for a server
/// of 500 MiB and holds its memory-map lock for that long, hence never in the sampling loop.
pub(in crate::target) fn memory_of(pids: &[i32]) -> Vec<ProcessMemory> {
    pids.iter()
        .filter_map(|pid| {
            let folder = Path::new("/proc").join(pid.to_string());
            let name = std::fs::read_to_string(folder.join("comm")).ok()?;
            let rollup = std::fs::read_to_string(folder.join("smaps_rollup")).ok();
            let kib = |text: &Option<String>, key: &str| {
                let line = text
                    .as_ref()?
                    .lines()
                    .find_map(|line| line.strip_prefix(key))?;
                line.split_ascii_whitespace().next()?.parse::<u64>().ok()
            };
            let rss = kib(&rollup, "Rss:").or_else(|| {
                kib(
                    &std::fs::read_to_string(folder.join("status")).ok(),
                    "VmRSS:",
                )
            })?;
            Some(ProcessMemory {
                name: name.trim_end().to_owned(),
                pid: *pid,
                rss_bytes: rss * 1024,
                pss_bytes: kib(&rollup, "Pss:").map(|kib| kib * 1024),
            })
        })
        .collect()
}

/// The kernel's high-water marks of resident sets, added up: an upper bound, since pages that processes share
/// count for each, and peaks need not coincide. Bytes.
pub(super) fn resident_peak(pids: &[i32]) -> Option<u64> {
    let peaks = pids.iter().filter_map(|pid| {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    });
    peaks.reduce(|sum, kib| sum + kib).map(|kib| kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_found_and_measured() {
        let me = std::process::id().cast_signed();
        let mut child = std::process::Command::new("sleep")
            .arg("1000")
            .spawn()
            .unwrap();
        let pid = child.id().cast_signed();
        assert!(descendants(me).contains(&pid));
        let memory = memory_of(&[me]);
        assert!(memory[0].rss_bytes > 0 && resident_peak(&[me]).unwrap() > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(memory_of(&[pid]).is_empty());
    }
}
