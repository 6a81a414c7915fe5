//! Reading the histories of a run and having them judged.

use std::io::Read;
use std::path::Path;

use reports::histories::{FOLDER, HistoryRecord};
use reports::record::RunRecord;

/// A history of a hundred thousand operations has some tens of megabytes; one beyond this would not fit in memory.
const GREATEST: u64 = 2 << 30;

/// Judges every history that the journal names, from its file in the run's folder.
pub fn judge(folder: &Path, run: &mut RunRecord) {
    for cell in &mut run.cells {
        for history in &mut cell.histories {
            let text = read(folder, history);
            history.judge(text.as_deref().map_err(Clone::clone));
        }
    }
}

/// The file's text. A journal may come from elsewhere, so nothing outside of the run's folder is read: the name is plain,
/// and neither the folder nor the file is a link.
fn read(folder: &Path, history: &HistoryRecord) -> Result<String, String> {
    let Some(file) = history.file() else {
        let file = reports::text::plain(&history.named.file, 120);
        return Err(format!("{file:?} is no name of a history's file"));
    };
    let failed = |error: std::io::Error| format!("failed to read its history: {error}");
    let within = fs_err::symlink_metadata(folder.join(FOLDER)).map_err(failed)?;
    let path = folder.join(file);
    let metadata = fs_err::symlink_metadata(&path).map_err(failed)?;
    if !within.is_dir() || !metadata.is_file() {
        return Err(format!("{file} is not a file in the run's folder"));
    }
    if metadata.len() > GREATEST {
        return Err(format!("{file} has more than {GREATEST} bytes"));
    }
    let mut bytes = Vec::new();
    let opened = fs_err::File::open(&path).map_err(failed)?;
    opened
        .take(GREATEST)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    // A tail that was torn within a character is a torn tail like others.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::histories::HistoryNamed;

    fn of(file: &str) -> HistoryRecord {
        HistoryRecord::new(HistoryNamed {
            suite: "datastore".into(),
            scenario: "s".into(),
            part: "p".into(),
            file: file.into(),
        })
    }

    #[test]
    fn only_files_of_the_run_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let histories = folder.path().join(FOLDER);
        fs_err::create_dir(&histories).unwrap();
        fs_err::write(histories.join("a"), "text").unwrap();
        assert_eq!(read(folder.path(), &of("histories/a")).unwrap(), "text");
        fs_err::write(folder.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink("../secret", histories.join("link")).unwrap();
        fs_err::create_dir(histories.join("folder")).unwrap();
        for (file, why) in [
            ("histories/../secret", "no name"),
            ("histories/link", "not a file"),
            ("histories/folder", "not a file"),
            ("histories/missing", "failed to read"),
        ] {
            let error = read(folder.path(), &of(file)).unwrap_err();
            assert!(error.contains(why), "{file}: {error}");
        }
    }

    #[test]
    fn a_folder_that_is_a_link_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs_err::write(elsewhere.path().join("a"), "secret").unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join(FOLDER)).unwrap();
        assert!(read(folder.path(), &of("histories/a")).is_err());
    }
}
