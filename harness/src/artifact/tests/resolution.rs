//! Which of several binaries is taken, and what happens when there is none.

use std::path::PathBuf;

use super::super::{
    ArtifactError, AutoK3s, EtcdRequest, Origin, Patience, fetch_k3s, find_k3s, k3s_reachable,
    resolve_etcd, resolve_k3s, resolve_k3s_auto,
};
use super::downloads::dead_mirror;
use super::server::Server;
use super::{Bench, VERSION, asset, elf, host, other};

#[tokio::test]
async fn the_order_is_flag_variable_cache_path_download() {
    let bench = Bench::new();
    let says = format!("echo 'k3s version {VERSION} (abc)'");
    let (flag, env) = (bench.script("flag", &says), bench.script("env", &says));
    let on_path = bench.script("bin/k3s", &says);
    let mut request = bench.request(bench.folder_mirror(VERSION, &elf(host(), 1000)));
    fetch_k3s(&request, &bench.progress)
        .await
        .expect("fills the cache");
    request.flag = Some(flag.clone());
    request.env = Some(env.clone());
    request.search_path = Some(on_path.parent().expect("folder").into());
    let resolved = |request| resolve_owned(request, &bench);

    let found = resolved(request.clone()).await;
    assert_eq!(
        (found.origin, found.path, found.version.as_str()),
        (Origin::Flag, flag, VERSION)
    );
    request.flag = None;
    assert_eq!(resolved(request.clone()).await.path, env);
    request.env = None;
    assert_eq!(resolved(request.clone()).await.origin, Origin::Cache);
    fs_err::remove_dir_all(bench.path("cache")).expect("removable");
    let found = resolved(request.clone()).await;
    assert_eq!((found.origin, found.path), (Origin::Path, on_path));
    request.search_path = None;
    assert_eq!(resolved(request.clone()).await.origin, Origin::Downloaded);
    assert_eq!(bench.progress.warnings(), [""; 0]);
}

async fn resolve_owned(request: super::K3sRequest, bench: &Bench) -> super::super::Resolved {
    resolve_k3s(&request, &bench.progress)
        .await
        .expect("resolvable")
}

#[tokio::test]
async fn what_is_unfit_in_path_is_passed_over_with_a_warning() {
    let bench = Bench::new();
    let broken = bench.script("one/k3s", "exit 1");
    let older = bench.script("two/k3s", "echo k3s version v1.21.2+k3s1");
    let right = bench.script("three/k3s", &format!("echo k3s version {VERSION}"));
    let folders: Vec<PathBuf> = [&broken, &older, &right]
        .iter()
        .map(|path| path.parent().expect("folder").to_owned())
        .collect();
    let mut request = bench.request(bench.no_mirror());
    request.search_path = Some(std::env::join_paths(folders).expect("no colons"));
    let found = find_k3s(&request, &bench.progress)
        .await
        .expect("found")
        .expect("found");
    assert_eq!(found.path, right);
    let warnings = bench.progress.warnings();
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[1].contains("v1.21.2+k3s1, and v1.99.0+k3s1 was asked for"),
        "{warnings:?}"
    );
    // Without a version asked for, any will do.
    request.version = None;
    let found = find_k3s(&request, &bench.progress)
        .await
        .expect("found")
        .expect("found");
    assert_eq!(found.version, "v1.21.2+k3s1");
}

#[tokio::test]
async fn a_spoilt_cache_entry_is_removed_and_fetched_again() {
    let bench = Bench::new();
    let binary = elf(host(), 1000);
    let request = bench.request(bench.folder_mirror(VERSION, &binary));
    let path = fetch_k3s(&request, &bench.progress)
        .await
        .expect("fills the cache")
        .path;
    fs_err::write(&path, elf(host(), 1001)).expect("writable");
    let found = resolve_k3s(&request, &bench.progress)
        .await
        .expect("fetched again");
    assert_eq!(
        (found.origin, fs_err::read(&found.path).expect("there")),
        (Origin::Downloaded, binary)
    );
    let warnings = bench.progress.warnings();
    assert!(
        warnings.iter().any(|line| line.contains("removing")),
        "{warnings:?}"
    );
}

#[tokio::test]
async fn another_version_by_flag_is_refused() {
    let bench = Bench::new();
    let mut request = bench.request(bench.no_mirror());
    request.flag = Some(bench.script("k3s", "echo k3s version v1.21.2+k3s1"));
    let error = resolve_k3s(&request, &bench.progress)
        .await
        .expect_err("conflict");
    assert!(
        error
            .to_string()
            .contains("v1.21.2+k3s1, and v1.99.0+k3s1 was asked for"),
        "{error}"
    );
}

#[tokio::test]
async fn a_pretender_to_a_pinned_version_is_used_with_a_warning() {
    let bench = Bench::new();
    let mut request = bench.request(bench.no_mirror());
    request.version = None;
    request.flag = Some(bench.script("k3s", "echo k3s version v1.36.3+k3s1"));
    resolve_k3s(&request, &bench.progress)
        .await
        .expect("an own build is welcome");
    assert!(bench.progress.warnings()[0].contains("is not the released binary"));
}

#[tokio::test]
async fn offline_never_asks_a_remote_mirror_and_tells_what_the_cache_holds() {
    let bench = Bench::new();
    let server = Server::with(&elf(host(), 1000)).await;
    let mut request = bench.request(server.mirror());
    request.offline = true;
    let error = resolve_k3s(&request, &bench.progress)
        .await
        .expect_err("nowhere");
    assert!(matches!(error, ArtifactError::NotFound { .. }), "{error}");
    request.offline = false;
    fetch_k3s(&request, &bench.progress)
        .await
        .expect("fills the cache");
    let asked = server.requests().len();
    request.offline = true;
    request.version = Some("v1.98.0+k3s1".into());
    let error = resolve_k3s(&request, &bench.progress)
        .await
        .expect_err("another version");
    assert!(
        error.to_string().contains("--k3s-version v1.99.0+k3s1"),
        "{error}"
    );
    assert_eq!(server.requests().len(), asked);
}

#[tokio::test]
async fn a_binary_for_another_machine_is_never_run() {
    let bench = Bench::new();
    let mut request = bench.request(bench.no_mirror());
    request.arch = other();
    let path = bench.path("guest-k3s");
    fs_err::write(&path, elf(other(), 1000)).expect("writable");
    request.flag = Some(path);
    let found = resolve_k3s(&request, &bench.progress)
        .await
        .expect("fit for its guest");
    assert_eq!(found.version, "unknown");
}

#[tokio::test]
async fn auto_takes_k3s_where_it_can_be_had_and_else_says_why_not() {
    let bench = Bench::new();
    let dead = bench.request(dead_mirror().await);
    let reason = k3s_reachable(&dead).await.expect_err("nobody listens");
    assert!(reason.contains("refused"), "{reason}");
    let choice = resolve_k3s_auto(&dead, &bench.progress)
        .await
        .expect("no mistake by the user");
    assert!(matches!(choice, AutoK3s::Unavailable(_)), "{choice:?}");

    let server = Server::with(&elf(host(), 1000)).await;
    let missing = &mut bench.request(server.mirror());
    missing.version = Some("v1.98.0+k3s1".into());
    assert!(
        k3s_reachable(missing)
            .await
            .expect_err("not there")
            .contains("404")
    );
    let request = bench.request(server.mirror());
    k3s_reachable(&request).await.expect("there");
    assert_eq!(bench.cached(), [""; 0], "looking fetches nothing");
    let choice = resolve_k3s_auto(&request, &bench.progress)
        .await
        .expect("no mistake");
    assert!(matches!(choice, AutoK3s::K3s(found) if found.origin == Origin::Downloaded));
    assert_eq!(bench.cached(), [asset()]);

    let mut mistaken = request.clone();
    mistaken.flag = Some(bench.path("none"));
    resolve_k3s_auto(&mistaken, &bench.progress)
        .await
        .expect_err("a mistake is not papered over");
}

#[tokio::test]
async fn etcd_comes_from_flag_assets_cache_or_path() {
    let bench = Bench::new();
    let says = "echo 'etcd Version: 3.5.9'; echo 'Git SHA: abc'";
    let on_path = bench.script("bin/etcd", says);
    let mut request = EtcdRequest {
        flag: None,
        assets: None,
        arch: host(),
        cache: super::Cache::at(bench.path("cache")),
        search_path: on_path.parent().map(Into::into),
        patience: Patience {
            version: std::time::Duration::from_secs(60),
            ..Patience::default()
        },
    };
    let found = resolve_etcd(&request, &bench.progress)
        .await
        .expect("in PATH");
    assert_eq!(
        (found.origin, found.version.as_str()),
        (Origin::Path, "3.5.9")
    );
    let cached = bench.script("cache/etcd/3.5.9/etcd", says);
    assert_eq!(
        resolve_etcd(&request, &bench.progress)
            .await
            .expect("cached")
            .path,
        cached
    );
    request.assets = Some(bench.path("assets"));
    assert_eq!(
        resolve_etcd(&request, &bench.progress)
            .await
            .expect("cached")
            .path,
        cached
    );
    assert_eq!(
        bench.progress.warnings().len(),
        1,
        "the empty asset folder is mentioned"
    );
    let asset = bench.script("assets/etcd", says);
    assert_eq!(
        resolve_etcd(&request, &bench.progress)
            .await
            .expect("asset")
            .path,
        asset
    );
    request.flag = Some(bench.path("none"));
    assert_eq!(
        resolve_etcd(&request, &bench.progress)
            .await
            .expect_err("mistake")
            .exit_code(),
        2
    );
    let nothing = EtcdRequest {
        flag: None,
        assets: None,
        search_path: None,
        cache: super::Cache::at(bench.path("empty")),
        ..request
    };
    let error = resolve_etcd(&nothing, &bench.progress)
        .await
        .expect_err("nowhere");
    assert!(error.to_string().contains("assay doctor"), "{error}");
}
