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
    sender: mpsc::Sender<Message>,
}

/// What the writer's thread is told.
enum Message {
    Event(Box<Event>),
    /// Nothing counts that comes after this: a task that still holds a sink must not keep the run from ending.
    Close,
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
        let _ = self.sender.send(Message::Event(Box::new(Event {
            at_ms,
            cell: cell.map(str::to_owned),
            kind,
        })));
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
    /// The cell's id.
    #[must_use]
    pub fn cell(&self) -> &str {
        &self.cell
    }

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
    /// Creates `path`, which must not exist yet, and starts the writer. `on_failure` is called once, when a line
    /// cannot be written, such as on a full disk: what is not recorded need not be run. [`Journal::close`] then
    /// tells why.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(
        path: &Path,
        watcher: Box<dyn Watcher>,
        on_failure: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(path)
            .context("failed to create the journal")?;
        Self::write_to(file, watcher, on_failure)
    }

    fn write_to(
        mut file: fs_err::File,
        mut watcher: Box<dyn Watcher>,
        on_failure: impl FnOnce() + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (sender, receiver) = mpsc::channel();
        let writer = std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                let mut result = Ok(());
                let mut line = Vec::with_capacity(4096);
                let mut on_failure = Some(on_failure);
                while let Ok(Message::Event(event)) = receiver.recv() {
                    watcher.event(&event);
                    if result.is_ok() {
                        result = write_line(&mut file, &mut line, &event);
                    }
                    if result.is_err()
                        && let Some(tell) = on_failure.take()
                    {
                        tell();
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

    /// Waits until all that was emitted so far is on disk. What other sinks emit later is lost.
    ///
    /// # Errors
    /// When a line could not be written, such as on a full disk.
    pub fn close(self) -> anyhow::Result<()> {
        // A writer that has ended is joined below.
        let _ = self.sink.sender.send(Message::Close);
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
        let journal = Journal::create(&path, Box::new(Count(seen)), || ()).unwrap();
        let cell = journal.sink().cell("c");
        for n in 0..100 {
            cell.warn(format!("warning {n}"));
        }
        cell.emit(EventKind::CellFinished {
            outcome: Outcome::Passed,
            reason: None,
        });
        // `cell` still lives: a forgotten sink must not keep a run from ending.
        journal.close().unwrap();
        cell.warn("too late");
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
        assert!(Journal::create(&path, Box::new(Count(seen)), || ()).is_err());
        assert_eq!(fs_err::read_to_string(&path).unwrap(), "precious");
    }

    #[test]
    fn a_full_disk_is_told_at_once_and_again_at_the_end() {
        let (seen, _count) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        let full = fs_err::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .unwrap();
        let journal = Journal::write_to(full, Box::new(Count(seen)), move || {
            let _ = tell.send(());
        })
        .unwrap();
        journal.sink().cell("c").warn("cannot be written");
        told.recv().unwrap();
        journal.sink().cell("c").warn("nor can this");
        let error = format!("{:#}", journal.close().unwrap_err());
        assert!(error.contains("free space"), "{error}");
        assert!(told.recv().is_err(), "told once only");
    }
}
