//! The size of files as this host sees them.

use std::path::Path;

/// Bytes of a file, or of everything beneath a folder. A file that vanishes while it is looked at counts as
/// nothing: databases rotate their logs.
pub fn bytes_beneath(path: &Path) -> u64 {
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

#[cfg(test)]
mod tests {
    use super::*;

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
