//! The stream of samples from the guest, and the samplers that hand it on.
//!
//! The guest tells at its own pace and a sampler is asked at another: each record is handed on once, and a sampler
//! that is asked in between has nothing to say.

use std::io::{self, Read};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reports::metric::Metric;

use super::protocol::Decoder;
use super::record::Record;
use crate::sampler::Sampler;

/// A connection to the sampler's port. Dropped, it is closed, and its samplers end.
pub struct Samples {
    shared: Arc<Shared>,
    stream: UnixStream,
    reader: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    first: Option<Record>,
    latest: Option<Record>,
    /// Records received; the number of the latest.
    received: u64,
    /// Records that were sent but did not arrive whole.
    lost: u64,
    /// Why there will be no more.
    ended: Option<String>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, act: impl FnOnce(&mut State)) {
        act(&mut self.lock());
        self.changed.notify_all();
    }
}

/// What sampling cost the guest, between the first and the latest record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplerCost {
    /// CPU time of the sampler in the guest.
    pub cpu: Duration,
    /// Time passed by the guest's clock.
    pub wall: Duration,
    /// Records received.
    pub records: u64,
    /// Records that were sent but did not arrive whole.
    pub lost: u64,
}

impl SamplerCost {
    /// The share of one of the guest's CPUs, in percent. `None` before there are two records.
    #[must_use]
    pub fn percent(&self) -> Option<f64> {
        let wall = self.wall.as_secs_f64();
        (wall > 0.0).then(|| 100.0 * self.cpu.as_secs_f64() / wall)
    }
}

impl Samples {
    /// Connects to the socket of the port, which QEMU has made by the time that the agent answers.
    ///
    /// # Errors
    /// When it cannot be connected to.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(socket)?;
        let reading = stream.try_clone()?;
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new().name("assay-guest".into());
        let reader = thread.spawn({
            let shared = shared.clone();
            move || {
                let why = receive(reading, &shared);
                shared.tell(|state| state.ended = Some(why));
            }
        })?;
        Ok(Self {
            shared,
            stream,
            reader: Some(reader),
        })
    }

    /// Two samplers: `guest-cgroup` of the server's cgroup, and `guest-machine` of all that the machine has.
    #[must_use]
    pub fn samplers(&self) -> Vec<Box<dyn Sampler>> {
        let source = |name, part: Part| GuestSampler {
            shared: self.shared.clone(),
            seen: 0,
            name,
            part,
        };
        vec![
            Box::new(source("guest-cgroup", |record| record.server.as_deref())),
            Box::new(source("guest-machine", |record| Some(&record.machine))),
        ]
    }

    /// The latest record, if one has arrived.
    #[must_use]
    pub fn latest(&self) -> Option<Record> {
        self.shared.lock().latest.clone()
    }

    /// Waits for a record that satisfies `wanted`, among those that arrive from now on.
    ///
    /// # Errors
    /// When the stream ends or the deadline passes first.
    pub fn wait(
        &self,
        within: Duration,
        wanted: impl Fn(&Record) -> bool,
    ) -> anyhow::Result<Record> {
        let until = Instant::now() + within;
        let mut state = self.shared.lock();
        let mut seen = state.received;
        loop {
            if let Some(record) = state
                .latest
                .as_ref()
                .filter(|record| state.received > seen && wanted(record))
            {
                return Ok(record.clone());
            }
            if let Some(why) = &state.ended {
                anyhow::bail!("failed to wait for a sample of the guest: {why}");
            }
            seen = state.received;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                anyhow::bail!(
                    "failed to wait for a sample of the guest: {seen} came, and not the one awaited within {} s",
                    within.as_secs()
                );
            }
            state = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// What sampling cost so far. `None` before the first record.
    #[must_use]
    pub fn cost(&self) -> Option<SamplerCost> {
        let state = self.shared.lock();
        let (first, latest) = (state.first.as_ref()?, state.latest.as_ref()?);
        Some(SamplerCost {
            cpu: latest.sampler_cpu.saturating_sub(first.sampler_cpu),
            wall: latest.at.saturating_sub(first.at),
            records: state.received,
            lost: state.lost,
        })
    }
}

impl Drop for Samples {
    fn drop(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Receives until the end and tells why it came.
fn receive(mut from: UnixStream, shared: &Shared) -> String {
    let mut decoder = Decoder::default();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let got = match from.read(&mut buffer) {
            Ok(0) => return "its port was closed".into(),
            Ok(got) => got,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return error.to_string(),
        };
        for frame in decoder.push(&buffer[..got]) {
            // The sum was right, so this is what was sent: no later record would be better.
            match Record::read(&frame) {
                Ok(record) => shared.tell(|state| take(state, record)),
                Err(error) => return format!("{error:#}"),
            }
        }
    }
}

fn take(state: &mut State, record: Record) {
    match &state.latest {
        // A sampler that was started anew counts from the beginning, also its own cost.
        Some(last) if record.sequence > last.sequence => {
            state.lost += u64::from(record.sequence - last.sequence - 1);
        }
        _ => state.first = Some(record.clone()),
    }
    state.latest = Some(record);
    state.received += 1;
}

/// The part of a record that a sampler hands on.
type Part = fn(&Record) -> Option<&[(Metric, f64)]>;

struct GuestSampler {
    shared: Arc<Shared>,
    seen: u64,
    name: &'static str,
    part: Part,
}

impl Sampler for GuestSampler {
    fn name(&self) -> &str {
        self.name
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let state = self.shared.lock();
        if state.received > self.seen {
            self.seen = state.received;
            into.extend_from_slice(
                state
                    .latest
                    .as_ref()
                    .and_then(self.part)
                    .unwrap_or_default(),
            );
        } else if let Some(why) = &state.ended {
            return Err(io::Error::other(why.clone()));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(sequence: u32, ms: u64) -> Record {
        Record {
            sequence,
            at: Duration::from_millis(1000 * ms),
            dropped: 0,
            sampler_cpu: Duration::from_millis(ms),
            machine: vec![(Metric::MachineUsed, f64::from(sequence))],
            server: None,
        }
    }

    #[test]
    fn each_record_is_handed_on_once_and_the_end_is_told() {
        let shared = Arc::new(Shared::default());
        let part: Part = |record| Some(&record.machine);
        let mut sampler = GuestSampler {
            shared: shared.clone(),
            seen: 0,
            name: "x",
            part,
        };
        let mut ask = || {
            let mut into = Vec::new();
            sampler.sample(&mut into).map(|()| into.len())
        };
        assert_eq!(ask().unwrap(), 0);
        shared.tell(|state| take(state, record(1, 1)));
        assert_eq!((ask().unwrap(), ask().unwrap()), (1, 0));
        shared.tell(|state| take(state, record(2, 2)));
        shared.tell(|state| state.ended = Some("over".into()));
        assert_eq!(ask().unwrap(), 1, "what came before the end counts");
        assert_eq!(ask().unwrap_err().to_string(), "over");
    }

    #[test]
    fn gaps_are_counted_and_a_new_sampler_begins_anew() {
        let mut state = State::default();
        for record in [record(7, 10), record(8, 11), record(11, 12)] {
            take(&mut state, record);
        }
        assert_eq!((state.received, state.lost), (3, 2));
        take(&mut state, record(1, 1));
        assert_eq!(state.first.as_ref().map(|first| first.sequence), Some(1));
        assert_eq!(state.lost, 2);
    }
}
