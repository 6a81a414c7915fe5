//! Recording a history while it happens.
//!
//! A thread of its own makes lines and writes them; whoever records only puts a message into a queue that no lock
//! guards. What was put in first is in the file first, so that a file that ends early, because assay was killed, is
//! still a history: of everything that somebody was seen to read, the write stands before it.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Instant;

use anyhow::Context;
use reports::event::EventKind;
use reports::histories::{FOLDER, HistoryNamed};
use reports::history::{Header, Line, Listing, Mark, MarkKind, Nanos, Operation, Watched};

use crate::scenario::ScenarioContext;

/// Lines are written when nothing waits, or when there are so many bytes of them.
const CHUNK: usize = 128 << 10;

/// An open history.
pub struct Recorder {
    handle: Handle,
    path: PathBuf,
    writer: JoinHandle<anyhow::Result<()>>,
}

/// Where clients put what they saw. Cheap to clone; never waits.
#[derive(Clone)]
pub struct Handle {
    origin: Instant,
    sender: mpsc::Sender<Message>,
    clients: Arc<AtomicU32>,
    watches: Arc<AtomicU32>,
}

enum Message {
    Line(Line),
    /// Nothing counts that comes after this: a task that still holds a handle must not keep the history open.
    Close,
}

impl Recorder {
    /// Begins the history `histories/<cell>-<scenario>-<part>.jsonl` in the run's folder.
    ///
    /// # Errors
    /// When the file cannot be made, or is there already.
    pub fn create(cx: &ScenarioContext<'_>, header: Header) -> anyhow::Result<Self> {
        let name = format!("{}-{}-{}.jsonl", cx.cell(), header.scenario, header.part);
        let folder = cx.folder.join(FOLDER);
        fs_err::create_dir_all(&folder).context("failed to make a folder for histories")?;
        // Before the file is there: a history that somebody began is judged, or missed, whatever becomes of assay.
        cx.sink.emit(EventKind::History(HistoryNamed {
            suite: header.suite.clone(),
            scenario: header.scenario.clone(),
            part: header.part.clone(),
            file: format!("{FOLDER}/{name}"),
        }));
        Self::at(folder.join(name), header)
    }

    /// Begins a history in a file that must not exist yet.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn at(path: PathBuf, header: Header) -> anyhow::Result<Self> {
        let file = fs_err::OpenOptions::new()
            .write(true)
            .create_new(true)
            .open(&path)
            .context("failed to create the history")?;
        let (sender, receiver) = mpsc::channel();
        let handle = Handle {
            origin: Instant::now(),
            sender,
            clients: Arc::default(),
            watches: Arc::default(),
        };
        handle.put(Line::Header(header));
        let writer = std::thread::Builder::new()
            .name("history".into())
            .spawn(move || write(file, &receiver))?;
        Ok(Self {
            handle,
            path,
            writer,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &std::path::Path {
        &self.path
    }

    /// A handle.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Ends the history in order and waits until it is written.
    ///
    /// # Errors
    /// When a line could not be written, such as on a full disk.
    pub fn close(self) -> anyhow::Result<()> {
        self.handle.put(Line::Closed {
            at: self.handle.now(),
        });
        // A writer that has ended is joined below.
        let _ = self.handle.sender.send(Message::Close);
        match self.writer.join() {
            Ok(result) => result,
            Err(_) => anyhow::bail!("failed to write the history: its writer panicked"),
        }
    }
}

impl Handle {
    /// The time on the history's clock.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.at(Instant::now())
    }

    /// A moment on the history's clock; one before its origin is the origin.
    #[must_use]
    pub fn at(&self, at: Instant) -> Nanos {
        let since = at.saturating_duration_since(self.origin);
        Nanos::try_from(since.as_nanos()).unwrap_or(Nanos::MAX)
    }

    /// Numbers for `count` clients that nobody else has in this history: the first of them.
    #[must_use]
    pub fn enlist(&self, count: u32) -> u32 {
        self.clients.fetch_add(count, Ordering::Relaxed)
    }

    /// A number for a watch that no other has in this history.
    #[must_use]
    pub fn enlist_watch(&self) -> u32 {
        self.watches.fetch_add(1, Ordering::Relaxed)
    }

    /// A request is about to be sent; its answer is of no matter here.
    pub fn intent(&self, operation: Operation) {
        self.put(Line::Intent(operation));
    }

    /// A request was answered, or given up.
    pub fn op(&self, operation: Operation) {
        self.put(Line::Op(operation));
    }

    /// A list came.
    pub fn list(&self, listing: Listing) {
        self.put(Line::List(listing));
    }

    /// A watch delivered something.
    pub fn watch(&self, watched: Watched) {
        self.put(Line::Watch(watched));
    }

    /// Something was done to the server, or seen of it, now.
    pub fn mark(&self, kind: MarkKind, witness: impl Into<String>) {
        self.mark_at(Instant::now(), kind, witness);
    }

    /// The same at another moment: a fault may have been felt before it was witnessed.
    pub fn mark_at(&self, at: Instant, kind: MarkKind, witness: impl Into<String>) {
        self.put(Line::Mark(Mark {
            at: self.at(at),
            kind,
            witness: witness.into(),
        }));
    }

    fn put(&self, line: Line) {
        // The writer ends only when the history is closed; a failed write is reported then.
        let _ = self.sender.send(Message::Line(line));
    }
}

fn write(mut file: fs_err::File, receiver: &mpsc::Receiver<Message>) -> anyhow::Result<()> {
    let mut result = Ok(());
    let mut lines = Vec::with_capacity(2 * CHUNK);
    let mut open = true;
    while open {
        let Ok(first) = receiver.recv() else { break };
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Line(line) => {
                    serde_json::to_writer(&mut lines, &line)?;
                    lines.push(b'\n');
                }
                Message::Close => {
                    open = false;
                    break;
                }
            }
            next = (lines.len() < CHUNK)
                .then(|| receiver.try_recv().ok())
                .flatten();
        }
        // After a failure the queue is still emptied, for others go on filling it.
        if result.is_ok() {
            let written = file.write_all(&lines);
            result = written.context("failed to write the history; free space there");
        }
        lines.clear();
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use reports::history::{Answer, History, Level, Request};

    fn header() -> Header {
        Header {
            level: Level::Datastore,
            suite: "datastore".into(),
            scenario: "s".into(),
            part: "p".into(),
            keys: vec!["k".into()],
            revision: 1,
            floor: 1,
        }
    }

    fn read(client: u32, at: Nanos) -> Operation {
        Operation {
            client,
            call: at,
            end: at,
            key: 0,
            request: Request::Get,
            answer: Answer::Read {
                found: None,
                revision: Some(1),
            },
        }
    }

    #[test]
    fn what_many_record_is_read_back_in_each_ones_order() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("h.jsonl");
        let recorder = Recorder::at(path.clone(), header()).unwrap();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let handle = recorder.handle();
                std::thread::spawn(move || {
                    let client = handle.enlist(1);
                    for _ in 0..500 {
                        handle.intent(read(client, handle.now()));
                        handle.op(read(client, handle.now()));
                    }
                })
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let late = recorder.handle();
        recorder.close().unwrap();
        late.op(read(9, 0));
        let history = History::from_text(&fs_err::read_to_string(&path).unwrap()).unwrap();
        assert!(history.closed);
        assert_eq!((history.operations.len(), history.open.len()), (2000, 0));
        for client in 0..4 {
            let own = history.operations.iter().filter(|op| op.client == client);
            assert!(own.map(|op| op.call).is_sorted());
        }
        assert!(Recorder::at(path, header()).is_err(), "never overwritten");
    }
}
