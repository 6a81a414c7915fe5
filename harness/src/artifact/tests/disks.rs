//! Full and read-only disks. A small tmpfs needs root.

use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use super::super::{ArtifactError, Cache, fetch_k3s};
use super::server::Server;
use super::{Bench, elf, host};

/// A mounted tmpfs, unmounted with the value.
struct Tmpfs(PathBuf);

impl Tmpfs {
    #[track_caller]
    fn new(at: &Path, options: &std::ffi::CStr, flags: MountFlags) -> Self {
        fs_err::create_dir_all(at).expect("writable");
        mount("tmpfs", at, "tmpfs", flags, options).expect("run as root: a tmpfs is mounted");
        Self(at.to_owned())
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

#[tokio::test]
#[ignore = "needs root: run with --ignored"]
async fn a_full_disk_is_one_clear_sentence_and_leaves_nothing() {
    // With a length the lack of room is known beforehand; without one the disk fills up under the download.
    for no_length in [false, true] {
        let bench = Bench::new();
        let _disk = Tmpfs::new(&bench.path("cache"), c"size=256k", MountFlags::empty());
        let server = Server::with(&elf(host(), 1_000_000)).await;
        server.change(|site| site.no_length = no_length);
        let error = fetch_k3s(&bench.request(server.mirror()), &bench.progress)
            .await
            .expect_err("full");
        assert!(matches!(error, ArtifactError::DiskFull { .. }), "{error:?}");
        assert!(error.to_string().contains("ASSAY_CACHE"), "{error}");
        assert_eq!(bench.cached(), [""; 0]);
    }
}

#[tokio::test]
#[ignore = "needs root: run with --ignored"]
async fn a_disk_that_is_full_to_the_last_byte_is_still_told() {
    let bench = Bench::new();
    let cache = bench.path("cache");
    let _disk = Tmpfs::new(&cache, c"size=64k", MountFlags::empty());
    let filler = fs_err::write(cache.join("filler"), vec![1; 128 << 10]);
    assert!(filler.is_err(), "the disk must be full now");
    let error = fetch_k3s(
        &bench.request(bench.folder_mirror(super::VERSION, &elf(host(), 5000))),
        &bench.progress,
    )
    .await
    .expect_err("full");
    assert!(matches!(error, ArtifactError::DiskFull { .. }), "{error:?}");
}

#[tokio::test]
#[ignore = "needs root: run with --ignored"]
async fn a_read_only_cache_is_told() {
    let bench = Bench::new();
    let _disk = Tmpfs::new(&bench.path("cache"), c"size=64k", MountFlags::RDONLY);
    let mirror = bench.folder_mirror(super::VERSION, &elf(host(), 5000));
    let error = fetch_k3s(&bench.request(mirror), &bench.progress)
        .await
        .expect_err("read-only");
    assert!(matches!(error, ArtifactError::Cache { .. }), "{error:?}");
    assert!(error.to_string().contains("ASSAY_CACHE"), "{error}");
}

#[tokio::test]
async fn a_cache_below_a_file_is_told() {
    let bench = Bench::new();
    fs_err::write(bench.path("file"), "").expect("writable");
    let mut request = bench.request(bench.folder_mirror(super::VERSION, &elf(host(), 5000)));
    request.cache = Cache::at(bench.path("file/cache"));
    let error = fetch_k3s(&request, &bench.progress)
        .await
        .expect_err("no folder");
    assert!(matches!(error, ArtifactError::Cache { .. }), "{error:?}");
}
