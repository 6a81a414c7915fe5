//! The mix: create, update, list and delete in a closed loop at several concurrencies.
//!
//! Closed loop: each client sends its next operation when the last was answered, so latency under overload is
//! understated by design and throughput is the figure to read. (An open loop is another scenario's business.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::profile::Profile;
use harness::scenario::{PhaseSamples, Scenario, ScenarioContext};
use hdrhistogram::Histogram;
use reports::metric::{Metric, Unit};
use tokio::task::JoinSet;

use super::size;
use super::store::{Store, VALUE_BYTES, Version};

/// See the module.
pub struct Mix;

/// Concurrencies, ascending.
const CLIENTS: &[usize] = &[1, 4, 16];
/// Length of each concurrency's interval, stretched for servers that run slower.
const INTERVAL: Duration = Duration::from_secs(3);
/// An interval in which fewer operations were answered says nothing: it goes on until there are as many.
const FLOOR: u64 = 50;
/// Then it ends nevertheless and the scenario is errored; stretched like the interval.
const LONGEST: Duration = Duration::from_secs(30);
/// One client's operations, over and over: 4 creates, 8 updates, 4 deletes, 2 lists.
const ROUND: &[Operation] = {
    use Operation::{Create, Delete, List, Update};
    &[
        Create, Update, Update, Create, Update, Update, List, Delete, Delete, Create, Update,
        Update, Create, Update, Update, List, Delete, Delete,
    ]
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Create,
    Update,
    List,
    Delete,
}

impl Operation {
    const ALL: [Self; 4] = [Self::Create, Self::Update, Self::List, Self::Delete];

    fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::List => "list",
            Self::Delete => "delete",
        }
    }

    fn writes(self) -> bool {
        self != Self::List
    }
}

impl Scenario for Mix {
    fn name(&self) -> &'static str {
        "mix"
    }

    fn title(&self) -> &'static str {
        "create, update, list and delete in a closed loop at 1, 4 and 16 clients"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    /// Its figures are compared where one waits long enough, or asks for repeats.
    fn repeats(&self, profile: Profile) -> u32 {
        match profile {
            Profile::Quick | Profile::Default => 1,
            Profile::Full => profile.headline_repeats(),
        }
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let store = Arc::new(Store::open(cx, "mix").await?);
            for &clients in CLIENTS {
                level(cx, &store, clients).await?;
            }
            let source = "size of the database's files";
            match size::database_bytes(cx).await? {
                Some(bytes) => {
                    cx.measure("database_size", Unit::Bytes, bytes as f64, &[], source);
                }
                None => {
                    cx.warn("mix: the database was not sized: its files are not seen from here")
                }
            }
            store
                .close()
                .await
                .context("failed to remove the mix's objects")
        }
        .boxed()
    }
}

/// What one client saw.
struct Tally {
    latency: [Histogram<u32>; 4],
    errors: [u64; 4],
    first_error: Option<String>,
}

impl Tally {
    fn new() -> anyhow::Result<Self> {
        // Three digits. They grow with what they see: each client has four, and assay's own memory is in the report.
        let fresh = || Histogram::new(3);
        Ok(Self {
            latency: [fresh()?, fresh()?, fresh()?, fresh()?],
            errors: [0; 4],
            first_error: None,
        })
    }

    fn merge(&mut self, other: &Self) -> anyhow::Result<()> {
        for (mine, theirs) in self.latency.iter_mut().zip(&other.latency) {
            mine.add(theirs)?;
        }
        for (mine, theirs) in self.errors.iter_mut().zip(&other.errors) {
            *mine += theirs;
        }
        self.first_error = self
            .first_error
            .take()
            .or_else(|| other.first_error.clone());
        Ok(())
    }
}

async fn level(cx: &ScenarioContext<'_>, store: &Arc<Store>, clients: usize) -> anyhow::Result<()> {
    let fsyncs_before = size::fsyncs(cx).await;
    let phase = cx.phase(&format!("clients-{clients}"));
    let start = Instant::now();
    let span = Arc::new(Span {
        end: start + INTERVAL * cx.patience,
        latest: start + LONGEST * cx.patience,
        answered: AtomicU64::new(0),
    });
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (store, span) = (store.clone(), span.clone());
        tasks.spawn(async move { work(&store, &format!("c{clients}-{client}"), &span).await });
    }
    let mut total = Tally::new()?;
    while let Some(tally) = tasks.join_next().await {
        total.merge(&tally.context("a client panicked")??)?;
    }
    let took = start.elapsed();
    let samples = phase.end();
    let fsyncs = size::fsyncs(cx)
        .await
        .zip(fsyncs_before)
        .map(|(after, before)| after - before);
    report(cx, clients, &total, took, &samples, fsyncs);
    let answered: u64 = total.latency.iter().map(Histogram::len).sum();
    if let Some(error) = &total.first_error {
        cx.warn(format!(
            "mix: {} of {answered} operations failed at {clients} clients, the first so: {error}",
            total.errors.iter().sum::<u64>()
        ));
    }
    ensure!(
        answered >= FLOOR,
        "only {answered} operations were answered at {clients} clients in {} s; {FLOOR} are needed",
        took.as_secs()
    );
    Ok(())
}

/// How long the clients of one concurrency go on.
struct Span {
    end: Instant,
    latest: Instant,
    /// What all of them were answered.
    answered: AtomicU64,
}

impl Span {
    fn is_over(&self, now: Instant) -> bool {
        let enough = self.answered.load(Ordering::Relaxed) >= FLOOR;
        now >= self.latest || (enough && now >= self.end)
    }
}

async fn work(store: &Store, name: &str, span: &Span) -> anyhow::Result<Tally> {
    let mut tally = Tally::new()?;
    let mut live: Vec<(String, Version)> = Vec::new();
    let mut made = 0_u64;
    for operation in ROUND.iter().copied().cycle() {
        if span.is_over(Instant::now()) {
            break;
        }
        let newest = live.pop();
        let start = Instant::now();
        let outcome = match (operation, newest) {
            (Operation::List, newest) => {
                live.extend(newest);
                store.list().await.map(|_| None)
            }
            (Operation::Update, Some((name, version))) => store
                .update(&name, &version)
                .await
                .map(|version| Some((name, version))),
            (Operation::Delete, Some((name, version))) => {
                store.delete(&name, &version).await.map(|()| None)
            }
            (Operation::Create, newest) => {
                live.extend(newest);
                made += 1;
                let name = format!("{name}-{made}");
                store
                    .create(&name)
                    .await
                    .map(|version| Some((name, version)))
            }
            // After a failed create there may be nothing to update or delete.
            (Operation::Update | Operation::Delete, None) => continue,
        };
        let slot = operation as usize;
        match outcome {
            Ok(kept) => {
                tally.latency[slot].record(start.elapsed().as_micros() as u64)?;
                span.answered.fetch_add(1, Ordering::Relaxed);
                live.extend(kept);
            }
            Err(error) => {
                tally.errors[slot] += 1;
                tally
                    .first_error
                    .get_or_insert_with(|| format!("{error:#}"));
                // A server that refuses at once must not turn this loop into a flood.
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
    Ok(tally)
}

fn report(
    cx: &ScenarioContext<'_>,
    clients: usize,
    total: &Tally,
    took: Duration,
    samples: &PhaseSamples,
    fsyncs: Option<f64>,
) {
    let labels = [("clients", clients.to_string())];
    for operation in Operation::ALL {
        let slot = operation as usize;
        cx.latency(
            operation.word(),
            &labels,
            &total.latency[slot],
            total.errors[slot],
            took,
        );
    }
    let answered: u64 = total.latency.iter().map(Histogram::len).sum();
    let writes: u64 = Operation::ALL
        .iter()
        .filter(|o| o.writes())
        .map(|o| total.latency[*o as usize].len())
        .sum();
    let measure = |name: &str, unit, value: f64, source: &str| {
        cx.measure_of(name, unit, value, &labels, Some(answered), source);
    };
    measure(
        "throughput",
        Unit::PerSecond,
        answered as f64 / took.as_secs_f64(),
        "answered operations over the interval",
    );
    measure(
        "errors",
        Unit::Count,
        total.errors.iter().sum::<u64>() as f64,
        "counted by the clients",
    );
    if writes == 0 {
        return;
    }
    let per_write = writes as f64;
    if let Some(bytes) = samples.growth(Metric::IoWritten) {
        let source = format!(
            "io.stat on cgroup v2, else write_bytes of the processes; over {writes} writes of {VALUE_BYTES} B"
        );
        measure("written_per_write", Unit::Bytes, bytes / per_write, &source);
    }
    if let Some(fsyncs) = fsyncs {
        measure(
            "fsyncs_per_write",
            Unit::Ratio,
            fsyncs / per_write,
            "etcd's own count of its log's fsyncs",
        );
    }
    if let Some(micros) = samples.growth(Metric::CpuUsed) {
        measure(
            "server_cpu_per_operation",
            Unit::Microseconds,
            micros / answered as f64,
            "CPU accounting of the cell",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_server_gets_more_time_and_not_a_lower_floor() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let span = |answered| Span {
            end: at(3),
            latest: at(30),
            answered: AtomicU64::new(answered),
        };
        assert!(!span(FLOOR).is_over(at(2)) && span(FLOOR).is_over(at(3)));
        assert!(!span(FLOOR - 1).is_over(at(29)) && span(0).is_over(at(30)));
    }
}
