//! A run's folder: `<out>/<utc>-<id>/`, never overwritten, with `<out>/latest` pointing at the newest.

use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use reports::RenderedFile;

/// The folder of one run.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
    id: String,
}

impl RunDir {
    /// Makes a new folder beneath `out` and points `latest` at it.
    ///
    /// # Errors
    /// When `out` cannot be made or written.
    pub fn create(out: &Path) -> anyhow::Result<Self> {
        let hint = || {
            format!(
                "failed to make a run folder in {}; choose a writable place with --out",
                out.display()
            )
        };
        fs_err::create_dir_all(out).with_context(hint)?;
        let now = jiff::Timestamp::now()
            .strftime("%Y%m%dT%H%M%SZ")
            .to_string();
        let id = format!("{now}-{}", &uuid::Uuid::new_v4().simple().to_string()[..6]);
        let path = out.join(&id);
        fs_err::create_dir(&path).with_context(hint)?;
        let run = Self {
            path: fs_err::canonicalize(path)?,
            id,
        };
        run.point_latest(out);
        Ok(run)
    }

    /// A link is made beside and renamed over, so that readers never see it missing. Failing to make one
    /// (a file system without links) harms nothing.
    fn point_latest(&self, out: &Path) {
        let fresh = out.join(format!(".latest-{}", self.id));
        if std::os::unix::fs::symlink(&self.id, &fresh).is_ok()
            && fs_err::rename(&fresh, out.join("latest")).is_err()
        {
            let _ = fs_err::remove_file(&fresh);
        }
    }

    /// The run's id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The random part of the id: for paths that must be short.
    #[must_use]
    pub fn short_id(&self) -> &str {
        self.id.rsplit('-').next().unwrap_or(&self.id)
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The journal's path.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("events.jsonl")
    }

    /// The folder of a cell's logs, made if need be, for this user alone: a server's log may quote its secrets, and
    /// nothing is redacted in it.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn logs(&self, cell: &str) -> anyhow::Result<PathBuf> {
        let logs = self.path.join("logs").join(cell);
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&logs)
            .with_context(|| format!("failed to make {}; free some disk", logs.display()))?;
        Ok(logs)
    }
}

/// Writes rendered files beneath `folder`, each to a temporary name and then renamed.
///
/// # Errors
/// When a file cannot be written.
pub fn write_rendered(folder: &Path, files: &[RenderedFile]) -> anyhow::Result<()> {
    for file in files {
        let path = folder.join(&file.path);
        let parent = path.parent().unwrap_or(folder);
        fs_err::create_dir_all(parent)?;
        let temporary = parent.join(format!(
            ".{}.partial",
            path.file_name().unwrap_or_default().to_string_lossy()
        ));
        fs_err::write(&temporary, &file.bytes)
            .and_then(|()| fs_err::rename(&temporary, &path))
            .inspect_err(|_| {
                let _ = fs_err::remove_file(&temporary);
            })
            .context("failed to write a report")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn nobody_else_reads_a_servers_log() {
        let out = tempfile::tempdir().unwrap();
        let run = RunDir::create(out.path()).unwrap();
        let logs = run.logs("cell").unwrap();
        assert_eq!(run.logs("cell").unwrap(), logs, "made once");
        for folder in [logs.as_path(), logs.parent().unwrap()] {
            let mode = fs_err::metadata(folder).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        }
    }
}
