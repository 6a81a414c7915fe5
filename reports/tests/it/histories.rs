//! Histories in a record: judged from their files' text, turned into verdicts, and shown.

use reports::event::{Event, EventKind};
use reports::histories::{HistoryNamed, HistoryRecord};
use reports::history::{Answer, History, Line};
use reports::outcome::Outcome::{Errored, Failed, Passed};
use reports::record::RunRecord;
use reports::{ExitCode, REPORTS, exit_code, judge};

use crate::judges::model::{Plan, make};
use crate::support;

fn named() -> HistoryNamed {
    HistoryNamed {
        suite: "datastore".into(),
        scenario: "model".into(),
        part: "control".into(),
        file: "histories/native-reference-sqlite-model-control.jsonl".into(),
    }
}

fn history() -> History {
    make(&Plan {
        fault: false,
        ..Plan::rich(2)
    })
    .history
}

fn text(history: &History) -> String {
    let header = std::iter::once(Line::Header(history.header.clone()));
    let operations = history.operations.iter().cloned().map(Line::Op);
    let lists = history.listings.iter().cloned().map(Line::List);
    let watched = history.watched.iter().cloned().map(Line::Watch);
    let lines = header.chain(operations).chain(lists).chain(watched);
    lines
        .map(|line| serde_json::to_string(&line).unwrap() + "\n")
        .collect()
}

fn run(text: Result<&str, String>) -> RunRecord {
    let mut run = support::specimen().record();
    let mut record = HistoryRecord::new(named());
    record.judge(text);
    run.cells[0].histories.push(record);
    judge(&mut run);
    run
}

#[test]
fn a_good_history_passes_with_its_judges_named() {
    let run = run(Ok(&text(&history())));
    let verdicts = &run.cells[0].verdicts;
    let of: Vec<_> = verdicts.iter().filter(|v| v.gate == "history").collect();
    let [verdict] = of.as_slice() else {
        panic!("{of:#?}");
    };
    assert_eq!(verdict.outcome, Passed);
    assert_eq!(verdict.what, "datastore/model (control)");
    assert!(
        verdict.because.starts_with("acknowledged, phantom, order"),
        "{verdict:?}"
    );
    assert_eq!(exit_code(&run), ExitCode::Passed);
}

#[test]
fn what_a_judge_found_is_a_failure_with_its_evidence_in_every_report() {
    let mut history = history();
    let mut reads = history.operations.iter_mut();
    let phantom = reads.find_map(|operation| match &mut operation.answer {
        Answer::Read {
            found: Some(found), ..
        } => Some(found).filter(|found| found.revision > 10),
        _ => None,
    });
    phantom.unwrap().value = 1 << 40;
    let run = run(Ok(&text(&history)));
    let verdicts = &run.cells[0].verdicts;
    let failed: Vec<_> = verdicts.iter().filter(|v| v.outcome == Failed).collect();
    assert_eq!(failed.len(), 1, "{failed:#?}");
    assert_eq!(failed[0].what, "datastore/model (control): phantom");
    assert_eq!(exit_code(&run), ExitCode::CheckFailed);
    for name in ["console", "html", "markdown", "junit", "json"] {
        let report = REPORTS.iter().find(|report| report.name() == name).unwrap();
        let files = report.render(&run).unwrap();
        let text = String::from_utf8_lossy(&files[0].bytes);
        assert!(text.contains("that nobody can have caused"), "{name}");
    }
}

#[test]
fn a_history_that_is_missing_or_was_never_judged_is_errored_once() {
    let missing = run(Err("failed to read its history: it is not there".into()));
    let mut never = support::specimen().record();
    never.cells[0].histories.push(HistoryRecord::new(named()));
    judge(&mut never);
    for run in [missing, never] {
        let verdicts = run.cells[0].verdicts.iter();
        let of: Vec<_> = verdicts.filter(|v| v.gate == "history").collect();
        assert_eq!(of.len(), 1, "{of:#?}");
        assert_eq!(of[0].outcome, Errored);
        assert_eq!(exit_code(&run), ExitCode::Errored);
    }
}

#[test]
fn a_file_of_another_history_is_not_taken_for_this_one() {
    let mut history = history();
    history.header.part = "fault".into();
    let run = run(Ok(&text(&history)));
    assert_eq!(exit_code(&run), ExitCode::Errored);
}

/// Assay was killed in the middle: what is there is judged.
#[test]
fn a_torn_history_is_judged_as_far_as_it_goes() {
    let whole = text(&history());
    let run = run(Ok(&whole[..whole.len() - 20]));
    let record = &run.cells[0].histories[0];
    assert!(record.operations > 300);
    assert!(
        record
            .findings
            .iter()
            .all(|finding| finding.outcome != Failed)
    );
    assert!(
        record
            .findings
            .iter()
            .any(|finding| finding.outcome == Passed)
    );
}

#[test]
fn the_journal_names_a_history_and_the_record_has_it() {
    let event = Event {
        at_ms: 1.0,
        cell: Some("c".into()),
        kind: EventKind::History(named()),
    };
    let line = serde_json::to_string(&event).unwrap();
    assert!(line.contains(r#""event":"history""#), "{line}");
    assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event);
    let mut journal = support::specimen();
    let cell = journal.record().cells[0].id.clone();
    journal.push(2.0, Some(&cell), EventKind::History(named()));
    // The last event of a journal may stand after the run's end here; the fold does not mind.
    assert_eq!(
        journal.record().cells[0].histories,
        [HistoryRecord::new(named())]
    );
}
