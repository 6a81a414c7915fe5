//! A cgroup that someone else made: a container engine's, found by a process that sits in it.

use std::path::{Path, PathBuf};

use super::{Cgroup, Hierarchy, V1Mounts};

impl Cgroup {
    /// The cgroup of a container, given the text of `/proc/<pid>/cgroup` of its first process. Its path must name
    /// the container's id in every hierarchy that counts or limits: a pid of another pid namespace or another host
    /// may be anyone's here.
    ///
    /// # Errors
    /// A sentence: the process is elsewhere, or its folder is not to be seen from here.
    pub fn of_container(
        hierarchy: &Hierarchy,
        proc_cgroup: &str,
        id: &str,
    ) -> Result<Self, String> {
        let found = match hierarchy {
            Hierarchy::V1(mounts) => {
                let place = |controller: &str, mount: &Path| {
                    place(proc_cgroup, controller, mount, id).ok_or_else(|| elsewhere(id))
                };
                let optional = |controller: &str, mount: &Option<PathBuf>| {
                    place(controller, mount.as_deref()?).ok()
                };
                Hierarchy::V1(V1Mounts {
                    memory: place("memory", &mounts.memory)?,
                    cpu: place("cpu", &mounts.cpu)?,
                    cpuacct: optional("cpuacct", &mounts.cpuacct),
                    pids: optional("pids", &mounts.pids),
                    // A container is paused by its engine.
                    freezer: None,
                })
            }
            Hierarchy::V2 { mount } => Hierarchy::V2 {
                mount: place(proc_cgroup, "", mount, id).ok_or_else(|| elsewhere(id))?,
            },
        };
        let cgroup = Self {
            // The hierarchy's paths are whole already.
            name: String::new(),
            hierarchy: found,
            mark: id.to_owned(),
        };
        match cgroup.folders().iter().find(|folder| !folder.is_dir()) {
            None => Ok(cgroup),
            Some(missing) => Err(format!(
                "the container's cgroup {} is not to be seen from here; run assay in the engine's own cgroup \
                 namespace, outside containers",
                missing.display()
            )),
        }
    }
}

fn elsewhere(id: &str) -> String {
    format!(
        "no process of container {} is to be seen here: the engine runs on another machine or in another pid \
         namespace; run assay where the engine runs",
        id.get(..12).unwrap_or(id)
    )
}

/// Whether a part of a path is the container's: `<id>` (Docker with cgroupfs), `docker-<id>.scope` (with systemd),
/// `libpod-<id>` and `libpod-<id>.scope` (Podman).
pub(super) fn is_marked(part: &str, mark: &str) -> bool {
    let part = part.strip_suffix(".scope").unwrap_or(part);
    part == mark
        || ["docker-", "libpod-"]
            .iter()
            .any(|prefix| part.strip_prefix(prefix) == Some(mark))
}

/// The folder of the container in one hierarchy: its path is cut after the part that is the container's, for what
/// is beneath (`/init`, K3s's own) is counted there.
fn place(proc_cgroup: &str, controller: &str, mount: &Path, id: &str) -> Option<PathBuf> {
    let path = proc_cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let names = fields.next()?;
        let path = fields.next()?;
        names
            .split(',')
            .any(|name| name == controller)
            .then_some(path)
    })?;
    let mut folder = mount.to_owned();
    for part in path.split('/').filter(|part| !part.is_empty()) {
        folder.push(part);
        if is_marked(part, id) {
            return Some(folder);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "98bcae2eea88cdd44654e19e7ea3216d";

    #[test]
    fn each_engine_s_path_is_read_up_to_the_container() {
        let mount = Path::new("/sys/fs/cgroup");
        let place = |text: &str, controller: &str| place(text, controller, mount, ID);
        let v1 = format!("4:memory:/docker/{ID}/kubepods/x\n2:cpu,cpuacct:/docker/{ID}\n0::/\n");
        let folder = Some(mount.join("docker").join(ID));
        assert_eq!(place(&v1, "memory"), folder);
        assert_eq!(place(&v1, "cpuacct"), folder);
        assert_eq!(
            place(&v1, ""),
            None,
            "hybrid hosts have an empty v2 beside v1"
        );
        for path in [
            format!("system.slice/docker-{ID}.scope"),
            format!("machine.slice/libpod-{ID}.scope"),
            format!("user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope"),
        ] {
            let text = format!("0::/{path}/init\n");
            assert_eq!(place(&text, ""), Some(mount.join(&path)));
        }
    }

    #[test]
    fn another_container_s_process_is_not_taken() {
        let hierarchy = Hierarchy::V2 {
            mount: "/sys/fs/cgroup".into(),
        };
        for text in ["0::/docker/0123\n", "0::/\n", "", "torn"] {
            let refused = Cgroup::of_container(&hierarchy, text, ID).unwrap_err();
            assert!(refused.contains("another machine"), "{refused}");
        }
        let unseen = Cgroup::of_container(&hierarchy, &format!("0::/nowhere/{ID}\n"), ID);
        assert!(unseen.unwrap_err().contains("not to be seen"));
    }
}
