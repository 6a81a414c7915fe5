//! The live display: a spinner on a terminal, plain lines elsewhere. It only watches the event stream.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use reports::event::{Event, EventKind};
use reports::outcome::Outcome;

use crate::journal::Watcher;
use crate::text;

/// Shows a run while it happens, on standard error: standard output belongs to results.
pub struct Live {
    spinner: Option<ProgressBar>,
    checks: [u64; 4],
}

impl Live {
    /// A spinner when standard error is a terminal (and `CI` is not set), lines otherwise.
    #[must_use]
    pub fn on_stderr() -> Self {
        let live = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let spinner = live.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(8));
            if let Ok(style) =
                ProgressStyle::with_template("{spinner} {elapsed_precise} {wide_msg}")
            {
                bar.set_style(style);
            }
            bar.enable_steady_tick(std::time::Duration::from_millis(125));
            bar
        });
        Self {
            spinner,
            checks: [0; 4],
        }
    }

    fn line(&self, event: &Event, line: &str) {
        let line = text::tame(line);
        match &self.spinner {
            Some(bar) => bar.println(line),
            None => eprintln!("{:>7.1}s {line}", event.at_ms / 1e3),
        }
    }

    fn status(&self, status: &str) {
        if let Some(bar) = &self.spinner {
            bar.set_message(text::tame(status));
        }
    }

    fn phase(&mut self, event: &Event, phase: &str) {
        self.status(&format!(
            "{}: {phase}",
            event.cell.as_deref().unwrap_or("run")
        ));
        if self.spinner.is_none() {
            self.line(event, &format!("  {phase}"));
        }
    }
}

impl Watcher for Live {
    fn event(&mut self, event: &Event) {
        let cell = event.cell.as_deref().unwrap_or("run");
        match &event.kind {
            EventKind::CellStarted(spec) => {
                self.line(
                    event,
                    &format!(
                        "{cell}: {} {} on {}, budget {}",
                        spec.distribution, spec.version, spec.datastore, spec.budget
                    ),
                );
            }
            EventKind::PhaseStarted { phase, .. } => self.phase(event, phase),
            EventKind::Check(finding) => {
                self.checks[finding.outcome as usize] += 1;
                if matches!(finding.outcome, Outcome::Failed | Outcome::Errored) {
                    let reason = finding.reason.as_deref().unwrap_or_default();
                    self.line(
                        event,
                        &format!("  {} {}: {reason}", finding.outcome.word(), finding.id),
                    );
                }
                self.status(&format!("{cell}: {}", finding.id));
            }
            EventKind::Warning { message } => self.line(event, &format!("  warning: {message}")),
            EventKind::ServerDied { how, .. } => self.line(event, &format!("  the server {how}")),
            EventKind::ScenarioFinished {
                suite,
                scenario,
                outcome,
                reason,
            } if *outcome != Outcome::Passed => {
                let reason = reason.as_deref().unwrap_or_default();
                self.line(
                    event,
                    &format!("  {} {suite}/{scenario}: {reason}", outcome.word()),
                );
            }
            EventKind::CellFinished { outcome, reason } => {
                let [passed, skipped, errored, failed] = std::mem::take(&mut self.checks);
                let reason = reason
                    .as_deref()
                    .map(|reason| format!(" ({reason})"))
                    .unwrap_or_default();
                self.line(event, &format!(
                    "{cell}: {}{reason}; checks: {passed} passed, {failed} failed, {errored} errored, {skipped} skipped",
                    outcome.word()
                ));
            }
            EventKind::RunFinished { .. } => {
                if let Some(bar) = &self.spinner {
                    bar.finish_and_clear();
                }
            }
            _ => {}
        }
    }
}
