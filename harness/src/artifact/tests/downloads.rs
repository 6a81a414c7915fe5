//! Whole downloads: from folders and over HTTP, verified, and refused when they are wrong.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::super::{ArtifactError, Mirror, Origin, fetch_k3s, resolve_k3s};
use super::server::{Fault, Server, Site};
use super::{Bench, asset, elf, host, sha256, sums};

#[tokio::test]
async fn a_folder_mirror_serves_either_spelling_of_the_tag() {
    for tag in [super::VERSION, "v1.99.0%2Bk3s1"] {
        let bench = Bench::new();
        let binary = elf(host(), 5000);
        let mut request = bench.request(bench.folder_mirror(tag, &binary));
        // A folder is no network.
        request.offline = true;
        let found = fetch_k3s(&request, &bench.progress).await.expect(tag);
        assert_eq!(
            (found.origin, &found.sha256),
            (Origin::Downloaded, &sha256(&binary))
        );
        assert_eq!(found.version, super::VERSION);
        assert_eq!(fs_err::read(&found.path).expect("written"), binary);
        let mode = fs_err::metadata(&found.path)
            .expect("written")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o755);
        assert_eq!(bench.cached(), [asset()]);
        let again = fetch_k3s(&request, &bench.progress).await.expect("cached");
        assert_eq!((again.origin, again.path), (Origin::Cache, found.path));
        assert_eq!(*bench.progress.highest.lock().expect("unpoisoned"), 5000);
    }
}

#[tokio::test]
async fn downloads_over_http_and_then_from_the_cache() {
    let bench = Bench::new();
    let binary = elf(host(), 300_000);
    let server = Server::with(&binary).await;
    let request = bench.request(server.mirror());
    let found = resolve_k3s(&request, &bench.progress)
        .await
        .expect("served");
    assert_eq!(
        (found.origin, found.sha256),
        (Origin::Downloaded, sha256(&binary))
    );
    let again = resolve_k3s(&request, &bench.progress)
        .await
        .expect("cached");
    assert_eq!(again.origin, Origin::Cache);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(bench.progress.warnings(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_stores_the_plus_escaped_is_understood() {
    let bench = Bench::new();
    let binary = elf(host(), 5000);
    let server = Server::with(&binary).await;
    server.change(|site| {
        site.files = std::mem::take(&mut site.files)
            .into_iter()
            .map(|(path, bytes)| (path.replace('+', "%2B"), bytes))
            .collect();
    });
    fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect("served");
}

#[tokio::test]
async fn wrong_bytes_are_refused_and_removed() {
    let bench = Bench::new();
    let (promised, served) = (elf(host(), 5000), elf(host(), 5001));
    let server = Server::with(&promised).await;
    server.change(|site| *site.files.values_mut().next().expect("the binary") = served.clone());
    let error = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect_err("wrong");
    let text = error.to_string();
    assert!(matches!(error, ArtifactError::WrongSum { .. }), "{text}");
    assert!(
        text.contains(&sha256(&promised)) && text.contains(&sha256(&served)),
        "{text}"
    );
    assert_eq!(bench.cached(), [""; 0]);
    assert_eq!(
        server.requests().len(),
        1,
        "a fresh download with a wrong sum is not repeated"
    );
}

#[tokio::test]
async fn a_pinned_version_ignores_what_the_mirror_says_about_sums() {
    let bench = Bench::new();
    let version = fixtures::artifacts::k3s().default_version.clone();
    let mut request = bench.request(bench.folder_mirror(&version, &elf(host(), 5000)));
    request.version = None;
    let error = fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("not the pinned bytes");
    let pin = fixtures::artifacts::k3s()
        .sha256(&version, host())
        .expect("pinned");
    assert!(error.to_string().contains(pin), "{error}");
    assert_eq!(bench.cached(), [""; 0]);
}

#[tokio::test]
async fn what_the_mirror_lacks_is_named() {
    let bench = Bench::new();
    let empty = Server::start(Site::default()).await;
    let request = bench.request(empty.mirror());
    let error = fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("nothing there");
    assert!(
        matches!(error, ArtifactError::NoSuchVersion { .. }),
        "{error}"
    );

    let server = Server::with(&elf(host(), 5000)).await;
    server.change(|site| site.files.retain(|path, _| !path.ends_with(&sums())));
    let request = bench.request(server.mirror());
    let error = fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("no sums");
    assert!(matches!(error, ArtifactError::NoChecksum { .. }), "{error}");

    let server = Server::with(&elf(host(), 5000)).await;
    server.change(|site| {
        let listing = site
            .files
            .iter_mut()
            .find(|(path, _)| path.ends_with(".txt"))
            .expect("listing")
            .1;
        *listing = format!("{}  {}-not\n", "0".repeat(64), asset()).into_bytes();
    });
    let error = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect_err("not listed");
    assert!(error.to_string().contains("does not list it"), "{error}");
    assert_eq!(bench.cached(), [""; 0]);
}

#[tokio::test]
async fn a_sick_server_and_a_dead_one_are_told_apart() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 5000)).await;
    server.change(|site| site.faults.extend([Fault::Status(500)]));
    let error = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
        .await
        .expect_err("sick");
    assert!(matches!(error, ArtifactError::BadAnswer { .. }), "{error}");
    assert!(error.to_string().contains("500"), "{error}");

    let error = fetch_k3s(&bench.request(dead_mirror().await), &bench.progress)
        .await
        .expect_err("dead");
    assert!(
        matches!(error, ArtifactError::Unreachable { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    assert_eq!(error.exit_code(), 6);
}

#[tokio::test]
async fn a_published_file_that_is_no_program_is_not_kept() {
    let bench = Bench::new();
    let mirror = bench.folder_mirror(super::VERSION, b"<html>sign in to the hotel network</html>");
    let error = fetch_k3s(&bench.request(mirror), &bench.progress)
        .await
        .expect_err("no program");
    assert!(error.to_string().contains("neither an ELF"), "{error}");
    assert_eq!(bench.cached(), [""; 0]);
}

#[tokio::test]
async fn two_fetches_of_one_file_download_it_once() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 2_000_000)).await;
    let request = bench.request(server.mirror());
    let (one, two) = tokio::join!(
        fetch_k3s(&request, &bench.progress),
        fetch_k3s(&request, &bench.progress)
    );
    let mut origins = [
        one.expect("first").origin.to_string(),
        two.expect("second").origin.to_string(),
    ];
    origins.sort();
    assert_eq!(origins, ["cache", "downloaded"]);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(bench.cached(), [asset()]);
}

#[tokio::test]
async fn an_abandoned_download_leaves_no_finished_file() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 100_000)).await;
    server.change(|site| site.faults.extend([Fault::StallAfter(50_000)]));
    let request = bench.request(server.mirror());
    let arrived = async {
        while *bench.progress.highest.lock().expect("unpoisoned") < 50_000 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        done = fetch_k3s(&request, &bench.progress) => panic!("it stalls: {done:?}"),
        () = arrived => {}
    }
    let finished = format!(
        "{}/k3s/{}/{}",
        request.cache.root().display(),
        super::VERSION,
        asset()
    );
    assert!(!std::path::Path::new(&finished).exists());
    fetch_k3s(&request, &bench.progress)
        .await
        .expect("the lock is free and the rest comes");
    assert_eq!(bench.cached(), [asset()]);
}

/// An address at which nobody listens any more.
pub(super) async fn dead_mirror() -> Mirror {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("loopback");
    let address = listener.local_addr().expect("bound");
    Mirror::parse(&format!("http://{address}/")).expect("URL")
}
