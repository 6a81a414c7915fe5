//! A cell's own disk: full, and read-only. What was synced stays, what was not goes.

use anyhow::{Result, ensure};
use harness::target::{Cluster, Start};
use reports::budget::Budget;

use crate::faults::{fact, faults};
use crate::specimen::{Run, block_on, destroy, logged};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("disks/full_until_it_is_freed", full),
    ("disks/read_only_until_it_is_mended", read_only),
    ("disks/a_cell_without_one_says_so", without),
];

/// Obeys the files that the test puts into its data folder: tries to write, and says how that went.
const WRITER: &str = "n=0; while :; do n=$((n+1)); \
    if printf x%.0s 1 2 3 >> {data}/grows && sync {data}/grows; then echo wrote $n; else echo refused $n; fi 2>&1; \
    sleep 0.01; done & echo up; trap 'exit 0' TERM; wait";

/// Waits for a line that was not there yet.
async fn anew(cluster: &dyn Cluster, word: &str) -> Result<()> {
    let count = || -> Result<usize> {
        Ok(std::fs::read_to_string(cluster.log())?
            .matches(word)
            .count())
    };
    let before = count()?;
    crate::specimen::until(word, || (count().ok()? > before + 1).then_some(())).await
}

fn full() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        // Appends whole blocks: what is in its last block already has its place.
        let script = WRITER.replace("printf x%.0s 1 2 3", "head -c 8192 /dev/zero");
        let cluster = run.start_on_disk(&script).await?;
        anew(cluster.as_ref(), "wrote").await?;
        let doors = faults(cluster.as_ref())?;
        let witness = doors.fill_disk().await?;
        ensure!(fact(&witness, "free now, bytes")? == "0", "{witness:?}");
        ensure!(
            fact(&witness, "a write")?.contains("No space left"),
            "{witness:?}"
        );
        anew(cluster.as_ref(), "refused").await?;
        let witness = doors.free_disk().await?;
        ensure!(fact(&witness, "free now, bytes")? != "0", "{witness:?}");
        anew(cluster.as_ref(), "wrote").await?;
        ensure!(!cluster.is_disturbed());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn read_only() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let script = "printf synced > {data}/synced; sync {data}/synced; ls {data}; \
                      if test -e {data}/unsynced; then echo found it; else echo missed it; fi; \
                      printf unsynced > {data}/unsynced; echo up; sleep 1000 & wait";
        let cluster = run.start_on_disk(script).await?;
        logged(cluster.as_ref(), "up").await?;
        let doors = faults(cluster.as_ref())?;
        ensure!(cluster.disk_usage(&["synced", "unsynced"]).await? == Some(14));
        let witness = doors.break_disk().await?;
        ensure!(
            fact(&witness, "a write")?.contains("Read-only"),
            "{witness:?}"
        );
        // Both can still be read: they are in the page cache.
        ensure!(cluster.disk_usage(&["synced", "unsynced"]).await? == Some(14));
        ensure!(doors.mend_disk().await.is_err(), "mended under a server");
        doors.kill().await?;
        doors.mend_disk().await?;
        ensure!(
            cluster.disk_usage(&["synced"]).await? == Some(6),
            "lost what was synced"
        );
        let unsynced = cluster.disk_usage(&["unsynced"]).await?;
        ensure!(
            unsynced == Some(0),
            "the control kept what was never synced: {unsynced:?}"
        );
        std::fs::write(cluster.log(), "")?;
        doors.start(Start::Plain).await?;
        logged(cluster.as_ref(), "up").await?;
        ensure!(!cluster.is_disturbed());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn without() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run
            .start("echo up; sleep 1000 & wait", Budget::edge())
            .await?;
        logged(cluster.as_ref(), "up").await?;
        let doors = faults(cluster.as_ref())?;
        for refused in [doors.fill_disk().await, doors.break_disk().await] {
            let words = refused.map(|w| w.to_string()).unwrap_err().to_string();
            ensure!(words.contains("none of its own"), "{words}");
        }
        doors.undo().await?;
        ensure!(!cluster.is_disturbed());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}
