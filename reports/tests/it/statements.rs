//! What scenarios state, and what is said of a specimen that was broken on purpose.

use crate::support;
use reports::event::{Event, EventKind};
use reports::known_bug::KNOWN_BUG;
use reports::outcome::Outcome::{Errored, Failed, Passed};
use reports::record::RunRecord;
use reports::statement::Statement;
use reports::{ExitCode, exit_code, judge, overview};

fn stating(holds: bool, facts: u64) -> RunRecord {
    let mut run = support::specimen().record();
    run.cells[0].statements.push(Statement {
        suite: "datastore".into(),
        scenario: "watch_fanout".into(),
        name: "no change is lost".into(),
        holds,
        facts,
        because: "3 of 40 were".into(),
    });
    judge(&mut run);
    run
}

#[test]
fn a_statement_is_judged_and_none_without_facts_passes() {
    for (run, outcome, code) in [
        (stating(true, 40), Passed, ExitCode::Passed),
        (stating(false, 40), Failed, ExitCode::CheckFailed),
        (stating(true, 0), Errored, ExitCode::Errored),
        (stating(false, 0), Errored, ExitCode::Errored),
    ] {
        let what = "datastore/watch_fanout: no change is lost";
        let found = run.cells[0].verdicts.iter().find(|v| v.what == what);
        assert_eq!(found.map(|v| v.outcome), Some(outcome));
        assert_eq!(exit_code(&run), code);
    }
}

#[test]
fn a_statement_is_a_line_of_the_journal() {
    let event = Event {
        at_ms: 1.0,
        cell: Some("c".into()),
        kind: EventKind::Statement(stating(true, 2).cells[0].statements[0].clone()),
    };
    let line = serde_json::to_string(&event).unwrap();
    assert!(line.contains(r#""event":"statement""#), "{line}");
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
}

#[test]
fn a_known_bug_is_in_the_title_and_a_grave_notice() {
    let mut run = support::specimen().record();
    for cell in &mut run.cells {
        cell.spec.env.insert(KNOWN_BUG.into(), "stale-list".into());
    }
    let title = overview::title(&run);
    assert!(
        title.starts_with("KNOWN BUG stale-list; SPECIMEN"),
        "{title}"
    );
    let notices = overview::notices(&run);
    let told = notices
        .iter()
        .filter(|n| n.text.starts_with("KNOWN BUG stale-list"));
    let grave: Vec<_> = told
        .map(|n| n.gravity == overview::Gravity::Grave)
        .collect();
    assert_eq!(grave, [true]);
    // Of what is no specimen nobody says so.
    for cell in &mut run.cells {
        cell.spec.specimen = false;
    }
    assert!(!overview::title(&run).contains("KNOWN BUG"));
}
