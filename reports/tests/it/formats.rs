//! What the formats look like: golden files, and the order of the house that every format must keep.

use crate::support;
use reports::record::RunRecord;
use reports::{REPORTS, console};

fn rendered(run: &RunRecord, name: &str) -> String {
    let report = REPORTS.iter().find(|r| r.name() == name).unwrap();
    let files = report.render(run).unwrap();
    String::from_utf8(files[0].bytes.clone()).unwrap()
}

/// The page without its plots, which have golden files of their own, and without its style.
fn without_plots(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    while let Some((before, after)) = rest.split_once("<svg ") {
        out.push_str(before);
        out.push_str("[plot]");
        rest = after.split_once("</svg>").unwrap().1;
    }
    out.push_str(rest);
    let (head, tail) = out.split_once("<style>").unwrap();
    format!("{head}{}", tail.split_once("</style>").unwrap().1)
}

#[test]
fn golden_files() {
    for (name, journal) in [
        ("pair", support::pair()),
        ("specimen", support::specimen()),
        ("oom", support::oom()),
    ] {
        let run = journal.record();
        for format in ["junit", "markdown", "csv", "console"] {
            insta::assert_snapshot!(format!("{name}-{format}"), rendered(&run, format));
        }
        insta::assert_snapshot!(
            format!("{name}-html"),
            without_plots(&rendered(&run, "html"))
        );
    }
}

#[test]
fn golden_derived_json() {
    let text = rendered(&support::pair().record(), "json");
    let file: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&file["derived"]).unwrap());
    let back: RunRecord = serde_json::from_value(file["record"].clone()).unwrap();
    assert_eq!(back, support::pair().record());
}

#[test]
fn a_partial_run_renders_and_says_so() {
    let mut run = RunRecord::from_journal(&support::torn()).unwrap();
    reports::judge(&mut run);
    for format in ["html", "markdown", "console", "junit"] {
        assert!(rendered(&run, format).contains("PARTIAL"), "{format}");
    }
    insta::assert_snapshot!("torn-console", rendered(&run, "console"));
}

#[test]
fn a_specimen_cannot_be_missed() {
    let run = support::specimen().record();
    for format in ["html", "markdown", "console", "junit", "json"] {
        let text = rendered(&run, format);
        assert!(text.contains(reports::overview::SPECIMEN), "{format}");
    }
    let html = rendered(&run, "html");
    let title = html
        .split_once("<title>")
        .unwrap()
        .1
        .split_once("</title>")
        .unwrap()
        .0;
    assert!(title.starts_with("SPECIMEN"), "{title}");
    assert!(!rendered(&support::pair().record(), "html").contains("SPECIMEN"));
}

#[test]
fn console_colour_changes_no_width() {
    let run = support::oom().record();
    let colour = console::summary(&run, true);
    assert!(colour.contains("\u{1b}[31m"));
    assert_eq!(
        reports::text::plain(&colour, 100_000),
        console::summary(&run, false)
    );
}

#[test]
fn junit_names_are_unique_and_counts_agree() {
    let mut journal = support::pair();
    let again = support::check(
        "lists/continue-is-consistent",
        reports::outcome::Outcome::Passed,
        None,
    );
    let at = journal.events.len() - 1;
    for _ in 0..2 {
        let mut event = journal.events[at - 1].clone();
        event.kind = reports::event::EventKind::Check(again.clone());
        journal.events.insert(at - 1, event);
    }
    let text = rendered(&journal.record(), "junit");
    let mut names: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| l.starts_with("<testcase "))
        .map(|l| l.split_once(" time=").map_or(l, |(names, _)| names))
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
    assert!(text.contains("continue-is-consistent #3"));
}

#[test]
fn html_needs_no_network_and_no_script() {
    let html = rendered(&support::pair().record(), "html").to_lowercase();
    let tags = [
        "<script", "<link", "<img", "<iframe", "src=", "@import", "url(", "onload",
    ];
    for tag in tags {
        assert!(!html.contains(tag), "{tag}");
    }
    let addresses = html.matches("http").count();
    let harmless =
        html.matches("http://www.w3.org/2000/svg").count() + html.matches("http-equiv").count();
    assert_eq!(addresses, harmless);
}
