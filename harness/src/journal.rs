//! The journal: one event a line in `events.jsonl`, written as it happens.
//!
//! A thread of its own does the writing, so that nobody who measures waits for a disk. The same thread hands
//! each event to the live display: runner and display share nothing else.

use std::io::Write;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use reports::event::{Event, EventKind};

/// Watches events as they are written; the live display is one.
pub trait Watcher: Send {
    /// Called for each event, in order.
    fn event(&mut self, event: &Event);
}

/// Where events go. Cheap to clone; never blocks.
#[derive(Clone)]
pub struct Sink {
    origin: Instant,
    sender: mpsc::Sender<Event>,
}

impl Sink {
    /// Emits an event that belongs to the run as a whole.
    pub fn run(&self, kind: EventKind) {
        self.at(Instant::now(), None, kind);
    }

    /// Emits an event at a moment that has already passed, such as a sample's.
    pub fn at(&self, at: Instant, cell: Option<&str>, kind: EventKind) {
        let at_ms = at.saturating_duration_since(self.origin).as_secs_f64() * 1e3;
        // The writer ends only after the last sink; a failed write is reported when the journal is closed.
        let _ = self.sender.send(Event {
            at_ms,
            cell: cell.map(str::to_owned),
            kind,
        });
    }

    /// A sink for one cell.
    #[must_use]
    pub fn cell(&self, cell: &str) -> CellSink {
        CellSink {
            sink: self.clone(),
            cell: cell.into(),
        }
    }
}

/// Where one cell's events go.
#[derive(Clone)]
pub struct CellSink {
    sink: Sink,
    cell: std::sync::Arc<str>,
}

impl CellSink {
    /// Emits an event now.
    pub fn emit(&self, kind: EventKind) {
        self.at(Instant::now(), kind);
    }

    /// Emits an event at a moment that has already passed.
    pub fn at(&self, at: Instant, kind: EventKind) {
        self.sink.at(at, Some(&self.cell), kind);
    }

    /// Emits a warning, shown in every report.
    pub fn warn(&self, message: impl Into<String>) {
        self.emit(EventKind::Warning {
            message: message.into(),
        });
    }
}

/// An open journal.
pub struct Journal {
    sink: Sink,
    writer: JoinHandle<anyhow::Result<()>>,
}

impl Journal {
    /// Creates `path`, which must not exist yet, and starts the writer.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path, mut watcher: Box<dyn Watcher>) -> anyhow::Result<Self> {
        let mut file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .context("failed to create the journal")?;
        let (sender, receiver) = mpsc::channel::<Event>();
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                let mut result = Ok(());
                let mut line = Vec::with_capacity(4096);
                for event in receiver {
                    watcher.event(&event);
                    if result.is_ok() {
                        result = write_line(&mut file, &mut line, &event);
                    }
                }
                result.and_then(|()| file.sync_all().context("failed to flush the journal"))
            })?;
        Ok(Self {
            sink: Sink {
                origin: Instant::now(),
                sender,
            },
            writer,
        })
    }

    /// A sink into this journal.
    #[must_use]
    pub fn sink(&self) -> Sink {
        self.sink.clone()
    }

    /// Waits until all that was emitted is on disk. All other sinks must be gone by then.
    ///
    /// # Errors
    /// When a line could not be written, such as on a full disk.
    pub fn close(self) -> anyhow::Result<()> {
        drop(self.sink);
        match self.writer.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("failed to write the journal: its writer panicked"),
        }
    }
}

fn write_line(file: &mut fs_err::File, line: &mut Vec<u8>, event: &Event) -> anyhow::Result<()> {
    line.clear();
    serde_json::to_writer(&mut *line, event)?;
    line.push(b'\n');
    file.write_all(line)
        .context("failed to write the journal; free space there or choose another --out")
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::outcome::Outcome;

    struct Count(mpsc::Sender<()>);
    impl Watcher for Count {
        fn event(&mut self, _: &Event) {
            let _ = self.0.send(());
        }
    }

    #[test]
    fn what_is_emitted_can_be_read_back_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        let (seen, count) = mpsc::channel();
        let journal = Journal::create(&path, Box::new(Count(seen))).unwrap();
        let cell = journal.sink().cell("c");
        for n in 0..100 {
            cell.warn(format!("warning {n}"));
        }
        cell.emit(EventKind::CellFinished {
            outcome: Outcome::Passed,
            reason: None,
        });
        drop(cell);
        journal.close().unwrap();
        let events: Vec<Event> = fs_err::read_to_string(&path)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert_eq!(events.len(), 101);
        assert!(events.windows(2).all(|w| w[0].at_ms <= w[1].at_ms));
        assert_eq!(count.iter().count(), 101);
    }

    #[test]
    fn an_existing_journal_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.jsonl");
        fs_err::write(&path, "precious").unwrap();
        let (seen, _count) = mpsc::channel();
        assert!(Journal::create(&path, Box::new(Count(seen))).is_err());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "precious");
    }
}
