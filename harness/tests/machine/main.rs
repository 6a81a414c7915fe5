//! Emulated machines against a real emulator. What boots here is five instructions long, so that neither packages
//! nor a kernel are needed; `tests/guest` boots a real one.
//!
//! This binary is its own helper: it serves the inner commands, and an owner of a machine that is there to be killed.

mod bare;
mod life;
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
    if let Some(code) = sweeping::own(&args) {
        return code;
    }
    let emulator = harness::machine::find_emulator();
    if let Err(error) = &emulator {
        eprintln!("ignored: every test needs an emulator: {error:#}");
    }
    let tap = harness::machine::may_use_tap();
    if !tap {
        eprintln!("ignored: tests of TAP devices need root and /dev/net/tun");
    }
    let trials = [life::TESTS, sweeping::TESTS]
        .concat()
        .into_iter()
        .map(|(name, run)| {
            Trial::test(name, move || {
                run().map_err(|e| Failed::from(format!("{e:?}")))
            })
            .with_ignored_flag(emulator.is_err() || (!tap && name.contains("tap")))
        })
        .collect();
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
