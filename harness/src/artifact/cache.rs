//! The cache of downloaded binaries: `<root>/<product>/<version>/<file>`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::entry::Entry;

/// The cache's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    root: PathBuf,
}

impl Cache {
    /// A cache in this folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        let root = root.into();
        Self {
            root: std::path::absolute(&root).unwrap_or(root),
        }
    }

    /// The user's cache: `ASSAY_CACHE`, else `$XDG_CACHE_HOME/assay`, else `~/.cache/assay`, else (a service
    /// without a home) `/var/cache/assay`.
    pub fn of_user() -> Self {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name| {
            variable(name)
                .filter(|value| !value.is_empty())
                .map(PathBuf::from)
        };
        // The XDG specification says that a relative value is to be ignored.
        let xdg = || {
            set("XDG_CACHE_HOME")
                .filter(|path| path.is_absolute())
                .map(|path| path.join("assay"))
        };
        let home = || set("HOME").map(|path| path.join(".cache/assay"));
        Self::at(
            set("ASSAY_CACHE")
                .or_else(xdg)
                .or_else(home)
                .unwrap_or_else(|| "/var/cache/assay".into()),
        )
    }

    /// Its folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The entry of one file. The parts must be plain names.
    pub(super) fn entry(&self, product: &str, version: &str, file: &str) -> Entry {
        Entry::at(self.root.join(product).join(version), file)
    }

    /// The versions of which this file is there, in the order of their names.
    pub(super) fn versions(&self, product: &str, file: &str) -> Vec<String> {
        let Ok(folders) = fs_err::read_dir(self.root.join(product)) else {
            return Vec::new();
        };
        let names = folders
            .flatten()
            .filter(|folder| folder.path().join(file).is_file());
        let mut versions: Vec<_> = names
            .filter_map(|folder| folder.file_name().into_string().ok())
            .collect();
        versions.sort();
        versions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(variables: &[(&str, &str)]) -> PathBuf {
        let find = |name: &str| {
            variables
                .iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).into())
        };
        Cache::from_variables(find).root
    }

    #[test]
    fn the_folder_follows_the_variables_in_order() {
        let all = [
            ("ASSAY_CACHE", "/a"),
            ("XDG_CACHE_HOME", "/x"),
            ("HOME", "/h"),
        ];
        assert_eq!(root(&all), Path::new("/a"));
        assert_eq!(root(&all[1..]), Path::new("/x/assay"));
        assert_eq!(root(&all[2..]), Path::new("/h/.cache/assay"));
        assert_eq!(
            root(&[
                ("ASSAY_CACHE", ""),
                ("XDG_CACHE_HOME", "relative"),
                ("HOME", "/h")
            ]),
            Path::new("/h/.cache/assay")
        );
        assert_eq!(root(&[]), Path::new("/var/cache/assay"));
    }
}
