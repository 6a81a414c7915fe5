//! The life of native cells, against real processes. Needs root; the observed cells do not.
//!
//! This binary is its own helper: it serves the inner commands, a small TCP server, and an owner of a cell
//! that is there to be killed.

mod bad_input;
mod disks;
mod faults;
mod kubernetes;
mod life;
mod observed;
mod probe;
mod specimen;
#[path = "../support/mod.rs"]
mod support;
mod sweeping;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test returns; an error fails it.
type Outcome = anyhow::Result<()>;
/// A test's name and the test.
type Test = (&'static str, fn() -> Outcome);

fn main() -> ExitCode {
    let args: Vec<_> = std::env::args_os().collect();
    if let Some(code) = harness::internal(&args) {
        return code;
    }
    if let Some(code) = probe::run(&args) {
        return code;
    }
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!(
            "ignored: all but the observed cells need root, for cgroups and namespaces; run as root"
        );
    }
    let servers = kubernetes::folder().is_some();
    if !servers {
        eprintln!(
            "ignored: kubernetes needs etcd, kube-apiserver and kube-controller-manager; set KUBEBUILDER_ASSETS to their folder"
        );
    }
    let trials = [
        life::TESTS,
        bad_input::TESTS,
        sweeping::TESTS,
        faults::TESTS,
        disks::TESTS,
        observed::TESTS,
        kubernetes::TESTS,
    ]
    .concat()
    .into_iter()
    .map(|(name, run)| {
        Trial::test(name, move || {
            run().map_err(|e| Failed::from(format!("{e:?}")))
        })
        .with_ignored_flag(
            (!root && !name.starts_with("observed/"))
                || (!servers && name.starts_with("kubernetes/")),
        )
    })
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
