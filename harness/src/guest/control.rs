//! The host's end of the agent's port: requests and their replies, matched by id, each with a deadline.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::protocol::{Decoder, Frame, Kind};
use super::request::{Event, Hello, exit_of};
use crate::text;

/// The protocol's version, in the agent's greeting.
const VERSION: &str = "2";
/// How long a request that does next to nothing may take. An emulated guest under load is slow.
const SHORT: Duration = Duration::from_secs(30);

/// A connection to the agent. Clones share it; the last one closes it, and another can be made then.
#[derive(Clone)]
pub struct Control {
    shared: Arc<Shared>,
}

struct Shared {
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    waiting: Arc<Waiting>,
    events: broadcast::Sender<Event>,
    closed: watch::Receiver<bool>,
    next: AtomicU32,
    patience: u32,
    reader: AbortHandle,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Default)]
struct Waiting(Mutex<HashMap<u32, oneshot::Sender<Frame>>>);

impl Waiting {
    fn with<T>(&self, act: impl FnOnce(&mut HashMap<u32, oneshot::Sender<Frame>>) -> T) -> T {
        // Nothing in the critical sections can panic.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Forgets a request whose caller went away, so that none piles up.
struct Forget<'a>(&'a Waiting, u32);

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.0.with(|waiting| waiting.remove(&self.1));
    }
}

impl Control {
    /// Connects to the socket of the port and waits until the agent answers. `patience` multiplies the host's deadlines
    /// where a guest's clock is slower than ours.
    ///
    /// # Errors
    /// When there is no answer within `within`, or one of another version.
    pub async fn connect(
        socket: &Path,
        within: Duration,
        patience: u32,
    ) -> anyhow::Result<(Self, Hello)> {
        let until = Instant::now() + within;
        let stream = open(socket, until).await?;
        let (reading, writing) = stream.into_split();
        let waiting = Arc::new(Waiting::default());
        let (events, _) = broadcast::channel(64);
        let (close, closed) = watch::channel(false);
        let reader = tokio::spawn(read(reading, waiting.clone(), events.clone(), close));
        let control = Self {
            shared: Arc::new(Shared {
                writer: tokio::sync::Mutex::new(writing),
                waiting,
                events,
                closed,
                next: AtomicU32::new(1),
                patience: patience.max(1),
                reader: reader.abort_handle(),
            }),
        };
        loop {
            // Asked again: the first greeting may have met half a frame of an earlier connection.
            let last = match control.hello_within(Duration::from_secs(2)).await {
                Ok(hello) => return Ok((control, hello)),
                Err(error) => error,
            };
            // An agent of another version answers at once, and goes on being one.
            tokio::time::sleep(Duration::from_millis(50)).await;
            if Instant::now() >= until || *control.shared.closed.borrow() {
                return Err(last.context(format!(
                    "failed to reach the guest's agent within {} s; see the guest's console",
                    within.as_secs()
                )));
            }
        }
    }

    /// Asks who is there.
    ///
    /// # Errors
    /// As any request: no reply in time, or a port that was closed.
    pub async fn hello(&self) -> anyhow::Result<Hello> {
        self.hello_within(SHORT).await
    }

    async fn hello_within(&self, within: Duration) -> anyhow::Result<Hello> {
        let reply = self.request(Kind::Hello, Vec::new(), within).await?;
        let version = reply.text(0).unwrap_or_default();
        if version != VERSION {
            bail!(
                "failed to talk to the guest's agent: it speaks version {} and not {VERSION}; build the guest anew with --guest-refresh",
                text::tame(version)
            );
        }
        hello(&reply, 0).context("failed to understand the guest agent's greeting")
    }

    /// What the agent tells unasked, from now on.
    #[must_use]
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.shared.events.subscribe()
    }

    /// Resolves when the port is closed: the machine has ended, or its guest went wild.
    pub async fn closed(&self) {
        let mut closed = self.shared.closed.clone();
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Sends a request and waits for its reply, `within` times the patience.
    pub(super) async fn request(
        &self,
        kind: Kind,
        fields: Vec<Vec<u8>>,
        within: Duration,
    ) -> anyhow::Result<Frame> {
        let shared = &*self.shared;
        let id = shared.next.fetch_add(1, Ordering::Relaxed);
        let bytes = Frame::new(kind, id, fields)
            .encode()
            .with_context(|| format!("failed to send a {kind:?} to the guest: it is too long"))?;
        let (tell, told) = oneshot::channel();
        shared.waiting.with(|waiting| waiting.insert(id, tell));
        let _forget = Forget(&shared.waiting, id);
        // Also when the port was closed between the last reply and now.
        if *shared.closed.borrow() {
            bail!(
                "failed to ask the guest for {kind:?}: its port is closed; the machine has ended"
            );
        }
        let within = within * shared.patience;
        let exchange = async {
            // A frame is written whole or the connection is of no more use, hence in a task of its own.
            let this = self.clone();
            let written =
                tokio::spawn(
                    async move { this.shared.writer.lock().await.write_all(&bytes).await },
                );
            written.await??;
            told.await
                .map_err(|_| anyhow!("its port was closed; the machine has ended"))
        };
        let reply = timeout(within, exchange)
            .await
            .map_err(|_| anyhow!("no reply within {} s", within.as_secs()))
            .and_then(|reply| reply)
            .with_context(|| format!("failed to ask the guest for {kind:?}"))?;
        if reply.kind == Kind::Reply as u32 {
            return Ok(reply);
        }
        let why = match reply.kind == Kind::Refusal as u32 {
            true => format!("the guest refused: {}", text::tame(&lossy(&reply, 0))),
            false => format!("the guest sent a frame of the unknown kind {}", reply.kind),
        };
        Err(anyhow!(why).context(format!("failed to ask the guest for {kind:?}")))
    }

    pub(super) async fn short(&self, kind: Kind, fields: Vec<Vec<u8>>) -> anyhow::Result<Frame> {
        self.request(kind, fields, SHORT).await
    }
}

fn lossy(frame: &Frame, index: usize) -> String {
    let field = frame
        .fields
        .get(index)
        .map(Vec::as_slice)
        .unwrap_or_default();
    String::from_utf8_lossy(field).into_owned()
}

async fn open(socket: &Path, until: Instant) -> anyhow::Result<UnixStream> {
    loop {
        // QEMU makes the socket some time after it was started.
        let error = match timeout_at(until, UnixStream::connect(socket)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "no answer".into(),
        };
        if Instant::now() >= until {
            bail!(
                "failed to connect to the guest's port {}: {error}",
                socket.display()
            );
        }
        sleep(Duration::from_millis(20)).await;
    }
}

async fn read(
    mut from: OwnedReadHalf,
    waiting: Arc<Waiting>,
    events: broadcast::Sender<Event>,
    close: watch::Sender<bool>,
) {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(got) = from.read(&mut buffer).await {
        if got == 0 {
            break;
        }
        for frame in decoder.push(&buffer[..got]) {
            if frame.kind == Kind::Event as u32 {
                // Nobody may be listening; what is not understood is hostile or newer.
                let _ = event(&frame).map(|event| events.send(event));
            } else if let Some(tell) = waiting.with(|waiting| waiting.remove(&frame.id)) {
                let _ = tell.send(frame);
            }
        }
    }
    let _ = close.send(true);
    // Whoever waits is told by the senders' end.
    waiting.with(HashMap::clear);
}

fn hello(frame: &Frame, from: usize) -> Option<Hello> {
    let word = |index: usize| {
        let word = text::tame(frame.text(from + index)?);
        (!word.is_empty()).then_some(word)
    };
    Some(Hello {
        boot_id: word(1)?,
        kernel: word(2)?,
        agent: frame.number(from + 3)?,
    })
}

fn event(frame: &Frame) -> Option<Event> {
    match frame.text(0)? {
        "ready" => hello(frame, 1).map(Event::Ready),
        "exited" => {
            let oom_kills: u64 = frame.number(3).unwrap_or(0);
            Some(Event::Exited {
                pid: frame.number(1)?,
                exit: exit_of(frame.number(2)?, oom_kills > 0),
            })
        }
        _ => None,
    }
}
