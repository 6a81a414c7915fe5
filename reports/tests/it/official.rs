//! The official names in every format, by state: what is missing is never counted as passed, nor as not selected.

use reports::REPORTS;
use reports::budget::Budget;
use reports::event::{CheckFinding, EventKind};
use reports::official::{Answer, Count, ListedName, OfficialList, State};
use reports::outcome::Outcome;
use reports::record::RunRecord;

use crate::support::{Journal, check, spec};

const CELL: &str = "native-k3s-sqlite-edge";

fn name(name: &str, tier: &str, answers: &[&str]) -> ListedName {
    let answer = |id: &str| Answer {
        check: id.trim_end_matches(['~', '?']).into(),
        restated: id.contains('~'),
        unselected: id.contains('?'),
    };
    ListedName {
        name: format!("[sig-api-machinery] {name}"),
        tier: tier.into(),
        answers: answers.iter().map(|id| answer(id)).collect(),
        incomplete: false,
    }
}

/// One name of every state, and names of every kind. `~` marks an answer that restates, `?` one that was not chosen.
fn list() -> OfficialList {
    OfficialList {
        minor: Some(21),
        required: true,
        note: Some("a <note> on the list".into()),
        names: vec![
            name("Watchers should pass", "A", &["watch/passes"]),
            name("Lists should fail", "A", &["watch/passes", "list/fails"]),
            name("Quota should err", "A", &["quota/errs"]),
            name("Quota should be skipped", "A", &["quota/skips"]),
            name("Quota should have ended", "A", &["quota/vanished"]),
            name(
                "Patch was not chosen",
                "A",
                &["watch/passes", "patch/unselected?"],
            ),
            name("Webhooks have no check", "W", &[]),
            name("Pods should run", "N", &[]),
            name("Jobs should be restated", "R", &["job/restates"]),
            name("Jobs should be stated by halves", "A", &["job/halves~"]),
            name("Deployments have no check", "R", &[]),
        ],
    }
}

fn journal(list: Option<OfficialList>) -> Journal {
    let mut j = Journal::new("20261122T021500Z-list");
    let cell = Some(CELL);
    let spec = spec("k3s", "sqlite", Budget::edge());
    j.push(10.0, cell, EventKind::CellStarted(spec));
    if let Some(list) = list {
        j.push(20.0, cell, EventKind::Official(list));
    }
    let unbound = CheckFinding {
        official: Vec::new(),
        ..check("health/is-ours", Outcome::Passed, None)
    };
    for finding in [
        check("watch/passes", Outcome::Passed, None),
        check("list/fails", Outcome::Failed, Some("expected 1; seen: <2>")),
        check("quota/errs", Outcome::Errored, Some("no answer")),
        check(
            "quota/skips",
            Outcome::Skipped,
            Some("the server does not offer it"),
        ),
        check("job/restates", Outcome::Passed, None),
        check("job/halves", Outcome::Passed, None),
        check(
            "list/newer",
            Outcome::Failed,
            Some("a later version requires it"),
        ),
        unbound,
    ] {
        j.push(30.0, cell, EventKind::Check(finding));
    }
    let (outcome, reason) = (Outcome::Failed, Some("a check failed".to_owned()));
    j.push(40.0, cell, EventKind::CellFinished { outcome, reason });
    j.finish(50.0);
    j
}

fn rendered(run: &RunRecord, name: &str) -> String {
    let report = REPORTS.iter().find(|r| r.name() == name).unwrap();
    let files = report.render(run).unwrap();
    String::from_utf8(files[0].bytes.clone()).unwrap()
}

#[test]
fn every_name_has_its_state_and_the_numbers_are_apart() {
    let run = journal(Some(list())).record();
    let states: Vec<State> = run.cells[0].standings().iter().map(|s| s.state).collect();
    use State::*;
    let expected = [
        Passed,
        Failed,
        Errored,
        Skipped,
        Errored,
        NotSelected,
        NotImplemented,
        NeedsKubelet,
        Passed,
        Passed,
        NotImplemented,
    ];
    assert_eq!(states, expected);
    let numbers = run.cells[0].numbers().unwrap();
    let official = Count {
        total: 8,
        passed: 1,
        failed: 1,
        errored: 2,
        skipped: 1,
        not_selected: 1,
        not_implemented: 1,
        needs_kubelet: 1,
    };
    assert_eq!(numbers.official, official);
    let restated = Count {
        total: 3,
        passed: 2,
        not_implemented: 1,
        ..Count::default()
    };
    assert_eq!(numbers.restated, restated);
    assert_eq!((numbers.beyond.passed, numbers.beyond.failed), (1, 1));
    assert_eq!(
        (numbers.other_minors.total(), numbers.other_minors.failed),
        (1, 1)
    );
}

#[test]
fn a_name_that_needs_two_checks_passes_by_both() {
    let run = journal(Some(list())).record();
    let standings = run.cells[0].standings();
    assert_eq!(standings[1].state, State::Failed);
    assert_eq!(standings[1].why, Some("expected 1; seen: <2>"));
    assert_eq!(
        standings[4].why,
        Some("it has no finding: the run ended before it")
    );
}

#[test]
fn golden_files() {
    let run = journal(Some(list())).record();
    for format in ["markdown", "console", "junit"] {
        insta::assert_snapshot!(format!("official-{format}"), rendered(&run, format));
    }
    let page = rendered(&run, "html");
    let (_, section) = page.split_once("<section id=\"official\">").unwrap();
    insta::assert_snapshot!("official-html", section.split_once("</section>").unwrap().0);
    let json: serde_json::Value = serde_json::from_str(&rendered(&run, "json")).unwrap();
    let numbers = &json["derived"]["cells"][0]["official"];
    insta::assert_snapshot!(
        "official-json",
        serde_json::to_string_pretty(numbers).unwrap()
    );
}

#[test]
fn a_record_without_a_list_renders_without_one() {
    let run = journal(None).record();
    assert_eq!(run.cells[0].numbers(), None);
    assert!(run.cells[0].standings().is_empty());
    for format in ["markdown", "console", "junit", "html", "json"] {
        let text = rendered(&run, format);
        assert!(!text.contains("certification"), "{format}");
        assert!(!text.contains("\"bound\""), "{format}");
    }
    let current = format!("\"schema\":{}", reports::event::SCHEMA_VERSION);
    let old = journal(None).text().replacen(&current, "\"schema\":1", 1);
    let old = RunRecord::from_journal(&old).unwrap();
    assert_eq!((old.started.schema, old.cells[0].numbers()), (1, None));
    let no_minor = OfficialList::default();
    let run = journal(Some(no_minor)).record();
    assert_eq!(run.cells[0].numbers().unwrap().beyond.total(), 8);
    assert!(rendered(&run, "html").contains("no list applies"));
}
