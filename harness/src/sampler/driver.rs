//! The sampling loop: one thread, absolute deadlines, its own cost measured.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use reports::metric::Metric;
use rustix::time::{ClockId, clock_gettime};

use super::Sampler;

/// Takes readings: when, from which source, what. Called on the sampling thread, so it must be quick.
pub type Sink = Box<dyn FnMut(Instant, &str, Vec<(Metric, f64)>) + Send>;

/// Samples a second; shared, and changed while the loop runs.
#[derive(Debug, Clone)]
pub struct Rate(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    period: Duration,
    stop: bool,
}

impl Rate {
    /// While a server starts up, when things change fast.
    pub const STARTING_HZ: f64 = 50.0;
    /// Afterwards.
    pub const SETTLED_HZ: f64 = 10.0;

    /// A rate in samples a second, held between 0.1 and 1000.
    #[must_use]
    pub fn new(hz: f64) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::new(State {
                period: period(hz),
                stop: false,
            }),
            changed: Condvar::new(),
        }))
    }

    /// Changes it. It holds from the next sample on, which comes after one new period at most.
    pub fn set(&self, hz: f64) {
        self.lock().period = period(hz);
        self.0.changed.notify_all();
    }

    fn stop(&self) {
        self.lock().stop = true;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in the critical sections can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until one period after `last`. `None`: stopped.
    fn wait(&self, last: Instant) -> Option<Instant> {
        let mut state = self.lock();
        loop {
            if state.stop {
                return None;
            }
            let due = last + state.period;
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Some(due);
            }
            state = self
                .0
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }
}

fn period(hz: f64) -> Duration {
    let hz = if hz.is_finite() {
        hz.clamp(0.1, 1000.0)
    } else {
        Rate::SETTLED_HZ
    };
    Duration::from_secs_f64(1.0 / hz)
}

/// What the sampling loop did and used.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DriverReport {
    /// CPU time of the sampling thread.
    pub cpu: Duration,
    /// Time for which it ran.
    pub wall: Duration,
    /// The part of `cpu` that was used at [`Rate::SETTLED_HZ`] or slower.
    pub settled_cpu: Duration,
    /// The part of `wall` that passed at [`Rate::SETTLED_HZ`] or slower.
    pub settled_wall: Duration,
    /// Rounds over all sources.
    pub samples: u64,
    /// Rounds left out because the previous one ended after they were due.
    pub missed: u64,
    /// Worst lateness of a round against its schedule.
    pub worst_lateness: Duration,
}

/// A running sampling loop. Dropping it stops it.
#[derive(Debug)]
pub struct Driver {
    rate: Rate,
    thread: Option<JoinHandle<DriverReport>>,
}

impl Driver {
    /// Starts a thread that samples at `rate`, at once and then on absolute deadlines, so that lateness does not
    /// add up. A source that fails is asked no more.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(samplers: Vec<Box<dyn Sampler>>, rate: Rate, sink: Sink) -> std::io::Result<Self> {
        let shared = rate.clone();
        let thread = std::thread::Builder::new()
            .name("assay-sampler".to_owned())
            .spawn(move || run(samplers, &shared, sink))?;
        Ok(Self {
            rate,
            thread: Some(thread),
        })
    }

    /// Stops the loop and tells what it did. Blocks for at most one round.
    #[must_use]
    pub fn stop(mut self) -> DriverReport {
        self.end()
    }

    fn end(&mut self) -> DriverReport {
        self.rate.stop();
        let report = self.thread.take().map(JoinHandle::join);
        // A sink that panicked took its figures with it.
        report.and_then(Result::ok).unwrap_or_default()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if self.thread.is_some() {
            self.end();
        }
    }
}

fn run(mut samplers: Vec<Box<dyn Sampler>>, rate: &Rate, mut sink: Sink) -> DriverReport {
    let started = Instant::now();
    let mut report = DriverReport::default();
    let mut due = started;
    let mut settled_since: Option<(Duration, Instant)> = None;
    loop {
        if settled_since.is_none() && rate.lock().period >= period(Rate::SETTLED_HZ) {
            settled_since = Some((thread_cpu(), Instant::now()));
        }
        let at = Instant::now();
        report.worst_lateness = report.worst_lateness.max(at.saturating_duration_since(due));
        report.samples += 1;
        samplers.retain_mut(|sampler| {
            let mut readings = Vec::with_capacity(16);
            let now = Instant::now();
            let alive = sampler.sample(&mut readings).is_ok();
            // Half a reading of a vanishing source would look like a whole one; a slow source has nothing new.
            if alive && !readings.is_empty() {
                sink(now, sampler.name(), readings);
            }
            alive
        });
        let Some(next) = rate.wait(due) else { break };
        // After a stall, go on from now instead of making up for what was missed.
        let late = next.elapsed();
        let period = rate.lock().period;
        let missed = u32::try_from(late.as_nanos() / period.as_nanos().max(1)).unwrap_or(u32::MAX);
        report.missed += u64::from(missed);
        due = next + period.saturating_mul(missed);
    }
    report.wall = started.elapsed();
    report.cpu = thread_cpu();
    // The rate falls once, when the server is ready, and does not rise again.
    if let Some((cpu, at)) = settled_since {
        report.settled_cpu = report.cpu.saturating_sub(cpu);
        report.settled_wall = at.elapsed();
    }
    report
}

fn thread_cpu() -> Duration {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(used.tv_sec).unwrap_or(0),
        u32::try_from(used.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    struct Counter(u64);

    impl Sampler for Counter {
        fn name(&self) -> &str {
            "counter"
        }

        fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> std::io::Result<()> {
            self.0 += 1;
            into.push((Metric::Usage, self.0 as f64));
            if self.0 > 3 {
                Err(std::io::ErrorKind::NotFound.into())
            } else {
                Ok(())
            }
        }
    }

    #[test]
    fn every_sample_arrives_once_and_a_failing_source_is_dropped() {
        let (tell, heard) = mpsc::channel();
        let rate = Rate::new(0.1);
        let sink: Sink = Box::new(move |at, name, readings| {
            let _ = tell.send((at, name.to_owned(), readings));
        });
        let driver = Driver::start(vec![Box::new(Counter(0))], rate.clone(), sink).unwrap();
        let first = heard.recv().unwrap();
        assert_eq!((first.1.as_str(), first.2[0].1), ("counter", 1.0));
        rate.set(1000.0); // wakes the loop from its 10 s
        assert_eq!(heard.recv().unwrap().2[0].1, 2.0);
        let third = heard.recv().unwrap();
        assert_eq!(third.2[0].1, 3.0);
        assert!(third.0 > first.0);
        let report = driver.stop();
        assert!(report.settled_wall > Duration::ZERO && report.settled_cpu <= report.cpu);
        assert!(
            report.samples >= 3 && report.wall > Duration::ZERO,
            "{report:?}"
        );
        assert!(heard.recv().is_err(), "the fourth reading failed");
    }
}
