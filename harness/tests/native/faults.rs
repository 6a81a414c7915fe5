//! Faults on real processes: each with its witness, and what shows from outside that it was so.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::FutureExt;
use harness::target::{Cluster, Faults, Restart, Start, Target, Witness};
use reports::budget::Budget;

use crate::probe::{SERVE, first_line};
use crate::specimen::{DEADLINE, Run, address, block_on, destroy, logged, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("faults/killed_and_started_on_the_same_data", killed),
    ("faults/an_end_that_nobody_asked_for_is_told", unasked),
    ("faults/an_excused_end_is_not_told", excused),
    ("faults/frozen_processes_do_nothing", frozen),
    ("faults/a_frozen_cell_is_destroyed", destroyed_frozen),
    ("faults/slow_fsyncs_are_slow_and_counted", slow),
    (
        "faults/memory_runs_out_and_the_budget_s_evidence_stays_clean",
        starved,
    ),
    ("faults/what_is_in_force_is_undone", undone),
];

pub fn faults(cluster: &dyn Cluster) -> Result<&dyn Faults> {
    cluster.faults().map_err(anyhow::Error::msg)
}

pub fn fact(witness: &Witness, name: &str) -> Result<String> {
    let found = witness.facts.iter().find(|(fact, _)| *fact == name);
    let (_, value) = found.with_context(|| format!("no fact {name:?} in {witness:?}"))?;
    Ok(value.clone())
}

async fn serves(cluster: &dyn Cluster) -> Result<String> {
    let to = SocketAddr::new(address(cluster)?, 7000);
    until("the server answers", || {
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
        first_line(stream)
            .ok()
            .filter(|line| line.starts_with("pid "))
    })
    .await
}

fn killed() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let script = format!("echo again >> {{data}}/starts; {SERVE}");
        let cluster = run.start(&script, Budget::edge()).await?;
        serves(cluster.as_ref()).await?;
        let first = cluster.started();
        for starts in 2..=4 {
            let restarted = cluster.restart(Restart::Kill).await?;
            ensure!(restarted.before != restarted.after, "{restarted:?}");
            serves(cluster.as_ref()).await?;
            let bytes = cluster.disk_usage(&["starts"]).await?;
            ensure!(bytes == Some(6 * starts), "other data: {bytes:?}");
        }
        ensure!(cluster.started() > first && !cluster.is_disturbed());
        ensure!(cluster.ended().now_or_never().is_none(), "an end was told");
        let evidence = cluster.budget_evidence();
        ensure!(
            evidence.stayed_in_cgroup && evidence.enforced,
            "{evidence:?}"
        );
        let refused = cluster.restart(Restart::PowerCut).await;
        ensure!(refused.is_err_and(|error| error.to_string().contains("--target qemu")));
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn unasked() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        // Lives once, then only until its data has a second line.
        let script = "echo x >> {data}/starts; set -- $(cat {data}/starts); test $# -lt 2 || exit 7; \
                      echo up; sleep 1000 & wait";
        let cluster = run.start(script, Budget::edge()).await?;
        logged(cluster.as_ref(), "up").await?;
        faults(cluster.as_ref())?.kill().await?;
        ensure!(cluster.is_disturbed() && cluster.processes().await.is_empty());
        ensure!(cluster.ended().now_or_never().is_none(), "an end was told");
        // Two at once are refused, not waited for.
        ensure!(faults(cluster.as_ref())?.kill().await.is_err());
        faults(cluster.as_ref())?.start(Start::Plain).await?;
        let exit = tokio::time::timeout(DEADLINE, cluster.ended()).await?;
        ensure!(exit.code == Some(7), "{exit:?}");
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn excused() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let script = "echo up; while test ! -e {data}/end; do sleep 0.01; done; exit 3";
        let cluster = run.start(script, Budget::edge()).await?;
        logged(cluster.as_ref(), "up").await?;
        let doors = faults(cluster.as_ref())?;
        doors.excuse(true);
        let standing = run.scope.standing();
        let data = standing.iter().find_map(|resource| match resource {
            harness::scope::Resource::Folder { path } => Some(path.join("data")),
            _ => None,
        });
        std::fs::write(data.context("no folder")?.join("end"), "x")?;
        let down = until("the server is down", || doors.down()).await?;
        ensure!(down.code == Some(3), "{down:?}");
        ensure!(cluster.ended().now_or_never().is_none(), "an end was told");
        doors.excuse(false);
        ensure!(tokio::time::timeout(DEADLINE, cluster.ended()).await? == down);
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

/// Writes a byte every hundredth of a second, from a child of a child.
const TICK: &str =
    "(while :; do printf x >> {data}/ticks; sleep 0.01; done) & echo up; trap 'exit 0' TERM; wait";

async fn ticks(cluster: &dyn Cluster) -> Result<u64> {
    Ok(cluster.disk_usage(&["ticks"]).await?.unwrap_or(0))
}

async fn ticks_on(cluster: &dyn Cluster) -> Result<()> {
    let before = ticks(cluster).await?;
    while ticks(cluster).await? < before + 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

fn frozen() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(TICK, Budget::edge()).await?;
        tokio::time::timeout(DEADLINE, ticks_on(cluster.as_ref())).await??;
        let doors = faults(cluster.as_ref())?;
        let witness = doors.freeze().await?;
        ensure!(fact(&witness, "state")?.contains("FROZEN"), "{witness:?}");
        ensure!(cluster.is_disturbed());
        let before = ticks(cluster.as_ref()).await?;
        // Twenty of its periods: it has had every occasion.
        tokio::time::sleep(Duration::from_millis(200)).await;
        ensure!(ticks(cluster.as_ref()).await? == before, "it went on");
        let witness = doors.thaw().await?;
        ensure!(fact(&witness, "frozen for")?.ends_with(" s"), "{witness:?}");
        tokio::time::timeout(DEADLINE, ticks_on(cluster.as_ref())).await??;
        ensure!(!cluster.is_disturbed());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn destroyed_frozen() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(TICK, Budget::edge()).await?;
        logged(cluster.as_ref(), "up").await?;
        faults(cluster.as_ref())?.freeze().await?;
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn slow() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let script = "while :; do dd if=/dev/zero of={data}/f bs=1 count=1 conv=fsync 2>/dev/null; \
                      printf x >> {data}/ticks; done & echo up; trap 'exit 0' TERM; wait";
        let cluster = run.start(script, Budget::edge()).await?;
        tokio::time::timeout(DEADLINE, ticks_on(cluster.as_ref())).await??;
        let doors = faults(cluster.as_ref())?;
        ensure!(doors.syncs().is_err(), "nobody traces it");
        for delay in [Duration::from_millis(50), Duration::ZERO] {
            doors.kill().await?;
            doors.start(Start::SlowSync { delay }).await?;
            tokio::time::timeout(DEADLINE, ticks_on(cluster.as_ref())).await??;
            let syncs = doors.syncs()?;
            ensure!(syncs.calls >= 3, "{syncs:?}");
            let delayed = if delay.is_zero() { 0 } else { syncs.calls };
            ensure!(syncs.delayed == delayed, "{syncs:?}");
            let shortest = syncs.took_us.first().copied().unwrap_or(0);
            ensure!(u128::from(shortest) >= delay.as_micros(), "{syncs:?}");
            ensure!(cluster.budget_evidence().stayed_in_cgroup && cluster.is_disturbed());
            // strace is in the cell, and the server is still its first process.
            let names: Vec<_> = cluster
                .processes()
                .await
                .into_iter()
                .map(|p| p.name)
                .collect();
            ensure!(names.iter().any(|name| name == "strace"), "{names:?}");
        }
        doors.undo().await?;
        ensure!(!cluster.is_disturbed() && doors.syncs().is_err());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn starved() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cell = run.cell(
            &std::env::current_exe()?.to_string_lossy(),
            &["probe-hold", "64"],
            "256Mi/1".parse()?,
        )?;
        let cluster = run.target.provision(&cell, &run.scope).await?;
        logged(cluster.as_ref(), "holding").await?;
        let doors = faults(cluster.as_ref())?;
        let witness = doors.exhaust_memory().await?;
        ensure!(
            fact(&witness, "kills that the kernel counts")? != "0",
            "{witness:?}"
        );
        ensure!(
            doors.down().is_some_and(|exit| exit.oom_killed),
            "{witness:?}"
        );
        ensure!(cluster.ended().now_or_never().is_none(), "an end was told");
        doors.start(Start::Plain).await?;
        let evidence = cluster.budget_evidence();
        ensure!(
            evidence.memory_limit_bytes == Some(256 << 20)
                && evidence.oom_kills == Some(0)
                && evidence.limit_hits == 0,
            "{evidence:?}"
        );
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn undone() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start_on_disk(SERVE).await?;
        serves(cluster.as_ref()).await?;
        let doors = faults(cluster.as_ref())?;
        doors.excuse(true);
        doors.fill_disk().await?;
        doors.break_disk().await?;
        doors.freeze().await?;
        doors.undo().await?;
        ensure!(!cluster.is_disturbed());
        serves(cluster.as_ref()).await?;
        ensure!(cluster.ended().now_or_never().is_none(), "an end was told");
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}
