//! Binaries that are no K3s.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::says::Says;
use crate::support::Sandbox;

fn file(sandbox: &Sandbox, name: &str, bytes: &[u8], mode: u32) -> PathBuf {
    let path = sandbox.path(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

/// An ELF header of the machine that this one is not, and enough behind it.
fn foreign() -> Vec<u8> {
    let machine: u16 = if cfg!(target_arch = "aarch64") {
        62
    } else {
        183
    };
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(16, 0);
    bytes.extend(2u16.to_le_bytes());
    bytes.extend(machine.to_le_bytes());
    bytes.resize(256, 0);
    bytes
}

/// This very program, cut off: a download that ended early.
fn cut_off() -> Vec<u8> {
    let mut bytes = std::fs::read("/proc/self/exe").unwrap();
    bytes.truncate(bytes.len() / 2);
    bytes
}

#[track_caller]
fn refused(sandbox: &Sandbox, binary: &Path, words: &[&str]) {
    let (binary, out) = (binary.to_str().unwrap(), sandbox.out());
    let out = out.to_str().unwrap();
    let args = ["suite", "all", "--distribution", "k3s", "--out", out];
    let by_flag = sandbox.run(&[&args[..], &["--k3s-binary", binary]].concat());
    by_flag
        .expect(2)
        .says(words)
        .says(&["--k3s-binary", binary]);
    // `auto` must not fall back on the specimen when a binary was named.
    for distribution in ["k3s", "auto"] {
        let args = ["suite", "all", "--distribution", distribution, "--out", out];
        let mut command = sandbox.command(&args);
        command.env("K3S_BINARY", binary);
        let by_variable = sandbox.start(command).end();
        by_variable.expect(2).says(words).says(&["K3S_BINARY"]);
    }
    sandbox.nothing_left();
    assert!(!sandbox.out().exists());
}

#[test]
fn each_defect_of_a_binary_has_its_sentence() {
    let sandbox = Sandbox::new();
    let s = &sandbox;
    refused(
        s,
        &s.path("none"),
        &["there is no such file", "check the path"],
    );
    refused(
        s,
        &file(s, "plain", b"#!/bin/sh\n", 0o644),
        &["not executable", "chmod +x"],
    );
    std::fs::create_dir(s.path("folder")).unwrap();
    refused(
        s,
        &s.path("folder"),
        &["not a regular file", "give the path"],
    );
    refused(
        s,
        &file(s, "foreign", &foreign(), 0o755),
        &["built for", "give the file"],
    );
    refused(
        s,
        &file(s, "cut", &cut_off(), 0o755),
        &["cut short", "download it again"],
    );
    refused(
        s,
        &file(s, "junk", b"<html>404</html>", 0o755),
        &["neither", "download it again"],
    );
    refused(
        s,
        &file(s, "empty", b"", 0o755),
        &["neither", "download it again"],
    );
    refused(
        s,
        &file(s, "other", b"#!/bin/sh\necho busybox v1\n", 0o755),
        &["busybox v1", "no k3s", "give the path"],
    );
    refused(
        s,
        &file(s, "orphan", b"#!/nonexistent/sh\n", 0o755),
        &["give the path"],
    );
}

#[test]
fn another_version_than_the_one_asked_for_is_refused() {
    let sandbox = Sandbox::new();
    let script = b"#!/bin/sh\necho 'k3s version v9.9.9+k3s1 (x)'\n";
    let binary = file(&sandbox, "k3s", script, 0o755);
    let binary = binary.to_str().unwrap();
    let args = [
        "suite",
        "all",
        "--distribution",
        "k3s",
        "--k3s-binary",
        binary,
    ];
    let ended = sandbox.run(&[&args[..], &["--k3s-version", "v1.21.2+k3s1"]].concat());
    ended.expect(2).says(&["v9.9.9+k3s1", "v1.21.2+k3s1"]);
}

#[test]
fn a_named_etcd_that_is_none_is_refused() {
    let sandbox = Sandbox::new();
    let args = ["suite", "all", "--distribution", "reference"];
    let ended = sandbox.run(&[&args[..], &["--etcd-binary", "/nonexistent"]].concat());
    ended
        .expect(2)
        .says(&["--etcd-binary", "there is no such file"]);
    assert!(!sandbox.path("reports").exists());
}
