//! `assay report` on what is no run, half a run, or somebody else's.

use std::path::PathBuf;

use crate::says::Says;
use crate::support::{Sandbox, names};

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../reports/tests/data");

/// A run's folder that holds nothing but this journal.
pub fn run_of(sandbox: &Sandbox, journal: &[u8]) -> PathBuf {
    let run = sandbox.path("run");
    std::fs::create_dir_all(&run).unwrap();
    std::fs::write(run.join("events.jsonl"), journal).unwrap();
    run
}

/// A run's folder with a committed journal.
pub fn copy(sandbox: &Sandbox, name: &str) -> PathBuf {
    run_of(
        sandbox,
        &std::fs::read(format!("{DATA}/{name}.jsonl")).unwrap(),
    )
}

#[track_caller]
fn refused(journal: &[u8], words: &[&str]) {
    let sandbox = Sandbox::new();
    let run = run_of(&sandbox, journal);
    let ended = sandbox.run(&["report", run.to_str().unwrap()]);
    ended.expect(2).says(words);
    assert_eq!(
        names(&run),
        ["events.jsonl"],
        "nothing was written beside it"
    );
}

#[test]
fn a_folder_that_is_no_run_is_refused() {
    let sandbox = Sandbox::new();
    for place in ["none", ""] {
        let place = sandbox.path(place).display().to_string();
        let ended = sandbox.run(&["report", &place]);
        ended
            .expect(2)
            .says(&["failed to read a run", "events.jsonl"]);
    }
    let ended = sandbox.run(&["report"]);
    ended
        .expect(2)
        .says(&["reports/runs/latest", "name a folder"]);
    std::fs::create_dir_all(sandbox.path("odd/events.jsonl")).unwrap();
    let odd = sandbox.path("odd").display().to_string();
    sandbox
        .run(&["report", &odd])
        .expect(2)
        .says(&["events.jsonl"]);
}

#[test]
fn a_journal_that_is_none_is_refused() {
    refused(b"", &["failed to read"]);
    refused(b"\n\n", &["failed to read"]);
    refused(b"{\"hello\":1}\n", &["failed to read"]);
    refused(b"\x00\xff\xfe garbage", &["failed to read"]);
    refused(&[b'['; 200_000], &["failed to read"]);
}

#[test]
fn a_corrupt_line_in_the_middle_is_named() {
    let text = std::fs::read_to_string(format!("{DATA}/specimen.jsonl")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines[5] = "{\"at_ms\": \"garbage\"";
    refused(lines.join("\n").as_bytes(), &["line 6"]);
}

#[test]
fn a_run_of_a_newer_assay_is_refused() {
    let text = std::fs::read_to_string(format!("{DATA}/specimen.jsonl")).unwrap();
    let newer = text.replacen(
        &format!("\"schema\":{}", reports::event::SCHEMA_VERSION),
        "\"schema\":9999",
        1,
    );
    assert_ne!(newer, text);
    refused(newer.as_bytes(), &["9999"]);
}

#[test]
fn each_run_is_judged_again_with_its_own_exit_code() {
    for (name, code) in [
        ("pair", None),
        ("specimen", Some(0)),
        ("oom", Some(5)),
        ("torn", Some(6)),
    ] {
        let sandbox = Sandbox::new();
        let run = copy(&sandbox, name);
        let ended = sandbox.run(&["report", run.to_str().unwrap()]);
        match code {
            Some(code) => _ = ended.expect(code),
            None => assert!(matches!(ended.code, Some(0 | 4)), "{ended:?}"),
        }
        for file in [
            "run.json",
            "report.html",
            "junit.xml",
            "summary.md",
            "measurements.csv",
        ] {
            assert!(run.join(file).exists(), "{name}: {file}");
        }
    }
}

#[test]
fn chosen_formats_are_written_elsewhere_and_nothing_else() {
    let sandbox = Sandbox::new();
    let run = copy(&sandbox, "specimen");
    let out = sandbox.path("elsewhere");
    let (from, to) = (run.to_str().unwrap(), out.to_str().unwrap());
    let ended = sandbox.run(&["report", from, "--format", "junit,csv", "--out", to]);
    let said = &ended.expect(0).stdout;
    assert!(said.ends_with(&format!("report: {to}\n")), "{said}");
    assert_eq!(names(&run), ["events.jsonl"]);
    let mut written = names(&out);
    written.sort();
    assert_eq!(written, ["junit.xml", "measurements.csv"]);
}

/// The wall clock is in the record once, for people. It may say anything.
#[test]
fn a_clock_that_steps_back_changes_no_verdict() {
    let text = std::fs::read_to_string(format!("{DATA}/specimen.jsonl")).unwrap();
    let start = text.find("\"started_at\":\"").unwrap() + 14;
    let end = start + text[start..].find('"').unwrap();
    let verdicts = |clock: &str| {
        let sandbox = Sandbox::new();
        let changed = format!("{}{clock}{}", &text[..start], &text[end..]);
        let run = run_of(&sandbox, changed.as_bytes());
        sandbox.run(&["report", run.to_str().unwrap()]).expect(0);
        let read = |name: &str| std::fs::read_to_string(run.join(name)).unwrap();
        let record: serde_json::Value = serde_json::from_str(&read("run.json")).unwrap();
        (
            record["derived"].clone(),
            record["record"]["cells"].clone(),
            read("measurements.csv"),
        )
    };
    let usual = verdicts(&text[start..end]);
    for clock in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "yesterday"] {
        let other = verdicts(clock);
        assert!(other.1 == usual.1 && other.2 == usual.2, "{clock}");
        assert_eq!(other.0["exit_code"], usual.0["exit_code"]);
        assert_eq!(other.0["cells"], usual.0["cells"]);
    }
}
