//! What the device under test says must not act in any format: every free string of a journal is poisoned.

use reports::REPORTS;
use reports::record::RunRecord;
use serde_json::Value;

use crate::support;

const POISON: &str = "<script>alert(1)</script>\"'&]]>\u{1b}[31mRED\u{1b}]0;t\u{7}\u{202e}\0|`x`[l](javascript:a)\n# h1 <!--";

/// Names of enumerations, which are not free.
const FIXED: [&str; 5] = ["event", "outcome", "unit", "readings", "schema"];

fn poison(value: &mut Value) {
    match value {
        Value::String(text) if text.parse::<f64>().is_err() => text.push_str(POISON),
        Value::Array(items) => items.iter_mut().for_each(poison),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                if !FIXED.contains(&name.as_str()) {
                    poison(field);
                }
            }
            for map in ["labels", "artifacts", "facts"] {
                if let Some(Value::Object(map)) = fields.get_mut(map) {
                    map.insert(format!("key{POISON}"), POISON.into());
                }
            }
        }
        _ => {}
    }
}

fn poisoned(journal: &support::Journal) -> RunRecord {
    let text: String = journal
        .events
        .iter()
        .map(|event| {
            let mut value = serde_json::to_value(event).unwrap();
            poison(&mut value);
            value.to_string() + "\n"
        })
        .collect();
    let mut run = RunRecord::from_journal(&text).unwrap();
    run.cells[0].leftovers.push(POISON.into());
    run.cells[0].warnings.push(POISON.into());
    reports::judge(&mut run);
    run
}

fn texts(run: &RunRecord) -> Vec<(&'static str, String, String)> {
    let mut all = Vec::new();
    for report in REPORTS {
        for file in report.render(run).unwrap() {
            if let Ok(text) = String::from_utf8(file.bytes) {
                all.push((report.name(), file.path, text));
            }
        }
    }
    all
}

#[test]
fn nothing_hostile_gets_through() {
    for journal in [support::pair(), support::oom()] {
        let run = poisoned(&journal);
        for (format, path, text) in texts(&run) {
            let control = text
                .chars()
                .find(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r'));
            assert_eq!(control, None, "{path}");
            if format != "json" {
                assert!(!text.contains('\u{202e}'), "{path}");
            }
            if ["html", "junit", "markdown", "plots"].contains(&format) {
                for markup in ["<script", "<!--", "]]>"] {
                    assert!(!text.contains(markup), "{path}: {markup}");
                }
            }
            assert!(!path.contains(".."), "{path}");
            let safe = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
            assert!(path.chars().all(safe), "{path}");
        }
    }
}

#[test]
fn hostile_junit_is_well_formed() {
    let run = poisoned(&support::oom());
    let text = texts(&run).into_iter().find(|t| t.0 == "junit").unwrap().2;
    let document = quick_junit::Report::deserialize_from_str(&text).unwrap();
    assert_eq!(document.test_suites.len(), 3);
}

#[test]
fn hostile_markdown_keeps_its_tables() {
    let run = poisoned(&support::pair());
    let text = texts(&run)
        .into_iter()
        .find(|t| t.0 == "markdown")
        .unwrap()
        .2;
    // In the last line the command stands in a code span, where brackets do nothing.
    let last = text.trim_end().rfind('\n').unwrap();
    assert!(!text[..last].contains("[l]("));
    assert_eq!(
        text[last..].matches('`').count(),
        text[last..].matches("\\`").count() + 4
    );
    assert!(!text.contains("\n# h1"));
    let bars = |line: &str| line.replace("\\|", "").matches('|').count();
    let mut width = None;
    for line in text.lines() {
        if line.starts_with('|') {
            assert_eq!(*width.get_or_insert(bars(line)), bars(line), "{line}");
        } else {
            width = None;
        }
    }
}

#[test]
fn hostile_csv_keeps_its_columns() {
    let run = poisoned(&support::pair());
    let text = texts(&run).into_iter().find(|t| t.0 == "csv").unwrap().2;
    for line in text.split_terminator("\r\n") {
        let mut quoted = false;
        let commas = line.chars().filter(|c| {
            quoted ^= *c == '"';
            *c == ',' && !quoted
        });
        assert_eq!(commas.count(), 17, "{line}");
    }
}
