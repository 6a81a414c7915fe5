//! An emulator outlives an assay that was killed, but no sweep.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::machine::Machine;
use harness::scope::{Resource, Scope, sweep};

use crate::bare::{block_on, forwarded, spec, surroundings, tap};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("sweep/after_kill_9_no_emulator_is_left", killed),
    ("sweep/after_kill_9_no_tap_device_is_left", killed_with_tap),
    ("sweep/at_any_moment_of_booting", any_moment),
    ("sweep/a_gate_that_was_never_opened_becomes_nothing", gate),
];

const OWN: &str = "probe-own-machine";

/// Owns a machine until it is killed: `probe-own-machine STATE tap|forwarded`.
pub fn own(args: &[OsString]) -> Option<ExitCode> {
    if args.get(1)? != OWN {
        return None;
    }
    let state = Path::new(args.get(2)?);
    let request = if args.get(3)? == "tap" {
        tap()
    } else {
        forwarded()
    };
    let owned = block_on(async {
        let scope = Scope::open(state, "run-1")?;
        let folder = state.join("work/m");
        scope.enter(Resource::Folder {
            path: folder.clone(),
        })?;
        std::fs::create_dir_all(&folder)?;
        let _machine = Machine::boot(spec(&folder)?, &request, surroundings(state, &scope)).await?;
        println!("up");
        std::io::stdout().flush()?;
        tokio::time::sleep(Duration::from_secs(600)).await;
        Ok(())
    });
    owned.err().map(|error| {
        println!("{error:?}");
        ExitCode::FAILURE
    })
}

/// A child that a failing test ends too.
struct Owner(Child);

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn owner(state: &Path, network: &str) -> Result<Owner> {
    let own = Command::new(std::env::current_exe()?)
        .arg(OWN)
        .arg(state)
        .arg(network)
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(Owner(own))
}

fn swept(state: &Path) -> Outcome {
    let report = sweep(state);
    ensure!(
        report.remaining.is_empty() && report.alive_runs.is_empty(),
        "{report:?}"
    );
    let work = std::fs::read_dir(state.join("work"))?.count();
    let ledgers = std::fs::read_dir(state.join("ledger"))?.count();
    ensure!(
        work + ledgers == 0,
        "{work} folders and {ledgers} ledgers are left"
    );
    let needle = state.to_str().context("an odd temporary folder")?;
    for entry in std::fs::read_dir("/proc")?.flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        ensure!(!line.contains(needle), "still runs: {line}");
    }
    Ok(())
}

fn killed_on(network: &str) -> Outcome {
    let state = tempfile::tempdir()?;
    let mut owner = owner(state.path(), network)?;
    let mut line = String::new();
    let out = owner.0.stdout.take().context("no output")?;
    BufReader::new(out).read_line(&mut line)?;
    ensure!(line == "up\n", "{line}");
    owner.0.kill()?;
    owner.0.wait()?;
    swept(state.path())?;
    for entry in std::fs::read_dir("/sys/class/net")?.flatten() {
        // Others may be at work on this host; ours has gone with its emulator, whose folder is named above.
        let tun = entry.path().join("tun_flags");
        ensure!(
            network != "tap" || !tun.exists() || !is_orphan(&entry.path()),
            "{} is left",
            entry.path().display()
        );
    }
    Ok(())
}

/// A TAP device of assay's that no process holds: it has no carrier.
fn is_orphan(device: &Path) -> bool {
    let named = device
        .file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("asy"));
    let carrier = std::fs::read_to_string(device.join("carrier")).unwrap_or_default();
    named && carrier.trim() == "0"
}

fn killed() -> Outcome {
    killed_on("forwarded")
}

fn killed_with_tap() -> Outcome {
    killed_on("tap")
}

fn any_moment() -> Outcome {
    for moment in [0, 5, 10, 20, 30, 45, 60, 90, 140, 220] {
        let state = tempfile::tempdir()?;
        let mut owner = owner(state.path(), "forwarded")?;
        std::thread::sleep(Duration::from_millis(moment));
        owner.0.kill()?;
        owner.0.wait()?;
        std::fs::create_dir_all(state.path().join("work"))?;
        std::fs::create_dir_all(state.path().join("ledger"))?;
        // A gate that was not opened ends by itself as soon as it is scheduled.
        let mut last = swept(state.path());
        for _ in 0..200 {
            if last.is_ok() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
            last = swept(state.path());
        }
        last.with_context(|| format!("killed after {moment} ms"))?;
    }
    Ok(())
}

fn gate() -> Outcome {
    let folder = tempfile::tempdir()?;
    let witness = folder.path().join("ran");
    let through = |word: &[u8]| -> Result<Option<i32>> {
        let mut gate = Command::new(std::env::current_exe()?)
            .args(["__emulator", "/bin/sh", "-c"])
            .arg(format!(": > {}", witness.display()))
            .stdin(Stdio::piped())
            .spawn()?;
        gate.stdin.take().context("no input")?.write_all(word)?;
        Ok(gate.wait()?.code())
    };
    for word in [&b""[..], b"g", b"stop\n"] {
        let code = through(word)?;
        ensure!(code == Some(3) && !witness.exists(), "{word:?}: {code:?}");
    }
    ensure!(through(b"go\n")? == Some(0) && witness.exists());
    Ok(())
}
