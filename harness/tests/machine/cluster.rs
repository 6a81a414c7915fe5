//! etcd in an emulated machine: provisioned, measured, cut off, killed, destroyed.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use fixtures::etcd::client::Client;
use harness::cell::Cell;
use harness::distribution::{Access, Datastore, etcd::Etcd};
use harness::guest::{Bundle, GuestArgs, GuestError, prepare};
use harness::machine::{Profile, TimeMode};
use harness::sampler::Sampler;
use harness::target::qemu::QemuTarget;
use harness::target::{Cluster, Restart, Target};
use reports::budget::Budget;
use reports::metric::Metric;

use crate::bare::{Bench, block_on};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("cluster/etcd_is_measured_within_its_machine", measured),
    (
        "cluster/a_power_cut_on_tap_takes_what_was_not_flushed_and_only_that",
        power_cut,
    ),
    ("cluster/a_killed_server_starts_again_on_its_data", killed),
    ("cluster/its_unasked_end_is_told", ended),
    ("cluster/a_saved_state_on_tap_goes_on_with_its_data", saved),
    (
        "cluster/a_booted_guest_is_restored_into_zram_and_a_network_of_its_own",
        guest_restored,
    ),
];

/// No step takes longer, also on a busy host.
pub const DEADLINE: Duration = Duration::from_secs(240);

/// Why there is no guest to test with, if there is none. One that fails to build is no reason to ignore a test.
pub fn lacking() -> Result<Option<String>> {
    let target = target()?;
    block_on(async {
        match prepare(&GuestArgs::default(), Bundle::Etcd, &target.cache).await {
            Ok(_) => Ok(None),
            Err(GuestError::Unavailable(reason)) => Ok(Some(reason)),
            Err(GuestError::Failed(error)) => Err(error.context("failed to build the guest")),
        }
    })
}

pub fn target() -> Result<QemuTarget> {
    Ok(QemuTarget {
        name: "qemu",
        profile: Profile::find("aarch64-virt")?,
        time: TimeMode::Free,
        restore: false,
        zram: None,
        guest: GuestArgs::default(),
        helper: None,
        cache: harness::artifact::Cache::of_user(),
    })
}

struct Provisioned {
    bench: Bench,
    cluster: Box<dyn Cluster>,
}

impl Provisioned {
    async fn new() -> Result<Self> {
        Self::with(&target()?, Vec::new()).await
    }

    async fn with(target: &QemuTarget, env: Vec<(String, String)>) -> Result<Self> {
        let bench = Bench::new()?;
        let logs = bench.state.path().join("logs");
        std::fs::create_dir_all(&logs)?;
        let cell = Cell {
            id: "qemu-etcd".into(),
            distribution: &Etcd,
            datastore: Datastore::Etcd,
            shape: Default::default(),
            env,
            agents: 0,
            budget: Budget::edge(),
            disk: None,
            binaries: Default::default(),
            work: bench.scope.work().join("c"),
            keep: false,
            logs,
        };
        let provisioning = target.provision(&cell, &bench.scope);
        let cluster = tokio::time::timeout(DEADLINE, provisioning).await??;
        Ok(Self { bench, cluster })
    }

    /// A client of the etcd as soon as it answers.
    async fn client(&self) -> Result<Client> {
        let Access::Etcd { url } = self.cluster.access() else {
            anyhow::bail!("no etcd");
        };
        let end = Instant::now() + DEADLINE;
        loop {
            let answer = async {
                let client = Client::connect(url, None).await?;
                client.revision().await?;
                anyhow::Ok(client)
            };
            match tokio::time::timeout(Duration::from_secs(5), answer).await {
                Ok(Ok(client)) => return Ok(client),
                other if Instant::now() >= end => {
                    anyhow::bail!(
                        "no answer within {DEADLINE:?}: {:?}",
                        other.map(|r| r.err())
                    )
                }
                _ => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn shell(&self, line: &str) -> Result<String> {
        let output = self.cluster.exec(&["sh", "-c", line]).await?;
        ensure!(output.code == 0, "{line}: {output:?}");
        Ok(String::from_utf8(output.stdout)?)
    }

    async fn gone(self) -> Outcome {
        let left = self.cluster.destroy().await;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(self.bench.scope.standing().is_empty());
        let work = self.bench.scope.work().join("c");
        ensure!(!work.exists(), "{} is left", work.display());
        Ok(())
    }
}

fn newest(samplers: &mut [Box<dyn Sampler>], source: &str, metric: Metric) -> Result<Option<f64>> {
    let mut found = None;
    for sampler in samplers.iter_mut().filter(|s| s.name() == source) {
        let mut readings = Vec::new();
        sampler.sample(&mut readings)?;
        found = readings.iter().find(|r| r.0 == metric).map(|r| r.1);
    }
    Ok(found)
}

/// The next value of a metric of the guest's.
async fn value(samplers: &mut [Box<dyn Sampler>], source: &str, metric: Metric) -> Result<f64> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = newest(samplers, source, metric)? {
            return Ok(value);
        }
        ensure!(Instant::now() < end, "no {metric:?} of {source} came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn measured() -> Outcome {
    block_on(async {
        let here = Provisioned::new().await?;
        let client = here.client().await?;
        client.create("/registry/a", b"x".to_vec(), 0).await?;
        let mut samplers = here.cluster.samplers()?;
        let anon = value(&mut samplers, "guest-cgroup", Metric::Anon).await?;
        ensure!(anon > 1e6, "{anon} bytes of anonymous memory");
        let free: u64 = here
            .shell("free -k | awk '/Mem:/{print $7}'")
            .await?
            .trim()
            .parse()?;
        let seen = value(&mut samplers, "guest-machine", Metric::MachineAvailable).await?;
        let ratio = seen / (free * 1024) as f64;
        // The sampler and `free` in the guest agree within 3 %.
        ensure!(
            (0.97..1.03).contains(&ratio),
            "{seen} bytes, and free says {free} kB"
        );
        // So do it and the balloon driver, by way of the emulator.
        let twice = here.cluster.available_twice().await;
        let twice = twice.context("the emulator tells nothing of the guest's memory")?;
        let ratio = twice.sampler as f64 / twice.emulator as f64;
        ensure!((0.97..1.03).contains(&ratio), "{twice:?}");
        let evidence = here.cluster.budget_evidence();
        let limit = evidence.memory_limit_bytes.context("no limit")?;
        ensure!(evidence.machine && evidence.cpu_limit_milli == Some(1000));
        // What the guest's own kernel says of the machine: it keeps some for itself.
        let total: u64 = here
            .shell("awk '/^MemTotal:/ { print $2 }' /proc/meminfo")
            .await?
            .trim()
            .parse()?;
        ensure!(
            limit == total * 1024 && (460 << 20..512 << 20).contains(&limit),
            "{total} kB, and the evidence says {limit}"
        );
        let peak = evidence.peak_bytes.context("no peak")?;
        ensure!((20 << 20..400 << 20).contains(&peak), "{peak}");
        ensure!(here.cluster.disk_usage(&["etcd/member"]).await? > Some(1 << 20));
        ensure!(here.cluster.disk_usage(&["nothing"]).await? == Some(0));
        let processes = here.cluster.processes().await;
        ensure!(processes.iter().any(|p| p.name == "etcd"), "{processes:?}");
        let facts = here.cluster.facts();
        ensure!(
            facts.iter().any(|(key, _)| key == "guest kernel"),
            "{facts:?}"
        );
        here.gone().await
    })
}

fn power_cut() -> Outcome {
    block_on(async {
        let here = Provisioned::new().await?;
        let client = here.client().await?;
        // etcd answers only after its log was fsynced.
        client
            .create("/registry/acknowledged", b"x".to_vec(), 0)
            .await?;
        let mut samplers = here.cluster.samplers()?;
        value(&mut samplers, "guest-cgroup", Metric::CpuUsed).await?;
        here.shell(
            "cd /data && echo kept > flushed && sync flushed 2>/dev/null || sync; \
             for n in $(seq 50); do echo lost > unflushed-$n; done",
        )
        .await?;
        let restarted = here.cluster.restart(Restart::PowerCut).await?;
        ensure!(restarted.before != restarted.after, "{restarted:?}");
        ensure!(here.cluster.started() == restarted.at);
        let kept = here.shell("cat /data/flushed").await?;
        ensure!(kept == "kept\n", "flushed data is gone: {kept:?}");
        // The control: without it, nothing says that the power was really cut.
        let survivors = here
            .shell("cat /data/unflushed-* 2>/dev/null | wc -l")
            .await?;
        ensure!(
            survivors.trim() == "0",
            "{survivors} unflushed files survived"
        );
        let client = here.client().await?;
        let (found, _) = client.get("/registry/acknowledged", 0).await?;
        ensure!(found.is_some(), "an acknowledged write is gone");
        // The same samplers go on with the next boot's figures.
        value(&mut samplers, "guest-cgroup", Metric::CpuUsed).await?;
        let log = std::fs::read_to_string(here.cluster.log())?;
        ensure!(!log.is_empty());
        here.gone().await
    })
}

fn killed() -> Outcome {
    block_on(async {
        let here = Provisioned::new().await?;
        let client = here.client().await?;
        client
            .create("/registry/acknowledged", b"x".to_vec(), 0)
            .await?;
        let restarted = here.cluster.restart(Restart::Kill).await?;
        ensure!(restarted.before != restarted.after, "{restarted:?}");
        let client = here.client().await?;
        ensure!(client.get("/registry/acknowledged", 0).await?.0.is_some());
        here.gone().await
    })
}

fn ended() -> Outcome {
    block_on(async {
        let here = Provisioned::new().await?;
        here.client().await?;
        let ended = here.cluster.ended();
        here.shell("kill -9 $(pidof etcd)").await?;
        let exit = tokio::time::timeout(DEADLINE, ended).await?;
        ensure!(exit.signal == Some(9), "{exit:?}");
        ensure!(Path::new(here.cluster.log()).is_file());
        here.gone().await
    })
}

fn saved() -> Outcome {
    block_on(async {
        let target = QemuTarget {
            restore: true,
            ..target()?
        };
        // A state of its own: what people saved is neither used nor spoiled.
        let own = vec![(
            "ASSAY_TEST".to_owned(),
            harness::api::namespace::unique("state"),
        )];
        let first = Provisioned::with(&target, own.clone()).await?;
        let client = first.client().await?;
        ensure!(first.cluster.start_unseen().is_none());
        client.create("/registry/saved", b"x".to_vec(), 0).await?;
        first.cluster.served().await?;
        // The machine goes on after it was saved.
        ensure!(client.get("/registry/saved", 0).await?.0.is_some());
        client.create("/registry/later", b"x".to_vec(), 0).await?;
        first.gone().await?;
        let second = Provisioned::with(&target, own).await?;
        ensure!(
            second.cluster.start_unseen().is_some(),
            "it was booted: {:?}",
            second.cluster.facts()
        );
        let client = second.client().await?;
        ensure!(client.get("/registry/saved", 0).await?.0.is_some());
        ensure!(
            client.get("/registry/later", 0).await?.0.is_none(),
            "it is not what was saved"
        );
        let here = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)?
            .as_secs();
        let there: u64 = second.shell("date +%s").await?.trim().parse()?;
        ensure!(
            here.abs_diff(there) <= 5,
            "the guest's clock stands at {there}, ours at {here}"
        );
        let mut samplers = second.cluster.samplers()?;
        value(&mut samplers, "guest-cgroup", Metric::Anon).await?;
        // Its disks are overlays of the saved ones: cut off, it boots anew on them.
        second.cluster.restart(Restart::PowerCut).await?;
        let client = second.client().await?;
        ensure!(client.get("/registry/saved", 0).await?.0.is_some());
        second.gone().await
    })
}

fn guest_restored() -> Outcome {
    block_on(async {
        // The second finds what the first has saved, unless somebody had saved it before.
        let target = QemuTarget {
            restore: true,
            zram: Some(64 << 20),
            ..target()?
        };
        let first = Provisioned::with(&target, Vec::new()).await?;
        let one = first.shell("cat /proc/sys/kernel/random/uuid").await?;
        // While the first one holds its network, the second must get another.
        let second = Provisioned::with(&target, Vec::new()).await?;
        let boot = second.cluster.boot().context("no boot")?;
        let facts = second.cluster.facts();
        ensure!(boot.restored && boot.cpu.is_some(), "{boot:?}, {facts:?}");
        ensure!(
            second.cluster.start_unseen().is_none(),
            "its server was started, not restored"
        );
        second.client().await?;
        let other = second.shell("cat /proc/sys/kernel/random/uuid").await?;
        ensure!(one != other, "both drew {one}");
        ensure!(
            facts.iter().any(|(key, _)| key == "zram"),
            "the record does not say that there is zram: {facts:?}"
        );
        let mut samplers = second.cluster.samplers()?;
        value(&mut samplers, "guest-machine", Metric::MachineZramUsed).await?;
        first.gone().await?;
        second.gone().await
    })
}
