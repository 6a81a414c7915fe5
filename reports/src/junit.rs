//! `junit.xml` in Jenkins' dialect, for the test tabs of CI systems.
//!
//! GitLab shows `classname` as the suite and knows a test by classname and name together, so both carry the
//! cell and are unique. The useful text stands in the body as well as in `message`, which some readers ignore.

use std::collections::BTreeMap;
use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Property, Report as Document, TestCase, TestCaseStatus, TestSuite,
};

use crate::event::CheckFinding;
use crate::outcome::Outcome;
use crate::overview;
use crate::record::{CellRecord, RunRecord};
use crate::{RenderError, RenderedFile, Report, format, one_file, text};

/// Checks and verdicts as test cases. A fault of the harness is an `<error>`, never a `<failure>`.
pub struct Junit;

impl Report for Junit {
    fn name(&self) -> &'static str {
        "junit"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        let mut document = Document::new(text::line(&overview::title(run)));
        document.set_time(duration(run.length_ms));
        let mut names = Names::default();
        for (nth, cell) in run.cells.iter().enumerate() {
            let first = nth == 0;
            for suite in suites(cell) {
                document.add_test_suite(checks(cell, suite, &mut names));
            }
            document.add_test_suite(verdicts(run, cell, first, &mut names));
        }
        document.add_test_suite(whole(run, &mut names));
        let text = document.to_string().map_err(|error| RenderError {
            report: self.name(),
            reason: error.to_string(),
        })?;
        Ok(one_file("junit.xml", text))
    }
}

/// Hands out unique names: a second `a` of one class becomes `a #2`.
#[derive(Default)]
struct Names(BTreeMap<(String, String), usize>);

impl Names {
    fn unique(&mut self, class: &str, name: &str) -> String {
        let seen = self
            .0
            .entry((class.to_owned(), name.to_owned()))
            .or_default();
        *seen += 1;
        match *seen {
            1 => name.to_owned(),
            n => format!("{name} #{n}"),
        }
    }
}

fn suites(cell: &CellRecord) -> Vec<&str> {
    let mut suites: Vec<&str> = Vec::new();
    for check in &cell.checks {
        if !suites.contains(&check.suite.as_str()) {
            suites.push(&check.suite);
        }
    }
    suites
}

fn checks(cell: &CellRecord, suite: &str, names: &mut Names) -> TestSuite {
    let mut out = TestSuite::new(text::line(&format!("{}.{suite}", cell.id)));
    describe(&mut out, cell);
    let mut total = 0.0;
    for check in cell.checks.iter().filter(|c| c.suite == suite) {
        total += check.took_ms.max(0.0);
        let area = check.id.split_once('/').map_or("", |(area, _)| area);
        let class = text::line(&format!("{}.{suite}.{area}", cell.id));
        let class = class.trim_end_matches('.');
        let why = check.why();
        let mut case = case(names, class, &check.id, check.counted(), why, &body(check));
        case.set_time(duration(check.took_ms));
        for official in &check.official {
            case.add_property(Property::new("official", text::line(official)));
        }
        if let Some(bound) = cell.bound(check) {
            case.add_property(Property::new("bound", text::line(&bound)));
        }
        case.add_property(Property::new("facts", check.facts.to_string()));
        case.add_property(Property::new("title", text::line(&check.title)));
        out.add_test_case(case);
    }
    out.set_time(duration(total));
    out
}

fn verdicts(run: &RunRecord, cell: &CellRecord, first: bool, names: &mut Names) -> TestSuite {
    let mut out = TestSuite::new(text::line(&format!("{}.verdicts", cell.id)));
    describe(&mut out, cell);
    if first {
        let log: Vec<String> = overview::notices(run).into_iter().map(|n| n.text).collect();
        out.set_system_out(text::plain(&log.join("\n"), text::LONG));
    }
    // The checks are test cases themselves; a verdict that repeats them would count each failure twice.
    for v in cell.verdicts.iter().filter(|v| v.gate != "checks") {
        let class = text::line(&format!("{}.{}", cell.id, v.gate));
        let mut case = case(names, &class, &v.what, v.outcome, &v.because, &v.because);
        if v.outcome == Outcome::Passed {
            case.set_system_out(text::line(&v.because));
        }
        out.add_test_case(case);
    }
    out
}

/// The run itself: that it ended, and that something ran.
fn whole(run: &RunRecord, names: &mut Names) -> TestSuite {
    let mut out = TestSuite::new("run");
    let code = crate::exit_code(run);
    let ended = run.finished && !run.interrupted;
    let why = "the run was cut short, so this file is partial";
    let outcome = if ended {
        Outcome::Passed
    } else {
        Outcome::Errored
    };
    out.add_test_case(case(
        names,
        "run",
        "the run ended in order",
        outcome,
        why,
        why,
    ));
    let ran = code != crate::ExitCode::NothingRan && !run.cells.is_empty();
    let why = "nothing was examined";
    let outcome = if ran {
        Outcome::Passed
    } else {
        Outcome::Errored
    };
    out.add_test_case(case(
        names,
        "run",
        "something was examined",
        outcome,
        why,
        why,
    ));
    out
}

fn describe(suite: &mut TestSuite, cell: &CellRecord) {
    let spec = &cell.spec;
    for (name, value) in [
        ("distribution", spec.distribution.as_str()),
        ("version", &spec.version),
        ("datastore", &spec.datastore),
        ("target", &spec.target),
        ("budget", &spec.budget.name),
        ("shape", &spec.shape),
        ("env", &format::pairs(&spec.env, " ")),
        ("arch", spec.arch.as_deref().unwrap_or_default()),
        ("emulated", &spec.emulated.to_string()),
    ] {
        suite.add_property(Property::new(name, text::line(value)));
    }
    if spec.specimen {
        suite.add_property(Property::new("specimen", overview::SPECIMEN));
    }
}

fn case(
    names: &mut Names,
    class: &str,
    name: &str,
    outcome: Outcome,
    why: &str,
    body: &str,
) -> TestCase {
    let mut status = match outcome {
        Outcome::Passed => TestCaseStatus::success(),
        Outcome::Skipped => TestCaseStatus::skipped(),
        Outcome::Failed => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Outcome::Errored => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if outcome != Outcome::Passed {
        status.set_message(text::line(why));
    }
    if outcome >= Outcome::Errored {
        status.set_type(outcome.word());
        status.set_description(text::plain(body, text::LONG));
    }
    let mut case = TestCase::new(names.unique(class, &text::line(name)), status);
    case.set_classname(class);
    case
}

fn body(check: &CheckFinding) -> String {
    let mut body = format!("{}\n{}", check.title, check.why());
    for piece in &check.evidence {
        body.push_str("\n\n");
        body.push_str(piece);
    }
    body
}

fn duration(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}
