//! What a reader must know first: the headline and the notices that no report may leave out.

use crate::exit::{ExitCode, exit_code, silent_suites};
use crate::figures::Tally;
use crate::format;
use crate::outcome::Outcome;
use crate::record::{CellRecord, RunRecord};

/// The warning on every report of the specimen.
pub const SPECIMEN: &str = "SPECIMEN - figures say nothing about K3s";

/// The warning on every report of a specimen that was broken on purpose; the bug's name follows.
pub const KNOWN_BUG: &str = "KNOWN BUG";

/// What to do about the specimen.
pub const HOW_TO_GET_K3S: &str = "These figures are of assay's built-in reference server, which only shows that \
the instrument works. To test K3s: run `assay fetch`, or put a k3s binary on PATH, or name one with \
--k3s-binary or K3S_BINARY, then run with --distribution k3s. `assay doctor` tells what this host lacks.";

/// How grave a notice is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Gravity {
    /// The figures cannot be read without it.
    Grave,
    /// Worth knowing.
    Warning,
}

/// Something that a reader must know.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Notice {
    /// How grave it is.
    pub gravity: Gravity,
    /// One or more sentences; hostile text may be in it.
    pub text: String,
}

/// The report's title: what was under test, and that it is the specimen where it is.
#[must_use]
pub fn title(run: &RunRecord) -> String {
    let what = run.distributions();
    let bugs = known_bugs(run);
    if !bugs.is_empty() {
        format!("{KNOWN_BUG} {}; {SPECIMEN}: {what}", bugs.join(", "))
    } else if run.has_specimen() {
        format!("{SPECIMEN}: {what}")
    } else {
        format!("assay: {what}")
    }
}

/// The known bugs that specimens were given, each once.
fn known_bugs(run: &RunRecord) -> Vec<&str> {
    let mut bugs: Vec<_> = run
        .cells
        .iter()
        .filter_map(|c| c.spec.known_bug())
        .collect();
    bugs.sort_unstable();
    bugs.dedup();
    bugs
}

/// The outcome of the run in one line, such as `FAILED (exit 4): a check failed; …`.
#[must_use]
pub fn headline(run: &RunRecord) -> String {
    let code = exit_code(run);
    format!(
        "{} (exit {}): {}; checks: {}; {}",
        word(code),
        code.code(),
        code.meaning(),
        Tally::checks(&run.cells),
        format::count(run.cells.len(), "cell"),
    )
}

/// The headline's first word.
#[must_use]
pub fn word(code: ExitCode) -> &'static str {
    match code {
        ExitCode::Passed => "PASSED",
        ExitCode::NothingRan => "NOTHING RAN",
        ExitCode::CheckFailed | ExitCode::BudgetExceeded => "FAILED",
        ExitCode::Leftovers => "LEFTOVERS",
        ExitCode::Interrupted => "INTERRUPTED",
        ExitCode::Errored | ExitCode::Internal | ExitCode::Usage => "ERRORED",
    }
}

/// The class of a whole cell: the gravest of its verdicts, where skipped parts beside passed ones do not count.
#[must_use]
pub fn cell_outcome(cell: &CellRecord) -> Outcome {
    if cell.skipped() {
        return Outcome::Skipped;
    }
    let worst = cell.verdicts.iter().map(|v| v.outcome).max();
    match worst {
        None => Outcome::Errored,
        Some(Outcome::Skipped) if cell.examined_something() => Outcome::Passed,
        Some(outcome) => outcome,
    }
}

/// All notices: grave ones first, then the run's warnings, then those of the cells.
#[must_use]
pub fn notices(run: &RunRecord) -> Vec<Notice> {
    let mut notices = Vec::new();
    let mut say = |gravity, text: String| notices.push(Notice { gravity, text });
    if run.has_specimen() {
        say(Gravity::Grave, format!("{SPECIMEN}. {HOW_TO_GET_K3S}"));
    }
    for bug in known_bugs(run) {
        let text = format!(
            "{KNOWN_BUG} {bug}: this specimen was broken on purpose, to see whether the bug is found."
        );
        say(Gravity::Grave, text);
    }
    if run.interrupted {
        let text = "PARTIAL: the run was interrupted. What follows is what there was until then.";
        say(Gravity::Grave, text.into());
    } else if !run.finished {
        let text = "PARTIAL: the journal was not closed, so assay died or is still running. \
            What follows is what there was; `assay sweep` removes what it may have left.";
        say(Gravity::Grave, text.into());
    }
    for suite in silent_suites(run) {
        say(
            Gravity::Grave,
            format!(
                "The suite {suite} was asked for and nothing of it ran; what was skipped tells why."
            ),
        );
    }
    for cell in run.cells.iter().filter(|c| !c.leftovers.is_empty()) {
        let items = cell.leftovers.join("; ");
        say(
            Gravity::Grave,
            format!(
                "{}: left behind: {items}. `assay sweep` removes it.",
                cell.id
            ),
        );
    }
    if run.cells.iter().any(|cell| cell.spec.emulated) {
        let text = "EMULATED: the times of emulated cells are the emulator's. They are no performance figures of any \
            board, and no gate on time judges them.";
        say(Gravity::Warning, text.into());
    }
    for warning in &run.warnings {
        say(Gravity::Warning, warning.clone());
    }
    for cell in &run.cells {
        for warning in &cell.warnings {
            say(Gravity::Warning, format!("{}: {warning}", cell.id));
        }
    }
    notices
}

/// What the instrument itself used, in one sentence.
#[must_use]
pub fn observer(run: &RunRecord) -> String {
    let Some(o) = &run.observer else {
        return "assay's own use was not recorded, since the run did not end in order.".into();
    };
    let share = |cpu: f64, wall: f64| {
        (wall > 0.0).then(|| format!("{:.3} % of one core", cpu / wall * 100.0))
    };
    let whole = share(o.sampler_cpu_ms, o.sampler_wall_ms);
    let mut core = whole.unwrap_or_else(|| "an unknown share of a core".to_owned());
    if let Some(settled) = share(o.settled_cpu_ms, o.settled_wall_ms) {
        core.push_str(&format!(
            " ({settled} once the servers were ready, at 10 Hz)"
        ));
    }
    format!(
        "assay itself used {} of CPU and at most {} RSS; its sampler took {} samples with {core}, \
         at worst {} late.",
        format::millis(o.cpu_ms),
        format::bytes(o.max_rss_bytes as f64),
        format::number(o.samples as f64),
        format::millis(o.worst_lateness_ms),
    )
}

/// The host, in one sentence.
#[must_use]
pub fn host(run: &RunRecord) -> String {
    let h = &run.started.host;
    format!(
        "{} {}, {} x {}, {} RAM, cgroups {}, {}",
        h.arch,
        h.kernel,
        h.cpus,
        h.cpu,
        format::bytes(h.memory_bytes as f64),
        h.cgroups,
        if h.root { "as root" } else { "without root" }
    )
}

/// The command that was run, quoted for a shell.
#[must_use]
pub fn command(argv: &[String]) -> String {
    argv.iter()
        .map(|word| {
            let bare = |c: char| c.is_ascii_alphanumeric() || "-_=+./:,@%".contains(c);
            if !word.is_empty() && word.chars().all(bare) {
                word.clone()
            } else {
                format!("'{}'", word.replace('\'', "'\\''"))
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
