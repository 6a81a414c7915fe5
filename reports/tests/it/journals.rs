//! The committed journals are what the generator makes. `ASSAY_WRITE_JOURNALS=1` writes them anew.

use crate::support;

#[test]
fn committed_journals_are_current() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");
    for (name, text) in [
        ("pair", support::pair().text()),
        ("specimen", support::specimen().text()),
        ("oom", support::oom().text()),
        ("stores", support::stores().text()),
        ("torn", support::torn()),
    ] {
        let path = format!("{folder}/{name}.jsonl");
        if std::env::var_os("ASSAY_WRITE_JOURNALS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let committed = std::fs::read_to_string(&path).unwrap();
        assert!(
            committed == text,
            "{path} is stale: run with ASSAY_WRITE_JOURNALS=1"
        );
    }
}
