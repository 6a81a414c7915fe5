//! The guest's stream of records as samplers; what they say of the whole machine is evidence on the budget, too.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reports::metric::Metric;

use super::evidence::{Evidence, MachineReading};
use crate::guest::Samples;
use crate::machine::Qmp;
use crate::sampler::Sampler;
use crate::target::AvailableTwice;

/// Where the samplers of a cluster read: another connection after each boot of its machine.
#[derive(Clone)]
pub(super) struct Source(Arc<Mutex<Stream>>);

/// How often the balloon driver is asked while somebody waits for its answer.
const BALLOON_EVERY: Duration = Duration::from_secs(1);
const BALLOON_WITHIN: Duration = Duration::from_secs(10);
const BALLOON_LOOK: Duration = Duration::from_millis(50);

struct Stream {
    /// `None` while the machine boots again.
    samples: Option<Samples>,
    generation: u64,
    /// Whether the guest's clock counts instructions and is to stand beside what is read.
    counted: bool,
}

impl Source {
    pub fn new(samples: Samples, counted: bool) -> Self {
        Self(Arc::new(Mutex::new(Stream {
            samples: Some(samples),
            generation: 0,
            counted,
        })))
    }

    /// The end of the stream is no failure from now on, until there is another.
    pub fn pause(&self) {
        self.lock().samples = None;
    }

    pub fn replace(&self, samples: Samples) {
        let mut stream = self.lock();
        stream.samples = Some(samples);
        stream.generation += 1;
    }

    /// Samplers that each add what they hand on to the evidence, and go on after a boot.
    pub fn samplers(&self, evidence: &Evidence) -> Vec<Box<dyn Sampler>> {
        let stream = self.lock();
        let inner = stream.samples.iter().flat_map(Samples::samplers);
        inner
            .enumerate()
            .map(|(nth, inner)| -> Box<dyn Sampler> {
                Box::new(Watched {
                    name: inner.name().to_owned(),
                    inner,
                    nth,
                    generation: stream.generation,
                    counted: stream.counted,
                    source: self.clone(),
                    evidence: evidence.clone(),
                })
            })
            .collect()
    }

    /// The guest's clock in its newest record: it moves on by one period a record.
    pub fn clock(&self) -> Option<Duration> {
        let latest = self.lock().samples.as_ref()?.latest()?;
        Some(latest.at)
    }

    /// The memory that the machine has available, by the newest record and by the balloon driver, which is asked for
    /// as long as this takes only: it costs the guest CPU. `None`: one of them told nothing in time.
    pub async fn beside_balloon(&self, qmp: &Qmp, patience: u32) -> Option<AvailableTwice> {
        // Before there is an answer there is the driver's last one, if any.
        let before = qmp
            .balloon_stats()
            .await
            .ok()?
            .map(|stats| stats.last_update);
        qmp.poll_balloon(Some(BALLOON_EVERY)).await.ok()?;
        let until = Instant::now() + BALLOON_WITHIN * patience;
        let told = loop {
            let stats = qmp.balloon_stats().await.ok()?;
            match stats.filter(|stats| Some(stats.last_update) != before) {
                Some(stats) => break Some(stats.available),
                None if Instant::now() >= until => break None,
                None => tokio::time::sleep(BALLOON_LOOK).await,
            }
        };
        // That it goes on asking would cost, and change nothing.
        let _ = qmp.poll_balloon(None).await;
        let latest = self.lock().samples.as_ref()?.latest()?;
        let seen = reading(&latest.machine).available;
        Some(AvailableTwice {
            sampler: seen?,
            emulator: told?,
        })
    }

    /// The share of one of the guest's CPUs that its sampler used, between 0 and 1.
    pub fn cost(&self) -> Option<f64> {
        let percent = self.lock().samples.as_ref()?.cost()?.percent()?;
        Some(percent / 100.0)
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        // Nothing in the critical sections can panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Watched {
    name: String,
    inner: Box<dyn Sampler>,
    nth: usize,
    generation: u64,
    counted: bool,
    source: Source,
    evidence: Evidence,
}

impl Watched {
    /// After the end of a stream: the next one, if there is or will be one.
    fn renew(&mut self, why: io::Error) -> io::Result<()> {
        let source = self.source.clone();
        let stream = source.lock();
        let Some(samples) = &stream.samples else {
            return Ok(());
        };
        if stream.generation == self.generation {
            self.evidence.lose();
            return Err(why);
        }
        let renewed = samples.samplers().into_iter().nth(self.nth);
        self.inner = renewed.ok_or(why)?;
        self.generation = stream.generation;
        Ok(())
    }
}

impl Sampler for Watched {
    fn name(&self) -> &str {
        &self.name
    }

    fn sample(&mut self, into: &mut Vec<(Metric, f64)>) -> io::Result<()> {
        let before = into.len();
        if let Err(why) = self.inner.sample(into) {
            return self.renew(why);
        }
        if self.counted
            && into.len() > before
            && let Some(at) = self.source.clock()
        {
            into.push((Metric::CountedClock, at.as_secs_f64() * 1e6));
        }
        let reading = reading(&into[before..]);
        if reading != MachineReading::default() {
            self.evidence.add(Instant::now(), &reading);
        }
        Ok(())
    }
}

fn reading(values: &[(Metric, f64)]) -> MachineReading {
    let value = |wanted| {
        let found = values.iter().find(|(metric, _)| *metric == wanted);
        found.map(|(_, value)| *value as u64)
    };
    MachineReading {
        available: value(Metric::MachineAvailable),
        oom_kills: value(Metric::MachineOomKills),
        major_faults: value(Metric::MachineMajorFaults),
        scanned: value(Metric::MachinePagesScanned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_of_the_machine_is_evidence_on_it() {
        let of = |values: &[(Metric, f64)]| reading(values);
        let server = [(Metric::Usage, 5.0), (Metric::OomKills, 3.0)];
        assert_eq!(of(&server), MachineReading::default());
        let machine = of(&[
            (Metric::MachineAvailable, 7.0),
            (Metric::MachineMajorFaults, 9.0),
        ]);
        assert_eq!(
            (machine.available, machine.major_faults),
            (Some(7), Some(9))
        );
        assert_eq!((machine.oom_kills, machine.scanned), (None, None));
    }
}
