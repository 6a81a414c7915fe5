//! How long judging takes: 100,000 operations, with few and many clients and keys, with and without lost answers, and
//! reading such a history back.

#[path = "../tests/it/judges/log.rs"]
mod log;
#[path = "../tests/it/judges/model.rs"]
mod model;
#[path = "../tests/it/judges/plan.rs"]
mod plan;
#[path = "../tests/it/judges/rng.rs"]
mod rng;
#[path = "../tests/it/judges/watches.rs"]
mod watches;

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use reports::history::{History, Level, Line};

const OPERATIONS: usize = 100_000;

fn plan(clients: u32, keys: u32, unknown: u64) -> model::Plan {
    model::Plan {
        seed: 1,
        clients,
        keys,
        operations: OPERATIONS,
        unknown,
        level: Level::Datastore,
        watches: 2,
        think: 5_000_000,
        fault: true,
        forgets: 0,
        reuses: false,
        final_list: true,
        lists: false,
        deletes: true,
    }
}

fn text(history: &History) -> String {
    let header = std::iter::once(Line::Header(history.header.clone()));
    let operations = history.operations.iter().cloned().map(Line::Op);
    let lists = history.listings.iter().cloned().map(Line::List);
    let watched = history.watched.iter().cloned().map(Line::Watch);
    let lines = header.chain(operations).chain(lists).chain(watched);
    lines
        .map(|line| serde_json::to_string(&line).expect("a line") + "\n")
        .collect()
}

fn judge(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("judge 100,000 operations");
    group.throughput(Throughput::Elements(OPERATIONS as u64));
    for clients in [8, 32] {
        for keys in [10, 100] {
            for unknown in [0, 10] {
                let made = model::make(&plan(clients, keys, unknown));
                // The answer that the judges are not given.
                assert!(made.log.kept().next().is_some(), "nothing took effect");
                let name = format!("{clients} clients, {keys} keys, {unknown} of 1,000 unknown");
                group.bench_function(name, |bencher| {
                    bencher.iter(|| reports::judge::judge(black_box(&made.history)));
                });
            }
        }
    }
    let lines = text(&model::make(&plan(8, 100, 10)).history);
    group.bench_function("read its file", |bencher| {
        bencher.iter(|| History::from_text(black_box(&lines)).expect("it was just made"));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10).measurement_time(Duration::from_secs(5));
    targets = judge
}
criterion_main!(benches);
