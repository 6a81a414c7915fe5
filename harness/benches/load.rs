//! What load generation costs when the server costs nothing: the ceiling of the generator, and of the recorder.
//!
//! The server answers every call with the same bytes from a thread of its own. Throughput is that of both together on
//! this host; the generator's own share is printed as CPU time of its thread for each operation.

use std::path::Path;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use harness::cancel::Cancel;
use harness::distribution::DatastoreAccess;
use harness::load::{self, Load, Mix, Pace, Recorder, Store, Workload};
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use reports::history::{Answer, Header, Level, Operation, Request};

/// A header with revision 7 (of a list: without keys), and "succeeded".
const ANSWER: &[u8] = &[0, 0, 0, 0, 6, 0x0a, 0x02, 0x18, 0x07, 0x10, 0x01];

async fn answer(
    request: http::Request<Incoming>,
) -> Result<
    http::Response<impl hyper::body::Body<Data = Bytes, Error = std::convert::Infallible>>,
    hyper::Error,
> {
    // A server would read it.
    request.into_body().collect().await?;
    let trailers = async {
        let mut map = http::HeaderMap::new();
        map.insert("grpc-status", http::HeaderValue::from_static("0"));
        Some(Ok(map))
    };
    let body = Full::new(Bytes::from_static(ANSWER)).with_trailers(trailers);
    let mut response = http::Response::new(body);
    let grpc = http::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", grpc);
    Ok(response)
}

fn serve(socket: &Path) {
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let listener = tokio::net::UnixListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = hyper::service::service_fn(answer);
                let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .max_concurrent_streams(1024)
                    .serve_connection(TokioIo::new(stream), service);
                tokio::spawn(connection);
            }
        });
    });
}

fn load_of(runtime: &tokio::runtime::Runtime, store: &Store, pace: Pace, seconds: f64) -> Load {
    let workload = Workload {
        mix: Mix::UPDATES,
        keys: 1024,
        pace,
        seconds,
        warm_up: seconds / 5.0,
        ..Workload::default()
    };
    let never = Cancel::pair().1;
    runtime
        .block_on(load::run(store, &workload, None, &never))
        .unwrap()
}

fn generator(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("null.sock");
    serve(&socket);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let store = runtime
        .block_on(Store::at(
            DatastoreAccess::unix(&socket),
            "/registry/assay/bench/",
        ))
        .unwrap();
    let mut group = c.benchmark_group("generator against a null server");
    group
        .sample_size(10)
        .measurement_time(Duration::from_secs(6));
    for clients in [1, 16, 64, 256] {
        let mut cpu = Vec::new();
        group.bench_function(format!("{clients} clients"), |b| {
            b.iter_custom(|operations| {
                let load = load_of(&runtime, &store, Pace::Closed { clients }, 0.5);
                let done = load.answered_within as f64;
                cpu.push(load.generator_cpu.as_secs_f64() * 1e6 / done);
                load.interval.mul_f64(operations as f64 / done)
            });
        });
        cpu.sort_by(f64::total_cmp);
        let median = cpu.get(cpu.len() / 2).copied().unwrap_or(f64::NAN);
        println!("{clients} clients: {median:.1} us of the generator's CPU for each operation");
    }
    group.finish();
}

/// Not a benchmark of assay but one beside another generator's: against the datastore that `ASSAY_BENCH_DATASTORE` names,
/// updates of 1 KiB by so many clients, and an open loop at half of what the most of them achieved.
fn datastore(_: &mut Criterion) {
    let Ok(url) = std::env::var("ASSAY_BENCH_DATASTORE") else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let access = DatastoreAccess::plain(url);
    let store = runtime
        .block_on(Store::at(access, "/registry/assay/bench/"))
        .unwrap();
    let told = |what: &str, load: &Load| {
        let latency = load.latency();
        println!(
            "{what}: {:.0} operations/s of {:.0}, p50 {:.2} ms, p99 {:.2} ms, {:.1} us of CPU for each, {} errors, {} unsent",
            load.achieved(),
            load.offered.unwrap_or(f64::NAN),
            latency.value_at_quantile(0.5) as f64 / 1e3,
            latency.value_at_quantile(0.99) as f64 / 1e3,
            load.own_cpu.as_secs_f64() * 1e6 / load.answered_within as f64,
            load.errors(),
            load.unsent,
        );
    };
    let mut best = 0.0_f64;
    for clients in [1, 16, 64, 256] {
        let load = load_of(&runtime, &store, Pace::Closed { clients }, 5.0);
        best = best.max(load.achieved());
        told(&format!("{clients} clients"), &load);
    }
    let per_second = (best / 2.0).round();
    let load = load_of(&runtime, &store, Pace::Open { per_second }, 5.0);
    told("open loop at half of the best", &load);
}

fn recorder(c: &mut Criterion) {
    let folder = tempfile::tempdir().unwrap();
    let header = Header {
        level: Level::Datastore,
        suite: String::new(),
        scenario: String::new(),
        part: String::new(),
        keys: Vec::new(),
        revision: 1,
        floor: 1,
    };
    let recorder = Recorder::at(folder.path().join("history.jsonl"), header).unwrap();
    let handle = recorder.handle();
    c.bench_function("recorder, one operation", |b| {
        b.iter(|| {
            handle.op(Operation {
                client: 1,
                call: handle.now(),
                end: handle.now(),
                key: 3,
                request: Request::Update {
                    value: 9,
                    expected: 8,
                },
                answer: Answer::Written { revision: Some(10) },
            });
        });
    });
    recorder.close().unwrap();
}

criterion_group!(benches, datastore, generator, recorder);
criterion_main!(benches);
