//! The life of cells in containers, against the engine of this machine. Ignored, with the reason, where none answers.
//!
//! This binary is also what runs in the containers (a small server), and an owner of a cell that is there to be
//! killed.

mod agents;
mod engine_death;
mod life;
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
    if let Some(code) = probe::run(&args) {
        return code;
    }
    let missing = harness::engine::look(&harness::engine::address()).err();
    if let Some(reason) = &missing {
        eprintln!("ignored: all but the refusals need a container engine: {reason}");
    }
    let own_engine = engine_death::missing();
    if let Some(reason) = &own_engine {
        eprintln!("ignored: engine_death needs an engine of its own to kill: {reason}");
    }
    let no_k3s = agents::missing();
    if let Some(reason) = &no_k3s {
        eprintln!("ignored: agents/k3s needs K3s: {reason}");
    }
    let trials = [
        life::TESTS,
        agents::TESTS,
        sweeping::TESTS,
        engine_death::TESTS,
    ]
    .concat()
    .into_iter()
    .map(|(name, run)| {
        let ignored = if name.starts_with("engine_death/") {
            own_engine.is_some()
        } else {
            let of_k3s = name.starts_with("agents/k3s");
            (missing.is_some() && !name.starts_with("refused/")) || (of_k3s && no_k3s.is_some())
        };
        Trial::test(name, move || {
            run().map_err(|e| Failed::from(format!("{e:?}")))
        })
        .with_ignored_flag(ignored)
    })
    .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
