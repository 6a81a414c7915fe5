//! What a datastore left on disk, and what it did to get it there.

use std::path::Path;

use harness::scenario::ScenarioContext;

/// Bytes of the database's files.
pub fn database_bytes(cx: &ScenarioContext<'_>) -> u64 {
    cx.distribution
        .database_paths(cx.datastore)
        .iter()
        .map(|path| bytes_beneath(&cx.cluster.data_dir().join(path)))
        .sum()
}

/// A file that vanishes while it is looked at counts as nothing: databases rotate their logs.
fn bytes_beneath(path: &Path) -> u64 {
    let Ok(metadata) = fs_err::symlink_metadata(path) else {
        return 0;
    };
    if metadata.is_file() {
        return metadata.len();
    }
    let Ok(entries) = fs_err::read_dir(path) else {
        return 0;
    };
    entries
        .flatten()
        .map(|entry| bytes_beneath(&entry.path()))
        .sum()
}

/// The number of fsyncs of etcd's write-ahead log so far, where etcd tells.
pub async fn fsyncs(cx: &ScenarioContext<'_>) -> Option<f64> {
    let text = reqwest::get(cx.etcd_metrics?)
        .await
        .ok()?
        .text()
        .await
        .ok()?;
    counter(&text, "etcd_disk_wal_fsync_duration_seconds_count")
}

/// A counter without labels in the Prometheus text format.
fn counter(text: &str, name: &str) -> Option<f64> {
    text.lines().find_map(|line| {
        line.strip_prefix(name)?
            .strip_prefix(' ')?
            .trim()
            .parse()
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "# HELP x\nx_count_more 3\nx_count 7\n";
        assert_eq!(counter(text, "x_count"), Some(7.0));
        assert_eq!(counter(text, "x"), None);
    }

    #[test]
    fn folders_are_summed() {
        let folder = tempfile::tempdir().unwrap();
        fs_err::create_dir(folder.path().join("in")).unwrap();
        fs_err::write(folder.path().join("a"), [0; 10]).unwrap();
        fs_err::write(folder.path().join("in/b"), [0; 5]).unwrap();
        assert_eq!(bytes_beneath(folder.path()), 15);
        assert_eq!(bytes_beneath(&folder.path().join("none")), 0);
    }
}
