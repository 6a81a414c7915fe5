//! A network for several machines: an Ethernet switch on a unix socket, to which emulators connect with
//! `-netdev stream`. It can cut a machine off, delay its frames and lose some of them.
//!
//! On the wire each frame is preceded by its length, four bytes, big endian.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A hardware address.
pub type Address = [u8; 6];

/// Frames that wait for one machine; more are dropped, as a switch does.
const QUEUE: usize = 4096;
/// A frame with a jumbo payload; what is longer is no frame.
const LONGEST_FRAME: usize = 65_536;
/// Two addresses and a type.
const SHORTEST_FRAME: usize = 14;

/// What a machine's link does to its frames, in both directions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Link {
    /// Nothing passes.
    pub cut: bool,
    /// Each frame is late by this.
    pub delay: Duration,
    /// The share of frames that are lost, 0 to 1.
    pub loss: f64,
}

/// What a switch did: the witness of a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames handed on.
    pub passed: u64,
    /// Frames that met a link that was cut.
    pub cut: u64,
    /// Frames that were lost on purpose.
    pub lost: u64,
    /// Frames for which a queue had no room.
    pub overrun: u64,
}

/// A running switch. Dropped, it goes with its socket, and all links are down.
pub struct Switch {
    path: PathBuf,
    shared: Arc<Mutex<Shared>>,
    task: tokio::task::AbortHandle,
}

#[derive(Default)]
struct Shared {
    ports: HashMap<u64, mpsc::Sender<(Instant, Vec<u8>)>>,
    /// Which port a machine was last heard on.
    heard: HashMap<Address, u64>,
    links: HashMap<Address, Link>,
    traffic: Traffic,
    /// Numbers drawn for losses: always the same sequence, so that a run can be repeated.
    drawn: u64,
}

impl Switch {
    /// Opens the socket. To be called within a runtime.
    ///
    /// # Errors
    /// When the socket cannot be made, such as with a path longer than 107 bytes.
    pub fn open(path: &Path) -> io::Result<Self> {
        let listener = UnixListener::bind(path)?;
        let shared = Arc::new(Mutex::new(Shared::default()));
        let task = tokio::spawn(accept(listener, Arc::clone(&shared))).abort_handle();
        Ok(Self {
            path: path.to_owned(),
            shared,
            task,
        })
    }

    /// Its socket.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Changes what the link of a machine does from now on. Frames on their way keep their delay.
    pub fn set(&self, machine: Address, link: Link) {
        lock(&self.shared).links.insert(machine, link);
    }

    /// What it did so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        lock(&self.shared).traffic
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // Nothing in the critical sections can panic.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: UnixListener, shared: Arc<Mutex<Shared>>) {
    // Dropped with this task, and then so are all connections.
    let mut connections = JoinSet::new();
    let mut port = 0;
    while let Ok((stream, _)) = listener.accept().await {
        port += 1;
        connections.spawn(serve(stream, port, Arc::clone(&shared)));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: UnixStream, port: u64, shared: Arc<Mutex<Shared>>) {
    let (mut read, write) = stream.into_split();
    let (send, queue) = mpsc::channel(QUEUE);
    lock(&shared).ports.insert(port, send);
    let inward = async {
        while let Ok(frame) = read_frame(&mut read).await {
            lock(&shared).hand_on(port, &frame);
        }
    };
    tokio::select! {
        () = inward => {}
        () = deliver(write, queue) => {}
    }
    let mut shared = lock(&shared);
    shared.ports.remove(&port);
    shared.heard.retain(|_, heard| *heard != port);
}

async fn read_frame(read: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = read.read_u32().await? as usize;
    if !(SHORTEST_FRAME..=LONGEST_FRAME).contains(&length) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut frame = vec![0; length];
    read.read_exact(&mut frame).await?;
    Ok(frame)
}

/// Frames in the order in which they came, none before it is due.
async fn deliver(mut write: OwnedWriteHalf, mut queue: mpsc::Receiver<(Instant, Vec<u8>)>) {
    while let Some((due, frame)) = queue.recv().await {
        tokio::time::sleep_until(due).await;
        let mut wire = Vec::with_capacity(4 + frame.len());
        wire.extend((frame.len() as u32).to_be_bytes());
        wire.extend(frame);
        if write.write_all(&wire).await.is_err() {
            return;
        }
    }
}

impl Shared {
    fn hand_on(&mut self, from: u64, frame: &[u8]) {
        let (Some(to), Some(source)) = (address(frame, 0), address(frame, 6)) else {
            return;
        };
        self.heard.insert(source, from);
        let targets: Vec<u64> = match self.heard.get(&to) {
            Some(port) => vec![*port],
            // A group, or a machine that has not been heard.
            None => self.ports.keys().copied().collect(),
        };
        for port in targets.into_iter().filter(|port| *port != from) {
            self.pass(source, port, frame);
        }
    }

    /// Over both links: that of the sender and that of whoever is behind the port.
    fn pass(&mut self, source: Address, port: u64, frame: &[u8]) {
        let behind = self
            .heard
            .iter()
            .filter(|(_, heard)| **heard == port)
            .map(|(machine, _)| *machine);
        let links: Vec<Link> = behind
            .chain([source])
            .filter_map(|machine| self.links.get(&machine).copied())
            .collect();
        if links.iter().any(|link| link.cut) {
            self.traffic.cut += 1;
            return;
        }
        let passes: f64 = links.iter().map(|link| 1.0 - link.loss).product();
        if passes < 1.0 && self.draw() >= passes {
            self.traffic.lost += 1;
            return;
        }
        let delay: Duration = links.iter().map(|link| link.delay).sum();
        let queued = self
            .ports
            .get(&port)
            .map(|queue| queue.try_send((Instant::now() + delay, frame.to_vec())));
        match queued {
            Some(Ok(())) => self.traffic.passed += 1,
            Some(Err(_)) => self.traffic.overrun += 1,
            None => {}
        }
    }

    /// The next number between 0 and 1 (SplitMix64).
    fn draw(&mut self) -> f64 {
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.drawn;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn address(frame: &[u8], at: usize) -> Option<Address> {
    frame.get(at..at + 6)?.try_into().ok()
}
