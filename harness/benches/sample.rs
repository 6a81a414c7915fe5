//! The cost of one whole sample: every source of a native cell, on a real cgroup of its own where one can be
//! made, which a busy child fills. The budget is 50 microseconds at the median.

use std::hint::black_box;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use harness::cgroup::{Cgroup, probe, remove_folder};
use harness::sampler::{Sampler, of_cgroup, of_process_tree};
use reports::budget::Budget;

fn bench(criterion: &mut Criterion) {
    let cgroup = own_cgroup();
    let child = Command::new("sh")
        .args([
            "-c",
            "for f in $1; do echo $$ > $f; done; exec tail -c 100M /dev/zero",
            "sh",
        ])
        .arg(cgroup.as_ref().map_or(String::new(), entrances))
        .stdout(Stdio::null())
        .spawn();
    let mut samplers: Vec<Box<dyn Sampler>> = match &cgroup {
        Some(cgroup) => of_cgroup(cgroup).expect("the cgroup was just made"),
        None => of_process_tree(std::process::id().cast_signed()),
    };
    let mut once = || {
        for sampler in &mut samplers {
            let mut readings = Vec::with_capacity(16);
            sampler.sample(&mut readings).expect("the source stays");
            black_box(readings);
        }
    };
    let mut costs: Vec<Duration> = (0..20_000)
        .map(|_| {
            let start = Instant::now();
            once();
            start.elapsed()
        })
        .collect();
    costs.sort_unstable();
    let at = |share: usize| costs[costs.len() * share / 100];
    println!(
        "one sample of all sources: p50 {:?}, p99 {:?} ({} samples, {})",
        at(50),
        at(99),
        costs.len(),
        if cgroup.is_some() {
            "cgroup"
        } else {
            "process tree"
        }
    );
    criterion.bench_function("sample", |bencher| bencher.iter(&mut once));
    if let Ok(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
    for folder in cgroup.iter().flat_map(Cgroup::folders) {
        remove_folder(&folder, Duration::from_secs(10)).expect("nothing stays");
    }
}

fn own_cgroup() -> Option<Cgroup> {
    let hierarchy = probe().usable.ok()?;
    let cgroup = Cgroup::plan(&hierarchy, &format!("{:08x}", std::process::id()));
    match cgroup.create(&Budget::edge()) {
        Ok(()) => Some(cgroup),
        Err(refused) => {
            eprintln!("measuring the process tree instead: {refused}");
            None
        }
    }
}

fn entrances(cgroup: &Cgroup) -> String {
    let files = cgroup.entrances();
    files
        .iter()
        .map(|file| file.to_string_lossy().into_owned())
        .collect::<Vec<_>>()
        .join(" ")
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(50);
    targets = bench
}
criterion_main!(benches);
