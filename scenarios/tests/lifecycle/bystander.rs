//! Things of somebody else's that look much like a run's. No sweep may touch them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::Sandbox;

/// Removed with the value, after [`Bystander::untouched`] was asked.
pub struct Bystander {
    process: Child,
    inside: Option<Child>,
    cgroup: Option<PathBuf>,
    interface: Option<String>,
    folder: PathBuf,
}

impl Bystander {
    /// A process; one more in a cgroup that is named like assay's; an interface that is named like assay's; a
    /// folder beneath the state's work folder. What this host cannot make is left out, and said.
    pub fn new(sandbox: &Sandbox) -> Self {
        let id = std::process::id();
        let folder = sandbox.path("state/work/theirs");
        std::fs::create_dir_all(&folder).expect("a folder");
        let cgroup = make_cgroup(&format!("assay-{id:08x}"));
        let inside = cgroup.as_ref().map(|cgroup| {
            let child = sleeper();
            let entrance = cgroup.join("cgroup.procs");
            std::fs::write(entrance, child.id().to_string()).expect("a cgroup to enter");
            child
        });
        let name = format!("asy{id:08x}");
        let made = ip(&[
            "link",
            "add",
            &name,
            "type",
            "veth",
            "peer",
            "name",
            &format!("p{id}"),
        ]);
        if !made {
            eprintln!("note: no interface could be made to stand by");
        }
        Self {
            process: sleeper(),
            inside,
            cgroup,
            interface: made.then_some(name),
            folder,
        }
    }

    #[track_caller]
    pub fn untouched(&mut self) {
        let alive = |child: &mut Child| child.try_wait().expect("a child").is_none();
        assert!(alive(&mut self.process), "a bystander was killed");
        assert!(
            self.inside.as_mut().is_none_or(alive),
            "one in a cgroup was killed"
        );
        let there = |path: &PathBuf| path.exists();
        assert!(
            self.cgroup.as_ref().is_none_or(there),
            "its cgroup has gone"
        );
        let net = Path::new("/sys/class/net");
        let there = |name: &String| net.join(name).exists();
        assert!(
            self.interface.as_ref().is_none_or(there),
            "its interface has gone"
        );
        assert!(self.folder.exists(), "its folder has gone");
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        for child in [Some(&mut self.process), self.inside.as_mut()]
            .into_iter()
            .flatten()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        if let Some(cgroup) = &self.cgroup {
            crate::support::until("the cgroup empties", || std::fs::remove_dir(cgroup).ok());
        }
        if let Some(interface) = &self.interface {
            ip(&["link", "del", interface]);
        }
        let _ = std::fs::remove_dir(&self.folder);
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("100000").spawn().expect("sleep")
}

fn make_cgroup(name: &str) -> Option<PathBuf> {
    let places = ["/sys/fs/cgroup/memory", "/sys/fs/cgroup"];
    let made = places
        .iter()
        .map(|place| Path::new(place).join(name))
        .find(|path| {
            let parent = path.parent().unwrap_or(path);
            parent.join("cgroup.procs").exists() && std::fs::create_dir(path).is_ok()
        });
    if made.is_none() {
        eprintln!("note: no cgroup could be made to stand by");
    }
    made
}

fn ip(args: &[&str]) -> bool {
    let status = Command::new("ip").args(args).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}
