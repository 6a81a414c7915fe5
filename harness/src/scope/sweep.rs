//! Sweeping: removing what dead runs left, by recorded identity, newest first.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};

use super::ledger::{Ledger, is_held, remove_unborn};
use super::remove::remove;
use super::{Resource, StateDir, boot_id};

/// How long another sweep may hold the lock.
const TURN_WITHIN: Duration = Duration::from_secs(60);

/// A container engine finishes what its dead client asked of it: an image that was sent just before may appear after
/// the sweep looked. So long it is looked for, in a run that wrote its ledger within [`LATELY`].
const LATE_WITHIN: Duration = Duration::from_secs(15);
const LATELY: Duration = Duration::from_secs(60);
/// Between two looks; only spares the engine.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SweepReport {
    /// What was removed, one line each.
    pub removed: Vec<String>,
    /// What stayed, one line each, with the reason and what to do.
    pub remaining: Vec<String>,
    /// Runs whose owner is alive, and which were therefore left alone.
    pub alive_runs: Vec<String>,
}

/// Removes what dead runs left. Runs whose owner is alive are not touched. Sweeps take turns.
pub fn sweep(state: &Path) -> SweepReport {
    let mut report = SweepReport::default();
    let dir = match StateDir::at(state) {
        Ok(dir) => dir,
        Err(error) => {
            report.remaining.push(format!("{error:#}"));
            return report;
        }
    };
    let _turn = match take_turn(&dir.root().join("sweep.lock")) {
        Ok(turn) => turn,
        Err(reason) => {
            report.remaining.push(reason);
            return report;
        }
    };
    remove_unborn(&dir.ledgers());
    let mut ledgers: Vec<_> = std::fs::read_dir(dir.ledgers())
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "jsonl"))
        .collect();
    ledgers.sort();
    for path in ledgers {
        sweep_ledger(&dir, &path, &mut report);
    }
    report
}

fn sweep_ledger(dir: &StateDir, path: &Path, report: &mut SweepReport) {
    let run = path.file_stem().unwrap_or_default().to_string_lossy();
    let Ok(text) = std::fs::read_to_string(path) else {
        report.remaining.push(format!(
            "ledger {}: failed to read it; look at it by hand",
            path.display()
        ));
        return;
    };
    let ledger = Ledger::parse(&text);
    if is_held(path) || ledger.owner.as_ref().is_some_and(super::Identity::is_alive) {
        report.alive_runs.push(run.into_owned());
        return;
    }
    let same_boot = ledger
        .owner
        .as_ref()
        .is_some_and(|o| o.boot_id == boot_id());
    // What is frozen cannot be killed, and processes come before their cgroup.
    for resource in ledger.standing.iter().filter(|_| same_boot) {
        if let Resource::Cgroup { path } = resource {
            crate::cgroup::thaw_ours(path);
        }
    }
    let mut stayed = false;
    let end = Instant::now() + LATE_WITHIN;
    let died_lately = std::fs::metadata(path)
        .and_then(|about| about.modified())
        .ok()
        .and_then(|at| at.elapsed().ok())
        .is_none_or(|ago| ago < LATELY);
    for resource in ledger.standing.iter().rev() {
        if !same_boot && !resource.outlives_a_boot() {
            continue;
        }
        let removed = || remove(&dir.work(), resource);
        let mut gone = removed();
        while died_lately && resource.may_appear_late() && gone == Ok(false) && Instant::now() < end
        {
            std::thread::sleep(LOOK_EVERY);
            gone = removed();
        }
        match gone {
            Ok(true) => report.removed.push(resource.describe()),
            Ok(false) => {}
            Err(reason) => {
                stayed = true;
                report
                    .remaining
                    .push(format!("{}: {reason}", resource.describe()));
            }
        }
    }
    // Kept while something stays, so that the next sweep tries again.
    if !stayed && let Err(error) = std::fs::remove_file(path) {
        report
            .remaining
            .push(format!("ledger {}: {error}", path.display()));
    }
}

/// Takes the sweepers' lock, which goes with the returned file.
fn take_turn(path: &Path) -> Result<File, String> {
    let file = File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(|error| format!("failed to open {} ({error})", path.display()))?;
    let end = Instant::now() + TURN_WITHIN;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::WOULDBLOCK) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20));
            }
            Err(error) => {
                return Err(format!(
                    "failed to lock {} ({error}); another sweep is at work, run `assay sweep` again",
                    path.display()
                ));
            }
        }
    }
}
