//! Reads and lists as the number of objects grows: what one costs, and whether a list is the truth.
//!
//! Nobody writes while it reads, so the newest list is known: it must be exactly what was acknowledged. Then pages are
//! read while clients write, and must be the snapshot of their revision.

use anyhow::ensure;
use futures::future::{BoxFuture, FutureExt};
use harness::distribution::Surface;
use harness::profile::Profile;
use harness::scenario::{Scenario, ScenarioContext};
use reports::history::{Key, Level, Listing, Version};
use reports::metric::{Metric, Unit};

use super::common::bench::{Bench, Contents};
use super::common::steady::{Rate, Steady};
use super::common::timing::{self, Micros, micros};

/// See the module.
pub struct ReadListScaling;

/// Bytes of each value: a small Kubernetes object's.
const VALUE_BYTES: usize = 256;
/// Items of a page: what kubectl asks for.
const PAGE: u32 = 500;
/// Lists of each kind at each size, and beyond [`MANY`] objects.
const LISTS: u32 = 5;
const LISTS_OF_MANY: u32 = 3;
const MANY: u32 = 5_000;
/// Writes a second while pages are read.
const CHURN: f64 = 50.0;

/// Numbers of objects at a level, and reads at each.
///
/// Through the API each object is also in the API server's own cache, decoded: ten thousand would measure the budget
/// of 512 MiB and not the datastore, so that only a full run goes there.
fn sizes(profile: Profile, level: Level) -> (&'static [u32], u32) {
    match (profile, level) {
        (Profile::Quick, Level::Datastore) => (&[10, 100, 1_000], 200),
        (Profile::Quick, Level::Api) => (&[10, 100], 100),
        (Profile::Default, Level::Datastore) => (&[10, 100, 1_000, 10_000], 500),
        (Profile::Default, Level::Api) => (&[10, 100, 1_000], 300),
        (Profile::Full, Level::Datastore) => (&[10, 100, 1_000, 10_000, 50_000], 2_000),
        (Profile::Full, Level::Api) => (&[10, 100, 1_000, 10_000], 1_000),
    }
}

/// Whether pages are read under writes at a size: at the greatest of up to a thousand objects. With ten thousand, under
/// fifty updates a second, lists of the kine in K3s v1.21 took 35 to 45 s instead of half a second (on a busy host), and
/// its API server was silent for more than a minute: only a full run goes there.
fn under_writes(profile: Profile, sizes: &[u32], size: u32) -> bool {
    let greatest = |bound: u32| sizes.iter().copied().filter(|size| *size <= bound).max();
    Some(size) == greatest(1_000) || (profile == Profile::Full && Some(size) == greatest(u32::MAX))
}

impl Scenario for ReadListScaling {
    fn name(&self) -> &'static str {
        "read_list_scaling"
    }

    fn title(&self) -> &'static str {
        "reads, lists and pages as objects grow from 10 to 50,000, and whether they are true"
    }

    fn surfaces(&self) -> &'static [Surface] {
        &[Surface::KubernetesApi, Surface::EtcdApi]
    }

    fn run<'a>(&'a self, cx: &'a ScenarioContext<'a>) -> BoxFuture<'a, anyhow::Result<()>> {
        async move {
            let most = |level| sizes(cx.profile, level).0.iter().max().copied();
            let keys = most(Level::Datastore).max(most(Level::Api)).unwrap_or(0);
            let mut outcome = Ok(());
            for bench in Bench::all(cx, keys, 100).await? {
                let found = at_level(cx, &bench).await;
                outcome = outcome.and(bench.end(found).await);
            }
            outcome
        }
        .boxed()
    }
}

/// What lists and reads said that was not so.
#[derive(Default)]
struct Truth {
    lists: u64,
    items: u64,
    wrong_lists: u64,
    first: Option<String>,
    reads: u64,
    wrong_reads: u64,
}

impl Truth {
    fn list(&mut self, what: &str, listing: &Listing, is: &Contents) {
        self.lists += 1;
        self.items += listing.items.len() as u64;
        if let Some(why) = differs(listing, is) {
            self.wrong_lists += 1;
            self.first.get_or_insert_with(|| format!("{what}: {why}"));
        }
    }
}

/// How a list differs from what there is, whatever its order, which the judge of lists holds every recorded list to;
/// `None` where it does not.
fn differs(listing: &Listing, is: &Contents) -> Option<String> {
    if let Some(name) = listing.strangers.first() {
        return Some(format!("it holds {name:?}, which nobody wrote"));
    }
    let told: Contents = listing.items.iter().copied().collect();
    if told.len() != listing.items.len() {
        return Some("a key is in it twice".to_owned());
    }
    let lacking: Vec<_> = is.keys().filter(|key| !told.contains_key(key)).collect();
    if let Some(key) = lacking.first() {
        return Some(format!(
            "{} of {} acknowledged writes are not in it, the first of key {key}",
            lacking.len(),
            is.len()
        ));
    }
    let other = told
        .iter()
        .find(|(key, version)| is.get(key) != Some(version));
    other.map(|(key, version)| format!("key {key} is {version:?} in it, not {:?}", is.get(key)))
}

async fn at_level(cx: &ScenarioContext<'_>, bench: &Bench) -> anyhow::Result<()> {
    let (sizes, reads) = sizes(cx.profile, bench.store.level());
    let mut contents = Contents::new();
    let mut truth = Truth::default();
    let mut snapshots = Vec::new();
    let before = memory(cx).await;
    for &size in sizes {
        let phase = cx.phase(&format!("{}-{size}", bench.level()));
        let have = contents.len() as Key;
        let mut creates = micros()?;
        let begun = std::time::Instant::now();
        bench
            .fill(have..size, VALUE_BYTES, &mut contents, &mut creates)
            .await?;
        let labels = [bench.label(), ("objects", size.to_string())];
        cx.latency("create", &labels, &creates, 0, begun.elapsed());
        let begun = std::time::Instant::now();
        let latency = read(bench, &contents, reads, &mut truth).await?;
        ensure!(
            latency.len() >= 50,
            "only {} reads were answered",
            latency.len()
        );
        cx.latency("get", &labels, &latency, 0, begun.elapsed());
        lists(cx, bench, &contents, &labels, &mut truth).await?;
        if under_writes(cx.profile, sizes, size) {
            let taken = pages_under_writes(bench, &mut contents, &mut truth).await?;
            snapshots.extend(taken);
        }
        drop(phase.end());
        if let (Some((metric, before)), Some((_, now))) = (before, memory(cx).await) {
            let source = format!("newest sample of {metric:?}, less that of the empty store");
            cx.measure("memory_growth", Unit::Bytes, now - before, &labels, &source);
        }
    }
    state(cx, bench, &truth, &snapshots);
    Ok(())
}

/// The footprint now, by the first of these that is sampled here.
async fn memory(cx: &ScenarioContext<'_>) -> Option<(Metric, f64)> {
    let newest = cx.fresh().await.ok()?;
    [Metric::Anon, Metric::WorkingSet, Metric::Rss, Metric::Usage]
        .into_iter()
        .find_map(|metric| Some((metric, *newest.values.get(&metric)?)))
}

/// Reads keys one after the other, over all of the store.
async fn read(
    bench: &Bench,
    contents: &Contents,
    reads: u32,
    truth: &mut Truth,
) -> anyhow::Result<Micros> {
    let mut latency = micros()?;
    let mut client = bench.client();
    let keys: Vec<(Key, Version)> = contents.iter().map(|(k, v)| (*k, *v)).collect();
    // A step that shares no factor with the number of keys visits all of them before it comes back.
    let step = (1..).map(|n| 7_919 + n).find(|n| gcd(*n, keys.len()) == 1);
    let step = step.unwrap_or(1);
    for nth in 0..reads as usize {
        let (key, version) = keys[nth * step % keys.len()];
        let (found, took) = client.get(key).await?;
        truth.reads += 1;
        truth.wrong_reads += u64::from(found != Some(version));
        timing::record(&mut latency, took)?;
    }
    Ok(latency)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Lists everything, in one piece and in pages.
async fn lists(
    cx: &ScenarioContext<'_>,
    bench: &Bench,
    contents: &Contents,
    labels: &[(&str, String)],
    truth: &mut Truth,
) -> anyhow::Result<()> {
    let objects = contents.len() as u32;
    let times = if objects > MANY { LISTS_OF_MANY } else { LISTS };
    for (operation, limit) in [("list_whole", 0), ("list_pages", PAGE)] {
        let mut latency = micros()?;
        let begun = std::time::Instant::now();
        for _ in 0..times {
            let (listing, took) = bench.list(limit, None).await?;
            truth.list(&format!("{operation} of {objects}"), &listing, contents);
            timing::record(&mut latency, took)?;
        }
        cx.latency(operation, labels, &latency, 0, begun.elapsed());
    }
    let payload = f64::from(objects) * VALUE_BYTES as f64;
    let source = "values received, each compared byte by byte; names and framing come on top";
    cx.measure("list_values", Unit::Bytes, payload, labels, source);
    Ok(())
}

/// Reads pages while clients write, each followed by the list of the pages' revision in one piece.
async fn pages_under_writes(
    bench: &Bench,
    contents: &mut Contents,
    truth: &mut Truth,
) -> anyhow::Result<Vec<Option<String>>> {
    let rate = Rate {
        per_second: CHURN,
        writers: 4,
        bytes: VALUE_BYTES,
        count: None,
    };
    // Small pages, so that there are many of them, also of few objects.
    let page = (contents.len() as u32 / 10).clamp(1, PAGE);
    let writers = Steady::start(bench, contents, rate);
    let mut snapshots = Vec::new();
    let mut listed = Ok(());
    for _ in 0..3 {
        listed = async {
            let (pages, _) = bench.list(page, None).await?;
            ensure!(pages.pages > 1, "the pages of {page} came in one");
            let (whole, _) = bench.list(0, Some(pages.revision)).await?;
            let is: Contents = whole.items.iter().copied().collect();
            snapshots.push(differs(&pages, &is));
            Ok(())
        }
        .await;
        if listed.is_err() {
            break;
        }
    }
    let writes = writers.stop().await?;
    listed?;
    contents.extend(writes.contents);
    ensure!(
        !writes.all.is_empty(),
        "nobody wrote while pages were read; they say nothing"
    );
    let (listing, _) = bench.list(PAGE, None).await?;
    truth.list("the pages after the writes", &listing, contents);
    Ok(snapshots)
}

fn state(cx: &ScenarioContext<'_>, bench: &Bench, truth: &Truth, snapshots: &[Option<String>]) {
    let first = truth.first.as_deref().unwrap_or("none");
    cx.state(
        &bench.about("the newest list is what was acknowledged"),
        truth.wrong_lists == 0,
        truth.items,
        format!(
            "{} of {} lists were not, the first: {first}",
            truth.wrong_lists, truth.lists
        ),
    );
    cx.state(
        &bench.about("a read gives the last acknowledged write"),
        truth.wrong_reads == 0,
        truth.reads,
        format!(
            "{} of {} reads gave another",
            truth.wrong_reads, truth.reads
        ),
    );
    let wrong: Vec<_> = snapshots.iter().flatten().collect();
    cx.state(
        &bench.about("pages read under writes are the snapshot of their revision"),
        wrong.is_empty(),
        snapshots.len() as u64,
        format!(
            "{} of {} were not, the first: {}",
            wrong.len(),
            snapshots.len(),
            wrong.first().map_or("none", |why| why.as_str())
        ),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_must_be_exactly_what_there_is() {
        let version = |revision| Version { value: 1, revision };
        let is = Contents::from([(1, version(4)), (2, version(5))]);
        let listing = |items: &[(Key, i64)]| Listing {
            client: 0,
            call: 0,
            end: 0,
            asked: None,
            revision: 9,
            limit: 0,
            pages: 1,
            items: items.iter().map(|(k, r)| (*k, version(*r))).collect(),
            strangers: Vec::new(),
            is_final: false,
        };
        assert_eq!(differs(&listing(&[(1, 4), (2, 5)]), &is), None);
        for wrong in [
            &[(1, 4)][..],
            &[(1, 4), (1, 4), (2, 5)],
            &[(1, 4), (2, 6)],
            &[(1, 4), (2, 5), (3, 6)],
        ] {
            assert!(differs(&listing(wrong), &is).is_some(), "{wrong:?}");
        }
        let unordered = listing(&[(2, 5), (1, 4)]);
        assert_eq!(differs(&unordered, &is), None);
        let mut stranger = listing(&[(1, 4), (2, 5)]);
        stranger.strangers.push("x".into());
        assert!(differs(&stranger, &is).is_some());
    }
}
