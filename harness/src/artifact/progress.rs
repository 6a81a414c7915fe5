//! Telling people how a download goes: a bar on a terminal, plain lines elsewhere.

use std::io::{IsTerminal, Write};
use std::sync::Mutex;

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Where the progress of a download and remarks about artifacts go.
pub trait Progress: Send + Sync {
    /// A transfer begins (or begins again) with `already` of `total` bytes on disk.
    fn start(&self, what: &str, already: u64, total: Option<u64>);
    /// So many bytes are on disk now.
    fn at(&self, bytes: u64);
    /// The transfer has ended, well or not.
    fn end(&self);
    /// A remark.
    fn note(&self, line: &str);
    /// Something is not as it should be, but the work goes on.
    fn warn(&self, line: &str);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn start(&self, _what: &str, _already: u64, _total: Option<u64>) {}
    fn at(&self, _bytes: u64) {}
    fn end(&self) {}
    fn note(&self, _line: &str) {}
    fn warn(&self, _line: &str) {}
}

/// A progress display on standard error: a bar where a person watches, lines in a log or in CI.
pub fn on_stderr() -> Box<dyn Progress> {
    let watched = std::io::stderr().is_terminal()
        && std::env::var_os("CI").is_none()
        && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
    if watched {
        Box::new(Bar::default())
    } else {
        Box::new(Lines::new(std::io::stderr()))
    }
}

/// An indicatif bar. It uses no colour, so there is nothing for `NO_COLOR` to turn off.
#[derive(Debug, Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn with(&self, act: impl FnOnce(&mut Option<ProgressBar>)) {
        act(&mut self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    fn line(&self, line: String) {
        self.with(|bar| match bar {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        });
    }
}

impl Progress for Bar {
    fn start(&self, what: &str, already: u64, total: Option<u64>) {
        let template = if total.is_some() {
            "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{msg} {spinner} {bytes} {bytes_per_sec}"
        };
        let style =
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr());
        bar.set_style(style.progress_chars("=> "));
        bar.set_message(what.to_owned());
        bar.set_position(already);
        bar.reset_eta();
        self.with(|slot| {
            if let Some(old) = slot.replace(bar) {
                old.finish_and_clear();
            }
        });
    }

    fn at(&self, bytes: u64) {
        self.with(|bar| bar.iter().for_each(|bar| bar.set_position(bytes)));
    }

    fn end(&self) {
        self.with(|bar| bar.take().iter().for_each(ProgressBar::finish_and_clear));
    }

    fn note(&self, line: &str) {
        self.line(line.to_owned());
    }

    fn warn(&self, line: &str) {
        self.line(format!("warning: {line}"));
    }
}

/// Plain lines, one at the start and one for each tenth, so that a log stays short.
struct Lines<W>(Mutex<LinesState<W>>);

struct LinesState<W> {
    out: W,
    what: String,
    total: Option<u64>,
    tenths: u64,
}

impl<W: Write> Lines<W> {
    fn new(out: W) -> Self {
        Self(Mutex::new(LinesState {
            out,
            what: String::new(),
            total: None,
            tenths: 0,
        }))
    }

    fn with(&self, act: impl FnOnce(&mut LinesState<W>) -> std::io::Result<()>) {
        // A closed standard error is no reason to fail a download.
        let _ = act(&mut self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner));
    }
}

impl<W: Write + Send> Progress for Lines<W> {
    fn start(&self, what: &str, already: u64, total: Option<u64>) {
        self.with(|state| {
            state.what = what.to_owned();
            state.total = total;
            state.tenths = total.map_or(0, |total| already * 10 / total.max(1));
            let size = total.map_or(String::new(), |total| format!(", {}", HumanBytes(total)));
            let rest = if already > 0 {
                format!(", resuming at {}", HumanBytes(already))
            } else {
                String::new()
            };
            writeln!(state.out, "downloading {what}{size}{rest}")
        });
    }

    fn at(&self, bytes: u64) {
        self.with(|state| {
            let Some(total) = state.total.filter(|total| *total > 0) else {
                return Ok(());
            };
            let tenths = bytes * 10 / total;
            if tenths <= state.tenths {
                return Ok(());
            }
            state.tenths = tenths;
            writeln!(state.out, "downloading {}: {} %", state.what, tenths * 10)
        });
    }

    fn end(&self) {}

    fn note(&self, line: &str) {
        self.with(|state| writeln!(state.out, "{line}"));
    }

    fn warn(&self, line: &str) {
        self.with(|state| writeln!(state.out, "warning: {line}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_say_each_tenth_once() {
        let lines = Lines::new(Vec::new());
        lines.start("k3s v1", 0, Some(1000));
        for bytes in (0..=1000).step_by(7) {
            lines.at(bytes);
        }
        lines.at(1000);
        lines.end();
        let text = String::from_utf8(lines.0.into_inner().expect("unpoisoned").out).expect("UTF-8");
        assert_eq!(text.lines().count(), 11, "{text}");
        assert!(text.starts_with("downloading k3s v1, 1000 B\n"), "{text}");
        assert!(text.ends_with("downloading k3s v1: 100 %\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "no colour in a log");
    }
}
