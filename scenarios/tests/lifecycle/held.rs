//! What a run holds, as its ledger says and as `/proc` shows, and whether it has gone.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use harness::scope::{Identity, boot_id, start_ticks};
use serde_json::Value;

use crate::support::{Sandbox, names, until};

/// Everything that was seen of runs in a sandbox.
#[derive(Debug, Default)]
pub struct Held {
    processes: BTreeSet<(i32, u64)>,
    namespaces: BTreeSet<PathBuf>,
    cgroups: BTreeSet<PathBuf>,
    interfaces: BTreeSet<String>,
}

impl Held {
    /// Adds what the ledgers list: read without assay's help.
    pub fn read_ledgers(&mut self, sandbox: &Sandbox) {
        let folder = sandbox.path("state/ledger");
        for name in names(&folder) {
            let text = std::fs::read_to_string(folder.join(name)).unwrap_or_default();
            for line in text.lines() {
                let entry: Value = serde_json::from_str(line).unwrap_or_default();
                if entry["op"] == "enter" {
                    self.add(&entry["resource"]);
                }
            }
        }
    }

    fn add(&mut self, resource: &Value) {
        let text = |key: &str| resource[key].as_str().unwrap_or_default().to_owned();
        match resource["kind"].as_str() {
            Some("process") => {
                let pid = i32::try_from(resource["pid"].as_i64().unwrap_or(0)).unwrap_or(0);
                let ticks = resource["start_ticks"].as_u64().unwrap_or(0);
                self.processes.insert((pid, ticks));
            }
            Some("cgroup") => _ = self.cgroups.insert(text("path").into()),
            Some("interface") => _ = self.interfaces.insert(text("name")),
            _ => {}
        }
    }

    /// Adds a process, all that it started, and the namespaces that they are in and this test is not.
    pub fn read_processes(&mut self, root: u32) {
        let own = namespaces_of("self");
        let mut tree = vec![root.cast_signed()];
        let mut at = 0;
        while let Some(pid) = tree.get(at).copied() {
            tree.extend(children(pid));
            at += 1;
        }
        for pid in tree {
            if let Some(ticks) = start_ticks(pid) {
                self.processes.insert((pid, ticks));
                let theirs = namespaces_of(&pid.to_string());
                self.namespaces.extend(theirs.difference(&own).cloned());
            }
        }
    }

    /// How many namespaces it has that this test is not in.
    pub fn namespaces(&self) -> usize {
        self.namespaces.len()
    }

    /// What of it is still there.
    fn remains(&self) -> Vec<String> {
        let mut remains = Vec::new();
        for (pid, start_ticks) in self.processes.iter().copied() {
            let boot_id = boot_id();
            let identity = Identity {
                pid,
                start_ticks,
                boot_id,
            };
            if identity.is_alive() {
                remains.push(format!("process {pid}"));
            }
        }
        let in_use: BTreeSet<PathBuf> = names(Path::new("/proc"))
            .iter()
            .filter(|name| name.bytes().all(|b| b.is_ascii_digit()))
            .flat_map(|pid| namespaces_of(pid))
            .collect();
        let namespaces = self.namespaces.intersection(&in_use);
        remains.extend(namespaces.map(|ns| format!("namespace {}", ns.display())));
        let cgroups = self.cgroups.iter().filter(|path| path.exists());
        remains.extend(cgroups.map(|path| format!("cgroup {}", path.display())));
        let network = Path::new("/sys/class/net");
        let interfaces = self.interfaces.iter().filter(|i| network.join(i).exists());
        remains.extend(interfaces.map(|name| format!("interface {name}")));
        remains
    }

    /// Waits until all of it has gone: a killed process takes a moment to die.
    #[track_caller]
    pub fn gone(&self, sandbox: &Sandbox) {
        self.gone_beside(sandbox, &[]);
    }

    /// The same, where somebody else's folders are in `work`.
    #[track_caller]
    pub fn gone_beside(&self, sandbox: &Sandbox, theirs: &[&str]) {
        let mut last = Vec::new();
        let waited = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            until("nothing remains", || {
                last = self.remains();
                last.is_empty().then_some(())
            });
        }));
        assert!(waited.is_ok(), "remains: {last:?}");
        let state = sandbox.path("state");
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        assert!(!mounts.contains(&state.display().to_string()), "{mounts}");
        assert_eq!(names(&sandbox.path("state/ledger")), [""; 0]);
        assert_eq!(names(&sandbox.path("state/work")), theirs);
    }
}

impl std::fmt::Display for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (processes, cgroups) = (self.processes.len(), self.cgroups.len());
        let (namespaces, interfaces) = (self.namespaces.len(), self.interfaces.len());
        write!(
            f,
            "{processes} processes, {namespaces} namespaces, {cgroups} cgroups, {interfaces} interfaces"
        )
    }
}

fn namespaces_of(pid: &str) -> BTreeSet<PathBuf> {
    ["net", "mnt", "pid", "ipc", "uts"]
        .iter()
        .filter_map(|kind| std::fs::read_link(format!("/proc/{pid}/ns/{kind}")).ok())
        .collect()
}

fn children(of: i32) -> Vec<i32> {
    let tasks = PathBuf::from(format!("/proc/{of}/task"));
    names(&tasks)
        .iter()
        .filter_map(|task| std::fs::read_to_string(tasks.join(task).join("children")).ok())
        .flat_map(|text| {
            let pids = text.split_whitespace().filter_map(|pid| pid.parse().ok());
            pids.collect::<Vec<i32>>()
        })
        .collect()
}
