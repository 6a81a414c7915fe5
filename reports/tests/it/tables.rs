//! The house: what is written is in its table, and no file grows too long.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

fn all() -> Vec<(PathBuf, String)> {
    let mut paths = Vec::new();
    for folder in ["src", "tests", "examples"] {
        sources(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            &mut paths,
        );
    }
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn every_report_and_gate_is_in_its_table() {
    let written = |what: &str| -> usize {
        let in_src =
            |(path, _): &&(PathBuf, String)| path.components().any(|c| c.as_os_str() == "src");
        all()
            .iter()
            .filter(in_src)
            .map(|(_, text)| text.matches(what).count())
            .sum()
    };
    assert_eq!(reports::REPORTS.len(), written("\nimpl Report for "));
    assert_eq!(reports::gate::GATES.len(), written("\nimpl Gate for "));
    let names: BTreeSet<_> = reports::REPORTS.iter().map(|r| r.name()).collect();
    assert_eq!(names.len(), reports::REPORTS.len());
}

#[test]
fn no_file_is_too_long() {
    for (path, text) in all() {
        assert!(
            text.lines().count() <= 400,
            "{} has over 400 lines",
            path.display()
        );
    }
}
