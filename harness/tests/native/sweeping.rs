//! After any kind of death everything goes, and nothing of anyone else's.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use harness::scope::{Resource, start_ticks, sweep};

use crate::probe::first_line;
use crate::specimen::{all_gone, block_on, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("sweep/after_kill_9_nothing_is_left", killed),
    ("sweep/at_any_moment_of_provisioning", any_moment),
    ("sweep/in_the_middle_of_faults", hurt),
    ("sweep/a_live_run_is_left_alone", alive),
    ("sweep/a_doctored_ledger_touches_nobody", doctored),
    ("sweep/two_sweeps_take_turns", turns),
    ("sweep/only_folders_outlive_a_boot", other_boot),
];

/// A child that a failing test ends too: left alive it would hold the test's output open for ever.
struct Owner(Child);

impl std::ops::Deref for Owner {
    type Target = Child;
    fn deref(&self) -> &Child {
        &self.0
    }
}

impl std::ops::DerefMut for Owner {
    fn deref_mut(&mut self) -> &mut Child {
        &mut self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn owner(state: &std::path::Path) -> Result<Owner> {
    owner_that(state, "probe-own")
}

fn owner_that(state: &std::path::Path, does: &str) -> Result<Owner> {
    let own = Command::new(std::env::current_exe()?)
        .arg(does)
        .arg(state)
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(Owner(own))
}

/// What the ledger lists, read without assay's help.
fn listed(state: &std::path::Path) -> Vec<Resource> {
    let text = std::fs::read_to_string(state.join("ledger/run-1.jsonl")).unwrap_or_default();
    text.lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|entry| entry["op"] == "enter")
        .filter_map(|entry| serde_json::from_value(entry["resource"].clone()).ok())
        .collect()
}

fn killed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut owner = owner(folder.path())?;
    let up = first_line(owner.stdout.take().context("no output")?)?;
    let resources = listed(folder.path());
    owner.kill()?;
    owner.wait()?;
    ensure!(up == "up", "{up:?}");
    // A folder, four cgroups or one, an interface, the keeper, the server.
    ensure!(resources.len() >= 5, "{resources:?}");
    let report = sweep(folder.path());
    ensure!(
        report.remaining.is_empty() && report.alive_runs.is_empty(),
        "{report:?}"
    );
    ensure!(!report.removed.is_empty(), "{report:?}");
    all_gone(&resources)?;
    ensure!(std::fs::read_dir(folder.path().join("ledger"))?.count() == 0);
    ensure!(std::fs::read_dir(folder.path().join("work"))?.count() == 0);
    Ok(())
}

/// Killed twice: the owner alone, upon which the keeper clears up; and its keeper with it, so that the sweep must.
fn hurt() -> Outcome {
    for with_keeper in [false, true] {
        let folder = tempfile::tempdir()?;
        let mut owner = owner_that(folder.path(), "probe-hurt")?;
        let up = first_line(owner.stdout.take().context("no output")?)?;
        let resources = listed(folder.path());
        ensure!(up == "up", "{up:?}");
        ensure!(
            resources
                .iter()
                .any(|r| matches!(r, Resource::Loop { .. }) && all_gone([r]).is_err()),
            "there is no loop device: {resources:?}"
        );
        owner.kill()?;
        for resource in resources.iter().filter(|_| with_keeper) {
            if let Resource::Process { pid, what, .. } = resource
                && what.contains("keeper")
                && let Some(pid) = rustix::process::Pid::from_raw(*pid)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
        owner.wait()?;
        let report = sweep(folder.path());
        ensure!(report.remaining.is_empty(), "{report:?}");
        all_gone(&resources)?;
        ensure!(std::fs::read_dir(folder.path().join("work"))?.count() == 0);
    }
    Ok(())
}

/// Kills the owner when its ledger has 1, 2, 3, … lines, so at each step of provisioning.
fn any_moment() -> Outcome {
    block_on(async {
        for lines in 1..=8 {
            let folder = tempfile::tempdir()?;
            let state = folder.path();
            let mut owner = owner(state)?;
            until("the ledger grows", || {
                let there = listed(state).len() + 1 >= lines;
                (there || owner.try_wait().ok()?.is_some()).then_some(())
            })
            .await?;
            owner.kill()?;
            owner.wait()?;
            let resources = listed(state);
            // The keeper may still be at its work: it ends by itself, and what it is making has been entered.
            until("a sweep leaves nothing", || {
                let report = sweep(state);
                (report.remaining.is_empty() && all_gone(&resources).is_ok()).then_some(())
            })
            .await?;
            ensure!(
                std::fs::read_dir(state.join("work"))?.count() == 0,
                "killed at line {lines}"
            );
        }
        Ok(())
    })
}

fn alive() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut owner = owner(folder.path())?;
    let up = first_line(owner.stdout.take().context("no output")?)?;
    let report = sweep(folder.path());
    let resources = listed(folder.path());
    let there = resources.iter().all(|r| all_gone([r]).is_err());
    owner.kill()?;
    owner.wait()?;
    let after = sweep(folder.path());
    ensure!(up == "up" && there, "something of a live run went");
    ensure!(
        report.alive_runs == ["run-1"] && report.removed.is_empty(),
        "{report:?}"
    );
    ensure!(after.remaining.is_empty(), "{after:?}");
    all_gone(&resources)
}

/// A ledger of an owner that is dead, listing `resources`.
fn ledger(boot_id: &str, resources: &[Resource]) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    std::fs::create_dir_all(folder.path().join("ledger"))?;
    let mut text = serde_json::json!({
        "op": "owner", "pid": 1, "start_ticks": u64::MAX, "boot_id": boot_id,
    })
    .to_string();
    for resource in resources {
        text.push('\n');
        text.push_str(&serde_json::json!({"op": "enter", "resource": resource}).to_string());
    }
    std::fs::write(folder.path().join("ledger/run-1.jsonl"), text)?;
    Ok(folder)
}

fn doctored() -> Outcome {
    let outside = tempfile::tempdir()?;
    std::fs::write(outside.path().join("precious"), "x")?;
    let mut foreign = Command::new("sleep").arg("1000").spawn()?;
    let pid = foreign.id().cast_signed();
    let ticks = start_ticks(pid).context("it runs")?;
    let hierarchy = harness::cgroup::probe()
        .usable
        .map_err(anyhow::Error::msg)?;
    let cgroup = harness::cgroup::Cgroup::plan(&hierarchy, "00000000").memory();
    let root = cgroup.parent().context("a mount")?.to_owned();
    let mine = root.join("foreign-assay-test");
    std::fs::create_dir(&mine)?;
    let doctored = ledger(
        &harness::scope::boot_id(),
        &[
            Resource::Process {
                pid,
                start_ticks: ticks + 1,
                what: "someone else's".into(),
            },
            Resource::Process {
                pid: -1,
                start_ticks: ticks,
                what: "everyone".into(),
            },
            Resource::Interface { name: "lo".into() },
            Resource::Folder {
                path: outside.path().to_owned(),
            },
            Resource::Folder {
                path: PathBuf::from("/"),
            },
            Resource::Cgroup { path: mine.clone() },
            Resource::Cgroup { path: root.clone() },
            // Never made: fine.
            Resource::Cgroup { path: cgroup },
            Resource::Interface {
                name: "asy00000000".into(),
            },
        ],
    )?;
    let report = sweep(doctored.path());
    let runs = foreign.try_wait()?.is_none();
    let there = mine.exists();
    foreign.kill()?;
    foreign.wait()?;
    std::fs::remove_dir(&mine)?;
    ensure!(runs, "a foreign process was killed");
    ensure!(
        there && outside.path().join("precious").exists(),
        "{report:?}"
    );
    ensure!(
        report.removed.is_empty() && report.remaining.len() == 5,
        "{report:?}"
    );
    ensure!(PathBuf::from("/sys/class/net/lo").exists());
    Ok(())
}

fn turns() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut owner = owner(folder.path())?;
    first_line(owner.stdout.take().context("no output")?)?;
    let resources = listed(folder.path());
    owner.kill()?;
    owner.wait()?;
    let path = folder.path();
    let reports = std::thread::scope(|scope| {
        let sweeps: Vec<_> = (0..4).map(|_| scope.spawn(move || sweep(path))).collect();
        sweeps.into_iter().map(|s| s.join()).collect::<Vec<_>>()
    });
    for report in reports {
        let report = report.map_err(|_| anyhow::anyhow!("a sweep panicked"))?;
        ensure!(report.remaining.is_empty(), "{report:?}");
    }
    all_gone(&resources)
}

fn other_boot() -> Outcome {
    let mut foreign = Command::new("sleep").arg("1000").spawn()?;
    let pid = foreign.id().cast_signed();
    let start_ticks = start_ticks(pid).context("it runs")?;
    let process = Resource::Process {
        pid,
        start_ticks,
        what: "same numbers, other boot".into(),
    };
    let state = ledger("another-boot", std::slice::from_ref(&process))?;
    let work = state.path().join("work/cell");
    std::fs::create_dir_all(&work)?;
    let path = state.path().join("ledger/run-1.jsonl");
    let entry =
        serde_json::json!({"op": "enter", "resource": Resource::Folder { path: work.clone() }});
    std::fs::write(
        &path,
        format!("{}\n{entry}", std::fs::read_to_string(&path)?),
    )?;
    let report = sweep(state.path());
    let runs = foreign.try_wait()?.is_none();
    foreign.kill()?;
    foreign.wait()?;
    ensure!(
        runs && !work.exists() && report.remaining.is_empty(),
        "{report:?}"
    );
    Ok(())
}
