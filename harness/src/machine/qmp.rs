//! QMP: QEMU's control protocol, JSON lines on a unix socket (QEMU's `docs/interop/qmp-spec.txt`).

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot};

/// QEMU answers within milliseconds; a loaded host gets much more.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// Events that a slow reader may lag behind.
const EVENTS: usize = 256;

/// Why a command of QMP failed.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// QEMU refused it.
    #[error("failed to do {command}: QEMU says {reason}")]
    Refused {
        /// The command.
        command: String,
        /// QEMU's `desc`.
        reason: String,
    },
    /// The emulator has ended or closed the socket.
    #[error("failed to do {command}: the emulator has ended")]
    Ended {
        /// The command.
        command: String,
    },
    /// No answer in time.
    #[error(
        "failed to do {command}: no answer from QEMU within {within:?}; last event: {last_event}"
    )]
    Silent {
        /// The command, or what was awaited.
        command: String,
        /// The deadline.
        within: Duration,
        /// The last event's name, or `none`.
        last_event: String,
    },
    /// The socket does not speak QMP.
    #[error("failed to speak QMP: {0}")]
    Protocol(String),
}

/// An event, such as `RESET` or `SHUTDOWN`.
#[derive(Debug, Clone, PartialEq)]
pub struct QmpEvent {
    /// Its name.
    pub name: String,
    /// Its `data`, or null.
    pub data: Value,
}

type Answer = Result<Value, String>;
type Waiting = Arc<Mutex<Shared>>;

#[derive(Default)]
struct Shared {
    answers: HashMap<u64, oneshot::Sender<Answer>>,
    last_event: Option<String>,
    ended: bool,
}

/// A connection to one emulator's QMP socket.
pub struct Qmp {
    write: tokio::sync::Mutex<OwnedWriteHalf>,
    shared: Waiting,
    next: AtomicU64,
    events: broadcast::Sender<QmpEvent>,
    version: String,
}

impl Qmp {
    /// Connects as soon as the socket is there, and shakes hands.
    ///
    /// # Errors
    /// When there is no socket within the deadline, or what answers is not QEMU.
    pub async fn connect(path: &Path, within: Duration) -> Result<Self, QmpError> {
        let end = Instant::now() + within;
        let stream = loop {
            match UnixStream::connect(path).await {
                Ok(stream) => break stream,
                Err(error) if Instant::now() >= end => {
                    return Err(QmpError::Protocol(format!(
                        "{} was not there within {within:?} ({error})",
                        path.display()
                    )));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        };
        let left = end.saturating_duration_since(Instant::now());
        tokio::time::timeout(left.max(Duration::from_secs(1)), Self::greet(stream))
            .await
            .map_err(|_| QmpError::Protocol(format!("no greeting within {within:?}")))?
    }

    async fn greet(stream: UnixStream) -> Result<Self, QmpError> {
        let (read, write) = stream.into_split();
        let mut lines = BufReader::new(read);
        let mut text = String::new();
        lines
            .read_line(&mut text)
            .await
            .map_err(|error| QmpError::Protocol(error.to_string()))?;
        let greeting: Value = serde_json::from_str(&text)
            .map_err(|_| QmpError::Protocol("the greeting is no JSON".into()))?;
        let version = &greeting["QMP"]["version"]["qemu"];
        let number = |name: &str| version[name].as_u64();
        let (Some(major), Some(minor), Some(micro)) =
            (number("major"), number("minor"), number("micro"))
        else {
            return Err(QmpError::Protocol("the greeting names no version".into()));
        };
        let (events, _) = broadcast::channel(EVENTS);
        let shared = Waiting::default();
        tokio::spawn(hear(lines, Arc::clone(&shared), events.clone()));
        let qmp = Self {
            write: tokio::sync::Mutex::new(write),
            shared,
            next: AtomicU64::new(1),
            events,
            version: format!("{major}.{minor}.{micro}"),
        };
        qmp.execute("qmp_capabilities", Value::Null).await?;
        Ok(qmp)
    }

    /// QEMU's version, such as `7.2.22`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Executes a command; `arguments` is an object, or null for none.
    ///
    /// # Errors
    /// [`QmpError`].
    pub async fn execute(&self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let ended = || QmpError::Ended {
            command: command.to_owned(),
        };
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let (tell, told) = oneshot::channel();
        {
            let mut shared = lock(&self.shared);
            if shared.ended {
                return Err(ended());
            }
            shared.answers.insert(id, tell);
        }
        let mut request = json!({"execute": command, "id": id});
        if !arguments.is_null() {
            request["arguments"] = arguments;
        }
        let line = format!("{request}\n");
        let asked = async {
            let sent = self.write.lock().await.write_all(line.as_bytes()).await;
            sent.map_err(|_| ended())?;
            told.await.map_err(|_| ended())
        };
        let answer = tokio::time::timeout(ANSWER_WITHIN, asked).await;
        lock(&self.shared).answers.remove(&id);
        match answer {
            Err(_) => Err(self.silent(command, ANSWER_WITHIN)),
            Ok(Err(error)) => Err(error),
            Ok(Ok(Ok(value))) => Ok(value),
            Ok(Ok(Err(reason))) => Err(QmpError::Refused {
                command: command.to_owned(),
                reason,
            }),
        }
    }

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<QmpEvent> {
        self.events.subscribe()
    }

    pub(super) fn silent(&self, command: &str, within: Duration) -> QmpError {
        QmpError::Silent {
            command: command.to_owned(),
            within,
            last_event: lock(&self.shared)
                .last_event
                .clone()
                .unwrap_or_else(|| "none".into()),
        }
    }
}

fn lock(shared: &Waiting) -> std::sync::MutexGuard<'_, Shared> {
    // Nothing in the critical sections can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Hands answers to those who wait for them and events to all, until the socket closes.
async fn hear(
    mut lines: BufReader<OwnedReadHalf>,
    shared: Waiting,
    events: broadcast::Sender<QmpEvent>,
) {
    let mut line = String::new();
    while matches!(lines.read_line(&mut line).await, Ok(count) if count > 0) {
        if let Ok(message) = serde_json::from_str::<Value>(&line) {
            if let Some(name) = message["event"].as_str() {
                lock(&shared).last_event = Some(name.to_owned());
                // Nobody listens: that is fine.
                let _ = events.send(QmpEvent {
                    name: name.to_owned(),
                    data: message["data"].clone(),
                });
            } else if let Some(id) = message["id"].as_u64()
                && let Some(waiting) = lock(&shared).answers.remove(&id)
            {
                let answer = match message.get("error") {
                    Some(error) => Err(error["desc"].as_str().unwrap_or("no reason").to_owned()),
                    None => Ok(message["return"].clone()),
                };
                let _ = waiting.send(answer);
            }
        }
        line.clear();
    }
    let mut shared = lock(&shared);
    shared.ended = true;
    // Dropping the senders wakes whoever waits.
    shared.answers.clear();
}
