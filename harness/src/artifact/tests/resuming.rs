//! Interrupted downloads: taken up where they stopped, or started over cleanly.

use std::time::Duration;

use super::super::{ArtifactError, Origin, fetch_k3s};
use super::server::{Fault, Server};
use super::{Bench, asset, elf, host};

/// A bench whose download was cut off at 40,000 of 100,000 bytes, and its server.
async fn interrupted() -> (Bench, Server) {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 100_000)).await;
    server.change(|site| site.faults.extend([Fault::CutAfter(40_000)]));
    let error = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect_err("cut off");
    assert!(
        matches!(error, ArtifactError::CutOff { got: 40_000, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("100000"),
        "it says how much is missing: {error}"
    );
    assert!(
        !bench.cached().contains(&asset().to_owned()),
        "nothing half-written has the final name"
    );
    (bench, server)
}

async fn finish(bench: &Bench, server: &Server) {
    let found = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect("completes");
    assert_eq!(found.origin, Origin::Downloaded);
    assert_eq!(bench.cached(), [asset()]);
}

#[tokio::test]
async fn the_next_run_resumes() {
    let (bench, server) = interrupted().await;
    finish(&bench, &server).await;
    let request = server.requests().pop().expect("two requests");
    assert_eq!(request.range.as_deref(), Some("bytes=40000-"));
    assert_eq!(request.if_range.as_deref(), Some("\"one\""));
}

#[tokio::test]
async fn one_run_resumes_by_itself_while_it_makes_headway() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 100_000)).await;
    server.change(|site| {
        site.faults
            .extend([Fault::CutAfter(40_000), Fault::CutAfter(10_000)])
    });
    let mut request = bench.request(server.mirror());
    request.patience.resumes = 2;
    fetch_k3s(&request, &bench.progress)
        .await
        .expect("completes");
    let ranges: Vec<_> = server
        .requests()
        .into_iter()
        .map(|request| request.range)
        .collect();
    assert_eq!(
        ranges,
        [
            None,
            Some("bytes=40000-".to_owned()),
            Some("bytes=50000-".to_owned())
        ]
    );

    let bench = Bench::new();
    let server = Server::with(&elf(host(), 100_000)).await;
    server.change(|site| site.faults.extend([Fault::CutAfter(0); 5]));
    let mut request = bench.request(server.mirror());
    request.patience.resumes = 2;
    fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("no headway");
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn silence_counts_as_an_interruption() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 100_000)).await;
    server.change(|site| site.faults.extend([Fault::StallAfter(40_000)]));
    let mut request = bench.request(server.mirror());
    request.patience.stall = Duration::from_secs(1);
    let error = fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("stalls");
    assert!(
        matches!(error, ArtifactError::CutOff { got: 40_000, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("nothing came for 1 s"),
        "{error}"
    );
    finish(&bench, &server).await;
}

#[tokio::test]
async fn a_server_without_ranges_makes_it_start_over() {
    let (bench, server) = interrupted().await;
    server.change(|site| site.ignore_range = true);
    finish(&bench, &server).await;
}

#[tokio::test]
async fn a_changed_file_makes_it_start_over() {
    for ignore_if_range in [false, true] {
        let (bench, server) = interrupted().await;
        let changed = elf(host(), 90_000);
        server.change(|site| {
            site.etag = Some("\"two\"");
            site.ignore_if_range = ignore_if_range;
            for (path, bytes) in &mut site.files {
                *bytes = if path.ends_with(".txt") {
                    super::listing(&changed).into_bytes()
                } else {
                    changed.clone()
                };
            }
        });
        finish(&bench, &server).await;
        let plain = server
            .requests()
            .iter()
            .filter(|request| request.range.is_none())
            .count();
        assert_eq!(plain, if ignore_if_range { 2 } else { 1 });
        // It is the validator that told, not the sum of a mixture.
        assert_eq!(bench.progress.warnings(), [""; 0]);
    }
}

#[tokio::test]
async fn a_spoilt_first_half_is_noticed_and_fetched_anew_once() {
    let (bench, server) = interrupted().await;
    let partial = bench
        .path("cache")
        .join("k3s")
        .join(super::VERSION)
        .join(format!("{}.partial", asset()));
    let mut bytes = fs_err::read(&partial).expect("partial");
    bytes[20_000] ^= 1;
    fs_err::write(&partial, bytes).expect("writable");
    finish(&bench, &server).await;
    assert!(
        bench.progress.warnings()[0].contains("starting over"),
        "{:?}",
        bench.progress.warnings()
    );
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn a_partial_file_that_is_already_whole_needs_no_more_bytes() {
    let (bench, server) = interrupted().await;
    let partial = bench
        .path("cache")
        .join("k3s")
        .join(super::VERSION)
        .join(format!("{}.partial", asset()));
    fs_err::write(&partial, elf(host(), 100_000)).expect("writable");
    finish(&bench, &server).await;
    assert_eq!(server.requests().len(), 2, "only the 416 was needed");

    // One that is longer than the file cannot be its beginning.
    let (bench, server) = interrupted().await;
    let partial = bench
        .path("cache")
        .join("k3s")
        .join(super::VERSION)
        .join(format!("{}.partial", asset()));
    fs_err::write(&partial, elf(host(), 100_001)).expect("writable");
    finish(&bench, &server).await;
}

#[tokio::test]
async fn a_partial_file_from_elsewhere_is_not_continued() {
    let (bench, _first) = interrupted().await;
    let second = Server::with(&elf(host(), 70_000)).await;
    finish(&bench, &second).await;
    assert_eq!(second.requests().len(), 1);
    assert_eq!(second.requests()[0].range, None);
}
