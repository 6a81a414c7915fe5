//! The guest, built and booted in QEMU by hand. Needs qemu-system-aarch64, mkfs.ext4 and Debian's apt (or a cached
//! guest); no root.

mod control;
mod disks;
mod machine;
mod sampled;

use std::process::ExitCode;

use harness::artifact::Cache;
use harness::guest::{Bundle, GuestArgs, GuestError, Images, prepare};
use libtest_mimic::{Arguments, Failed, Trial};

/// What a test returns; an error fails it.
type Outcome = anyhow::Result<()>;
/// A test's name and the test.
type Test = (&'static str, fn(&Images) -> Outcome);

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let images = if arguments.list {
        Err("only listed".to_owned())
    } else {
        images()
    };
    if let Err(reason) = &images {
        eprintln!("ignored: the tests on a booted guest: {reason}");
    }
    let tests = [control::TESTS, disks::TESTS, sampled::TESTS].concat();
    let trial = |(name, run): Test| {
        let images = images.clone();
        let ignored = images.is_err();
        Trial::test(name, move || {
            let images = images.map_err(Failed::from)?;
            run(&images).map_err(|error| Failed::from(format!("{error:?}")))
        })
        .with_ignored_flag(ignored)
    };
    libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect()).exit_code()
}

/// The base guest, or why there is none. One that fails to build is no reason to pass.
fn images() -> Result<Images, String> {
    for (program, package) in [
        ("qemu-system-aarch64", "qemu-system-arm"),
        ("mkfs.ext4", "e2fsprogs"),
    ] {
        if !machine::installed(program) {
            return Err(format!(
                "{program} is not installed; run `apt-get install {package}`"
            ));
        }
    }
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    match runtime.block_on(prepare(
        &GuestArgs::default(),
        Bundle::Base,
        &Cache::of_user(),
    )) {
        Ok(images) => Ok(images),
        Err(GuestError::Unavailable(reason)) => Err(reason),
        Err(GuestError::Failed(error)) => {
            eprintln!("failed to build the guest: {error:?}");
            std::process::exit(1);
        }
    }
}
