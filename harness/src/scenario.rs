//! Scenarios: named procedures on a cluster. A scenario only records; gates judge.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use reports::event::{EventKind, Latency, Measurement};
use reports::metric::{Metric, Unit};
use reports::statement::Statement;

use crate::api::Api;
use crate::cancel::Cancel;
use crate::distribution::{Datastore, Distribution, Surface};
use crate::journal::CellSink;
use crate::profile::Profile;
use crate::target::Cluster;

/// A named procedure on a running cluster.
pub trait Scenario: Sync {
    /// Its name, unique within its suite.
    fn name(&self) -> &'static str;
    /// One sentence for `assay list`.
    fn title(&self) -> &'static str;
    /// Any of these surfaces will do.
    fn surfaces(&self) -> &'static [Surface];
    /// Whether it is about what samplers read, so that without them there is nothing to do.
    fn samples(&self) -> bool {
        false
    }
    /// Whether it is about agents, so that in a cell without any there is nothing to do.
    fn needs_agents(&self) -> bool {
        false
    }
    /// Whether it does harm to the server. It then runs in a cell of its own kind ([`crate::plan::FAULTS`]), whose server
    /// lies on a small disk, so that what others measure is not touched.
    fn injects_faults(&self) -> bool {
        false
    }
    /// On how many fresh servers it runs in a profile: one, unless its figures are what people compare. Such headline
    /// scenarios say [`Profile::headline_repeats`].
    fn repeats(&self, _profile: Profile) -> u32 {
        1
    }
    /// Why it is left out in this cell, where it could say nothing: it is then skipped with this reason.
    fn left_out(&self, _cx: &ScenarioContext<'_>) -> Option<String> {
        None
    }
    /// Runs it. An error means that it could not measure: the scenario is errored, never passed.
    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>>;
}

/// How the server is spoken to.
#[derive(Clone)]
pub enum Access {
    /// The Kubernetes API.
    Kubernetes(Api),
    /// The etcd v3 API, by client URL.
    Etcd(fixtures::etcd::client::Client),
}

/// The scenario's only door.
pub struct ScenarioContext<'a> {
    /// The cluster.
    pub cluster: &'a dyn Cluster,
    /// What is under test.
    pub distribution: &'static dyn Distribution,
    /// What backs it.
    pub datastore: Datastore,
    /// How it is spoken to.
    pub access: &'a Access,
    /// The run's id, which every object that a scenario makes carries as a label.
    pub run: &'a str,
    /// Whether the run is to stop.
    pub cancel: &'a Cancel,
    /// By how much longer things take there than on this host ([`crate::target::Target::patience`]).
    pub patience: u32,
    /// How much is run.
    pub profile: Profile,
    /// The run's folder: files that are beside the journal go there.
    pub folder: &'a Path,
    /// Where etcd's metrics are, if anywhere.
    pub etcd_metrics: Option<&'a str>,
    pub(crate) suite: &'static str,
    pub(crate) scenario: &'static str,
    pub(crate) sink: &'a CellSink,
    pub(crate) tap: &'a Tap,
}

impl ScenarioContext<'_> {
    /// Begins a phase; it ends when the guard is dropped or [`Phase::end`]ed.
    #[must_use]
    pub fn phase(&self, name: &str) -> Phase {
        Phase::begin(
            self.sink,
            self.tap,
            self.suite,
            &format!("{}/{name}", self.scenario),
        )
    }

    /// Records a figure.
    pub fn measure(
        &self,
        name: &str,
        unit: Unit,
        value: f64,
        labels: &[(&str, String)],
        source: &str,
    ) {
        self.measure_of(name, unit, value, labels, None, source);
    }

    /// Records a statistic over `samples` values.
    pub fn measure_of(
        &self,
        name: &str,
        unit: Unit,
        value: f64,
        labels: &[(&str, String)],
        samples: Option<u64>,
        source: &str,
    ) {
        self.sink.emit(EventKind::Measurement(Measurement {
            suite: self.suite.into(),
            scenario: self.scenario.into(),
            name: name.into(),
            unit,
            value,
            labels: owned(labels),
            samples,
            source: source.into(),
        }));
    }

    /// Records a latency distribution in microseconds.
    pub fn latency<C: hdrhistogram::Counter>(
        &self,
        operation: &str,
        labels: &[(&str, String)],
        histogram: &hdrhistogram::Histogram<C>,
        errors: u64,
        interval: Duration,
    ) {
        self.sink.emit(EventKind::Latency(Latency {
            suite: self.suite.into(),
            scenario: self.scenario.into(),
            operation: operation.into(),
            labels: owned(labels),
            count: histogram.len(),
            errors,
            interval_ms: interval.as_secs_f64() * 1e3,
            buckets: histogram
                .iter_recorded()
                .map(|bucket| (bucket.value_iterated_to(), bucket.count_at_value().as_u64()))
                .collect(),
            min_us: if histogram.is_empty() {
                0
            } else {
                histogram.min()
            },
            max_us: histogram.max(),
        }));
    }

    /// States something of the server, to be judged: what must be true, whether it is, on how many facts that rests, and
    /// the figures in a sentence. An error is not for this: it says that nothing could be found out.
    pub fn state(&self, name: &str, holds: bool, facts: u64, because: impl Into<String>) {
        self.sink.emit(EventKind::Statement(Statement {
            suite: self.suite.into(),
            scenario: self.scenario.into(),
            name: name.into(),
            holds,
            facts,
            // It may quote what the server answered.
            because: crate::text::tame(&because.into()),
        }));
    }

    /// The cell's id, such as `native-k3s-sqlite-edge`.
    #[must_use]
    pub fn cell(&self) -> &str {
        self.sink.cell()
    }

    /// The scenario's suite.
    #[must_use]
    pub fn suite(&self) -> &'static str {
        self.suite
    }

    /// The scenario's name.
    #[must_use]
    pub fn scenario(&self) -> &'static str {
        self.scenario
    }

    /// Records a warning, shown in every report.
    pub fn warn(&self, message: impl Into<String>) {
        self.sink.warn(message);
    }

    /// Waits for a sample that was taken after this call.
    ///
    /// # Errors
    /// When none comes within some periods of the sampler.
    pub async fn fresh(&self) -> anyhow::Result<Reading> {
        let called = Instant::now();
        let granted = FRESH_WITHIN + self.cluster.sample_period() * 5;
        loop {
            if let Some(newest) = self.newest().filter(|newest| newest.at >= called) {
                return Ok(newest);
            }
            anyhow::ensure!(
                called.elapsed() < granted,
                "failed to sample: nothing new came within {granted:?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The newest sample of the cell's cgroup.
    #[must_use]
    pub fn newest(&self) -> Option<Reading> {
        self.tap.newest()
    }
}

/// A sampler that is busy may be that late, whatever its period.
const FRESH_WITHIN: Duration = Duration::from_secs(10);

fn owned(labels: &[(&str, String)]) -> BTreeMap<String, String> {
    labels
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect()
}

/// One sample: a moment, and values by metric.
#[derive(Debug, Clone)]
pub struct Reading {
    /// When it was taken.
    pub at: Instant,
    /// The values, in each metric's unit.
    pub values: BTreeMap<Metric, f64>,
}

/// The samples of the present phase, as the sampler takes them.
#[derive(Clone, Default)]
pub struct Tap(Arc<Mutex<Vec<Reading>>>);

/// Samples that a tap keeps at most: ten minutes at 50 Hz.
const TAP_CAPACITY: usize = 30_000;

impl Tap {
    /// Takes in a sample; called on the sampler's thread.
    pub fn push(&self, at: Instant, values: &[(Metric, f64)]) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readings.len() < TAP_CAPACITY {
            readings.push(Reading {
                at,
                values: values.iter().copied().collect(),
            });
        }
    }

    fn newest(&self) -> Option<Reading> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .last()
            .cloned()
    }

    /// Keeps only the newest sample, the starting point of the next phase.
    fn restart(&self) {
        let mut readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = readings.pop();
        readings.clear();
        readings.extend(newest);
    }

    fn since(&self, start: Instant) -> Vec<Reading> {
        let readings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        readings
            .iter()
            .filter(|reading| reading.at >= start)
            .cloned()
            .collect()
    }
}

/// An open phase.
pub struct Phase {
    sink: CellSink,
    tap: Tap,
    name: String,
    start: Instant,
}

impl Phase {
    pub(crate) fn begin(sink: &CellSink, tap: &Tap, suite: &str, name: &str) -> Self {
        tap.restart();
        let start = Instant::now();
        sink.at(
            start,
            EventKind::PhaseStarted {
                suite: suite.into(),
                phase: name.into(),
            },
        );
        Self {
            sink: sink.clone(),
            tap: tap.clone(),
            name: name.into(),
            start,
        }
    }

    /// What was sampled so far.
    #[must_use]
    pub fn so_far(&self) -> PhaseSamples {
        PhaseSamples {
            length: self.start.elapsed(),
            readings: self.tap.since(self.start),
        }
    }

    /// Ends it and returns what was sampled.
    pub fn end(self) -> PhaseSamples {
        self.so_far()
    }
}

impl Drop for Phase {
    fn drop(&mut self) {
        self.sink.emit(EventKind::PhaseEnded {
            phase: self.name.clone(),
        });
    }
}

/// What was sampled during a phase.
#[derive(Debug, Clone)]
pub struct PhaseSamples {
    /// The phase's length.
    pub length: Duration,
    /// Its samples in order.
    pub readings: Vec<Reading>,
}

impl PhaseSamples {
    /// The values of a metric, in order of time.
    #[must_use]
    pub fn values(&self, metric: Metric) -> Vec<f64> {
        self.readings
            .iter()
            .filter_map(|reading| reading.values.get(&metric).copied())
            .collect()
    }

    /// Growth of a cumulative metric per second between the first and the last sample that have it.
    /// `None` with fewer than two samples: a rate of nothing is not zero.
    #[must_use]
    pub fn rate(&self, metric: Metric) -> Option<f64> {
        let having: Vec<_> = self
            .readings
            .iter()
            .filter_map(|r| Some((r, *r.values.get(&metric)?)))
            .collect();
        let (first, last) = (having.first()?, having.last()?);
        // A machine that counts its instructions has no other time: per ours, a rate would be the host's load.
        let clock = |reading: &Reading| reading.values.get(&Metric::CountedClock).copied();
        let seconds = match (clock(first.0), clock(last.0)) {
            (Some(from), Some(to)) => (to - from) / 1e6,
            _ => last.0.at.duration_since(first.0.at).as_secs_f64(),
        };
        (seconds > 0.0).then(|| (last.1 - first.1) / seconds)
    }

    /// Growth of a cumulative metric between the first and the last sample that have it.
    #[must_use]
    pub fn growth(&self, metric: Metric) -> Option<f64> {
        let values = self.values(metric);
        (values.len() >= 2).then(|| values[values.len() - 1] - values[0])
    }
}
