//! Findings as people and programs see them.

use super::super::{Engine, Look, State, can_run, examine, render_json, render_text};
use super::MadeUp;

#[test]
fn the_table_is_aligned_and_free_of_control_characters() {
    let mut host = MadeUp::well();
    host.view.facts.engine = Engine::Silent("a \u{1b}[31mhostile\u{7} answer".into());
    let findings = examine(&host.view);
    let text = render_text(
        &findings,
        can_run(&findings),
        Look {
            colour: false,
            is_root: true,
        },
    );
    assert!(!text.contains(['\u{1b}', '\u{7}']), "{text}");
    let columns: Vec<_> = text
        .lines()
        .take_while(|line| !line.is_empty())
        .filter(|line| !line.starts_with(' '))
        .map(|line| {
            line.find("  ok ")
                .or_else(|| line.find("  missing "))
                .expect(line)
        })
        .filter(|at| *at >= "qemu-system-aarch64".len())
        .collect();
    assert!(
        !columns.is_empty() && columns.iter().all(|at| *at == columns[0]),
        "{text}"
    );
    assert!(
        text.contains("fix: apt-get update && apt-get install -y docker.io"),
        "{text}"
    );
    assert!(text.contains("assay suite all can run here."), "{text}");
    assert!(text.contains("--fix runs the 1 command"), "{text}");
}

#[test]
fn colour_is_only_there_when_asked_for() {
    let findings = examine(&MadeUp::well().view);
    assert!(
        render_text(
            &findings,
            true,
            Look {
                colour: true,
                is_root: true
            }
        )
        .contains("\u{1b}[32mok      \u{1b}[0m")
    );
    assert!(!render_text(&findings, true, Look::default()).contains('\u{1b}'));
}

#[test]
fn json_reads_back() {
    let host = MadeUp::well();
    host.remove("usr/bin/qemu-system-aarch64");
    let findings = examine(&host.view);
    let document: serde_json::Value =
        serde_json::from_str(&render_json(&findings, true)).expect("JSON");
    assert_eq!(document["schema"], 1);
    assert_eq!(document["can_run"], true);
    let shown = document["findings"].as_array().expect("a list");
    assert_eq!(shown.len(), findings.len());
    let qemu = shown
        .iter()
        .find(|finding| finding["id"] == "qemu")
        .expect("qemu");
    assert_eq!(qemu["state"], "missing");
    assert_eq!(qemu["fix"]["command"][0], "apt-get");
    assert_eq!(
        findings
            .iter()
            .filter(|finding| finding.state != State::Ok)
            .count(),
        1
    );
}
