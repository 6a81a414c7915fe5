//! Kernel settings of the whole host that a kubelet changes and nobody changes back.

use std::path::{Path, PathBuf};

use super::Resource;

/// What the kubelet sets at its start, whatever namespaces it runs in (kubernetes `pkg/util/sysctl`).
const SET_BY_A_KUBELET: &[&str] = &[
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/panic_on_oom",
    "/proc/sys/kernel/panic",
    "/proc/sys/kernel/panic_on_oops",
    "/proc/sys/kernel/keys/root_maxkeys",
    "/proc/sys/kernel/keys/root_maxbytes",
];

/// These settings as they are now, to be entered before a kubelet starts.
#[must_use]
pub fn before_a_kubelet() -> Vec<Resource> {
    let read = |path: &&str| {
        let before = std::fs::read_to_string(path).ok()?.trim().to_owned();
        Some(Resource::Sysctl {
            path: PathBuf::from(path),
            before,
        })
    };
    SET_BY_A_KUBELET.iter().filter_map(read).collect()
}

/// Sets it back. `Ok(false)`: it is as it was.
pub(super) fn restore(path: &Path, before: &str) -> Result<bool, String> {
    let shown = path.display();
    if !path.starts_with("/proc/sys") {
        return Err(format!("{shown} is no kernel setting; look at it by hand"));
    }
    let now = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {shown} ({error})"))?;
    if now.trim() == before {
        return Ok(false);
    }
    std::fs::write(path, before).map_err(|error| {
        format!("failed to set it back ({error}); run `sysctl` by hand: {shown} was {before}")
    })?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_left_alone_and_nothing_else_is_written() {
        for resource in before_a_kubelet() {
            let Resource::Sysctl { path, before } = resource else {
                panic!("another kind");
            };
            assert_eq!(restore(&path, &before), Ok(false));
        }
        assert!(restore(Path::new("/etc/hostname"), "x").is_err());
    }
}
