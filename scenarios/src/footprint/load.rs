//! Load: what stored objects cost. Objects are made in steps; after each the memory is read.

use std::time::Duration;

use anyhow::Context;
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::load::Store;
use harness::scenario::{Access, PhaseSamples, Scenario, ScenarioContext};
use reports::history::{Answer, Key, Level, Request};
use reports::metric::{Metric, Unit};
use reports::stats;

/// See the module.
pub struct Load;

/// Objects made in each step.
const STEP: usize = 500;
/// Size of the value of each object.
const VALUE_BYTES: usize = 1024;
/// Number of steps.
const STEPS: usize = 4;
/// Writers at once.
const WRITERS: usize = 8;
/// Quiet time after a step before memory is read, so that the last writes' garbage is the same each time.
const QUIET: Duration = Duration::from_secs(1);

/// What stands for the whole footprint, the best first: without a cgroup nobody counts a working set, and of a device
/// that is sampled as a whole only the use is known.
const WHOLE: &[(Metric, &str, &str, &str)] = &[
    (
        Metric::WorkingSet,
        "working_set",
        "working_set_per_1000_objects",
        "newest sample",
    ),
    (
        Metric::Rss,
        "rss",
        "rss_per_1000_objects",
        "sum over the processes, newest sample",
    ),
    (
        Metric::Usage,
        "usage",
        "usage_per_1000_objects",
        "newest sample",
    ),
];

impl Scenario for Load {
    fn name(&self) -> &'static str {
        "load"
    }

    fn title(&self) -> &'static str {
        "memory and CPU as objects are added in steps; cost per 1,000 objects"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn samples(&self) -> bool {
        true
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let level = match cx.access {
                Access::Kubernetes(_) => Level::Api,
                Access::Etcd(_) => Level::Datastore,
            };
            let store = Store::open(cx, level, "load").await?;
            let outcome = steps(cx, &store).await;
            store.close().await.context("failed to remove the load")?;
            outcome
        }
        .boxed()
    }
}

async fn steps(cx: &ScenarioContext<'_>, store: &Store) -> anyhow::Result<()> {
    let (metric, name, slope_name, source) = *WHOLE
        .iter()
        .find(|whole| read(cx, whole.0).is_ok())
        .context("failed to read the footprint: none of its figures is sampled here")?;
    // Some sources, such as the metrics API, tell neither.
    let tells = |metric| read(cx, metric).is_ok();
    let (tells_anon, tells_cpu) = (tells(Metric::Anon), tells(Metric::CpuUsed));
    let mut anon = Vec::new();
    if tells_anon {
        anon.push((0.0, read(cx, Metric::Anon)?));
    }
    let mut whole = vec![(0.0, read(cx, metric)?)];
    let mut cpu_us = 0.0;
    for step in 1..=STEPS {
        let phase = cx.phase(&format!("step-{}", step * STEP));
        // From a sample before to a sample after, however slow the sampler is.
        cx.fresh().await?;
        fill(store, (step - 1) * STEP, step * STEP).await?;
        tokio::time::sleep(QUIET).await;
        cx.fresh().await?;
        let samples = phase.end();
        let objects = (step * STEP) as f64;
        let labels = [("objects", (step * STEP).to_string())];
        if tells_cpu {
            cpu_us += growth(&samples, Metric::CpuUsed)?;
        }
        if tells_anon {
            anon.push((objects, read(cx, Metric::Anon)?));
            cx.measure("anon", Unit::Bytes, anon[step].1, &labels, source);
        }
        whole.push((objects, read(cx, metric)?));
        cx.measure(name, Unit::Bytes, whole[step].1, &labels, source);
    }
    let objects = (STEPS * STEP) as f64;
    let labels = [("value_bytes", VALUE_BYTES.to_string())];
    let source = "least-squares slope over the steps";
    for (name, points) in [("anon_per_1000_objects", &anon), (slope_name, &whole)] {
        if points.is_empty() {
            continue;
        }
        let slope =
            stats::slope(points).context("failed to fit a slope: no spread in the steps")?;
        cx.measure_of(
            name,
            Unit::Bytes,
            slope * 1e3,
            &labels,
            Some(points.len() as u64),
            source,
        );
    }
    if tells_cpu {
        let source = "CPU accounting over the steps";
        cx.measure(
            "cpu_per_1000_objects",
            Unit::Milliseconds,
            cpu_us / objects,
            &labels,
            source,
        );
    }
    Ok(())
}

async fn fill(store: &Store, from: usize, to: usize) -> anyhow::Result<()> {
    use futures::stream::{StreamExt, TryStreamExt};
    futures::stream::iter(from..to)
        .map(|nth| add(store, nth))
        .buffer_unordered(WRITERS)
        .try_collect::<()>()
        .await
        .context("failed to add an object")
}

async fn add(store: &Store, nth: usize) -> anyhow::Result<()> {
    let key = Key::try_from(nth)?;
    // 0 is nobody's.
    let value = u64::from(key) + 1;
    match store
        .send(key, Request::Create { value }, VALUE_BYTES)
        .await
    {
        Answer::Written { .. } => Ok(()),
        other => anyhow::bail!("a create was answered by {other:?}"),
    }
}

fn read(cx: &ScenarioContext<'_>, metric: Metric) -> anyhow::Result<f64> {
    let newest = cx
        .newest()
        .context("failed to read the footprint: nothing was sampled")?;
    newest
        .values
        .get(&metric)
        .copied()
        .with_context(|| format!("failed to read {metric:?}: it is not sampled here"))
}

fn growth(samples: &PhaseSamples, metric: Metric) -> anyhow::Result<f64> {
    samples
        .growth(metric)
        .with_context(|| format!("failed to read {metric:?} over a step: too few samples"))
}
