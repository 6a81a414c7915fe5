//! Large values: what one costs to write and to read, how many bytes reach the disk for each, and what happens beyond
//! the limit (1.5 MiB a request in etcd, 1 MiB of data in a ConfigMap).

use std::time::Instant;

use anyhow::ensure;
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::profile::Profile;
use harness::scenario::{PhaseSamples, Scenario, ScenarioContext};
use reports::history::{Answer, Key, Version};
use reports::metric::{Metric, Unit};

use super::common::bench::{Bench, Client};
use super::common::timing::{self, micros};

/// See the module.
pub struct LargeValues;

/// Keys that each size is written to, over and over.
const KEYS: u32 = 4;
/// The greatest value that a store can make: with its key it is more than etcd takes.
const BEYOND: usize = 3 << 19;
/// Fewer writes of a size say nothing of it.
const FLOOR: u64 = 12;

/// Sizes in bytes, and writes of each; a quarter of them from 256 KiB on.
fn sizes(profile: Profile) -> (&'static [usize], u32) {
    const SIZES: &[usize] = &[256, 4 << 10, 64 << 10, 256 << 10, 1_000 << 10];
    match profile {
        Profile::Quick => (&SIZES[..4], 48),
        Profile::Default => (&SIZES[..4], 120),
        // Not a whole MiB: a ConfigMap has a name and labels beside its data, and etcd's limit is of the request.
        Profile::Full => (SIZES, 400),
    }
}

impl Scenario for LargeValues {
    fn name(&self) -> &'static str {
        "large_values"
    }

    fn title(&self) -> &'static str {
        "values of 256 B to 1 MB: latency, bytes written for each, and what is beyond the limit"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let sizes = sizes(cx.profile).0.len() as u32;
            let mut outcome = Ok(());
            // One key more, for what is beyond the limit.
            for bench in Bench::all(cx, sizes * KEYS + 1, FLOOR).await? {
                let found = at_level(cx, &bench).await;
                outcome = outcome.and(bench.end(found).await);
            }
            outcome
        }
        .boxed()
    }
}

async fn at_level(cx: &ScenarioContext<'_>, bench: &Bench) -> anyhow::Result<()> {
    let (sizes, writes) = sizes(cx.profile);
    let mut client = bench.client();
    let (mut reads, mut wrong) = (0, 0);
    for (nth, &bytes) in sizes.iter().enumerate() {
        let writes = if bytes >= 256 << 10 {
            writes / 4
        } else {
            writes
        };
        let first = nth as Key * KEYS;
        let labels = [bench.label(), ("value_bytes", bytes.to_string())];
        // From a sample before to a sample after, where the place is sampled.
        let phase = cx.phase(&format!("{}-{bytes}", bench.level()));
        let sampled = cx.fresh().await.is_ok();
        let (mut write, mut read) = (micros()?, micros()?);
        let begun = Instant::now();
        let mut kept: [Option<Version>; KEYS as usize] = Default::default();
        for nth in 0..writes {
            let slot = nth % KEYS;
            let key = first + slot;
            let sent = match kept[slot as usize] {
                None => client.create(key, bytes).await,
                Some(old) => client.update(key, old.revision, bytes).await,
            };
            let version = sent.version()?;
            kept[slot as usize] = Some(version);
            timing::record(&mut write, sent.took())?;
        }
        let took = begun.elapsed();
        let sampled = sampled && cx.fresh().await.is_ok();
        let samples = phase.end();
        let begun = Instant::now();
        for nth in 0..writes {
            let slot = nth % KEYS;
            let (found, took) = client.get(first + slot).await?;
            reads += 1;
            wrong += u64::from(found != kept[slot as usize]);
            timing::record(&mut read, took)?;
        }
        ensure!(
            write.len() >= FLOOR,
            "only {} writes of {bytes} B",
            write.len()
        );
        cx.latency("write", &labels, &write, 0, took);
        cx.latency("get", &labels, &read, 0, begun.elapsed());
        if sampled {
            amplification(cx, &labels, &samples, bytes as f64 * f64::from(writes));
        }
    }
    cx.state(
        &bench.about("every value is read back whole"),
        wrong == 0,
        reads,
        format!("{wrong} of {reads} reads gave another value, or a part of one"),
    );
    beyond(cx, bench, &mut client, sizes.len() as Key * KEYS).await
}

/// What reached the disk for each byte of a value.
fn amplification(
    cx: &ScenarioContext<'_>,
    labels: &[(&str, String)],
    samples: &PhaseSamples,
    payload: f64,
) {
    let Some(written) = samples.growth(Metric::IoWritten) else {
        return;
    };
    let source = "bytes written as sampled (io.stat on cgroup v2, else write_bytes of the processes) over bytes of values";
    cx.measure(
        "written_per_byte",
        Unit::Ratio,
        written / payload,
        labels,
        source,
    );
}

/// A value beyond the limit is refused in words or kept whole; and the next write goes through.
async fn beyond(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    client: &mut Client,
    key: Key,
) -> anyhow::Result<()> {
    let sent = client.create(key, BEYOND).await;
    let (clear, what) = match &sent.answer {
        Answer::Refused { reason } => (true, format!("it was refused: {reason}")),
        Answer::Written { revision } => {
            let (found, _) = client.get(key).await?;
            let whole = found.is_some_and(|found| found.value == sent.value);
            let words = if whole { "whole" } else { "not whole" };
            (
                whole,
                format!("it was taken at {revision:?} and is kept {words}"),
            )
        }
        other => (false, format!("it was answered by {other:?}")),
    };
    cx.measure(
        "beyond_the_limit_refused",
        Unit::Count,
        f64::from(u8::from(matches!(sent.answer, Answer::Refused { .. }))),
        &[bench.label(), ("value_bytes", BEYOND.to_string())],
        "1: the server refused it; 0: it did not",
    );
    cx.state(
        &bench.about("a value of 1.5 MiB is refused in words, or kept whole"),
        clear,
        1,
        what,
    );
    let (old, _) = client.get(0).await?;
    let old = old.ok_or_else(|| anyhow::anyhow!("key 0 is gone"))?;
    let next = client.update(0, old.revision, 256).await;
    cx.state(
        &bench.about("the next write goes through"),
        next.version().is_ok(),
        1,
        format!("it was answered by {:?}", next.answer),
    );
    Ok(())
}
