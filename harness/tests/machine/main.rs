//! Emulated machines against a real emulator. What boots is mostly five instructions long, so that neither
//! packages nor a kernel are needed; the tests of clusters boot a real guest.
//!
//! This binary is its own helper: it serves the inner commands, and an owner of a machine that is there to be killed.

mod agents;
mod bare;
mod cluster;
mod life;
mod pair;
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
    let arguments = Arguments::from_args();
    let guest = match emulator {
        Ok(_) if !arguments.list => cluster::lacking(),
        _ => Ok(Some(
            "there is no emulator, or tests are only listed".to_owned(),
        )),
    };
    let guest = match guest {
        Ok(None) => true,
        Ok(Some(reason)) => {
            eprintln!("ignored: tests of clusters need a guest: {reason}");
            false
        }
        Err(error) => {
            eprintln!("{error:?}");
            return ExitCode::FAILURE;
        }
    };
    let emulator = harness::machine::find_emulator().is_ok();
    let trials = [
        life::TESTS,
        sweeping::TESTS,
        cluster::TESTS,
        agents::TESTS,
        pair::TESTS,
    ]
    .concat()
    .into_iter()
    .map(|(name, run)| {
        Trial::test(name, move || {
            run().map_err(|e| Failed::from(format!("{e:?}")))
        })
        .with_ignored_flag(
            !emulator || (!tap && name.contains("tap")) || (!guest && name.starts_with("cluster/")),
        )
    })
    .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
