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

fn load_of(runtime: &tokio::runtime::Runtime, store: &Store, clients: u32) -> Load {
    let workload = Workload {
        mix: Mix::UPDATES,
        keys: clients,
        pace: Pace::Closed { clients },
        seconds: 0.5,
        warm_up: 0.1,
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
                let load = load_of(&runtime, &store, clients);
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

criterion_group!(benches, generator, recorder);
criterion_main!(benches);
