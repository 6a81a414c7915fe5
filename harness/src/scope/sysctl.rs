//! Kernel settings of the whole host that a kubelet changes and nobody changes back.

use std::path::{Path, PathBuf};

use super::Resource;

/// What the kubelet sets at its start, whatever namespaces it runs in, and to which value (kubernetes
/// `pkg/util/sysctl`).
const SET_BY_A_KUBELET: &[(&str, &str)] = &[
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/proc/sys/vm/panic_on_oom", "0"),
    ("/proc/sys/kernel/panic", "10"),
    ("/proc/sys/kernel/panic_on_oops", "1"),
    ("/proc/sys/kernel/keys/root_maxkeys", "1000000"),
    ("/proc/sys/kernel/keys/root_maxbytes", "25000000"),
];

/// These settings as they are now, to be entered before a kubelet starts.
#[must_use]
pub fn before_a_kubelet() -> Vec<Resource> {
    let read = |(path, set): &(&str, &str)| {
        let before = std::fs::read_to_string(path).ok()?.trim().to_owned();
        Some(Resource::Sysctl {
            path: PathBuf::from(path),
            before,
            set: Some((*set).to_owned()),
        })
    };
    SET_BY_A_KUBELET.iter().filter_map(read).collect()
}

/// Sets it back where it still has what was set. `Ok(false)`: it is as it was, or somebody else has set it meanwhile,
/// whose affair it is.
pub(super) fn restore(path: &Path, before: &str, set: Option<&str>) -> Result<bool, String> {
    let shown = path.display();
    if !path.starts_with("/proc/sys") {
        return Err(format!("{shown} is no kernel setting; look at it by hand"));
    }
    let now = std::fs::read_to_string(path)
        .map_err(|error| format!("failed to read {shown} ({error})"))?;
    if !is_ours(now.trim(), before, set) {
        return Ok(false);
    }
    std::fs::write(path, before).map_err(|error| {
        format!("failed to set it back ({error}); run `sysctl` by hand: {shown} was {before}")
    })?;
    Ok(true)
}

/// Whether a setting is to be set back. Ledgers of earlier versions do not tell what was set.
fn is_ours(now: &str, before: &str, set: Option<&str>) -> bool {
    now != before && set.is_none_or(|set| now == set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_did_not_change_is_left_alone_and_nothing_else_is_written() {
        for resource in before_a_kubelet() {
            let Resource::Sysctl { path, before, set } = resource else {
                panic!("another kind");
            };
            assert_eq!(restore(&path, &before, set.as_deref()), Ok(false));
        }
        assert!(restore(Path::new("/etc/hostname"), "x", None).is_err());
    }

    #[test]
    fn what_somebody_else_has_set_meanwhile_is_theirs() {
        assert!(is_ours("1", "0", Some("1")));
        assert!(!is_ours("2", "0", Some("1")) && !is_ours("0", "0", Some("1")));
        assert!(is_ours("2", "0", None), "nobody wrote down what was set");
    }
}
