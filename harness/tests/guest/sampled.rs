//! The stream of samples.

use std::time::Duration;

use anyhow::{Context, ensure};
use harness::guest::{Exec, Images, Record, SERVER_CGROUP, Samples, Spawn};
use reports::metric::Metric;

use crate::machine::{Disks, Machine, run};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[("sampled/the_machine_and_a_server", sampled)];

const PATIENCE: Duration = Duration::from_secs(60);

fn sampled(images: &Images) -> Outcome {
    run(async {
        let folder = tempfile::tempdir()?;
        let (machine, control, _) =
            Machine::ready(images, folder.path(), &Disks::default()).await?;
        let samples = Samples::connect(&machine.socket("samples"))?;
        let before = samples.wait(PATIENCE, |_| true)?;
        ensure!(before.server.is_none(), "there is no server yet");
        let available =
            value(&before.machine, Metric::MachineAvailable).context("no MachineAvailable")?;
        ensure!(
            available > 300e6 && available < 512e6 * 1.05,
            "{available} of 512 MiB available"
        );

        let spawn = Spawn {
            argv: [
                "sh",
                "-c",
                "x=$(head -c 30000000 /dev/zero | tr '\\0' x); sleep 1000",
            ]
            .map(str::to_owned)
            .to_vec(),
            cgroup: Some(SERVER_CGROUP.into()),
            log: "/tmp/log".into(),
            ..Spawn::default()
        };
        let pid = control.spawn(&spawn).await?;
        let full = |record: &Record| {
            let anon = record
                .server
                .as_deref()
                .and_then(|server| value(server, Metric::Anon));
            anon.is_some_and(|anon| anon > 30e6)
        };
        let loaded = samples.wait(PATIENCE, full)?;
        ensure!(loaded.sequence > before.sequence && loaded.at > before.at);
        let server = loaded.server.context("no server")?;
        ensure!(
            value(&server, Metric::WorkingSet) >= value(&server, Metric::Anon),
            "{server:?}"
        );
        ensure!(value(&server, Metric::CpuUsed) > Some(0.0), "{server:?}");
        let cpu = |record: &[(Metric, f64)]| value(record, Metric::MachineCpuUsed);
        ensure!(cpu(&loaded.machine) > cpu(&before.machine));

        control.kill_group(pid, 9).await?;
        control.ended(pid).await?;
        control
            .exec(&Exec::new(&["rmdir", "/sys/fs/cgroup/server"]))
            .await?;
        samples.wait(PATIENCE, |record| record.server.is_none())?;

        let mut samplers = samples.samplers();
        let mut readings = Vec::new();
        samplers[1].sample(&mut readings)?;
        ensure!(!readings.is_empty(), "the sampler hands on what came");
        let cost = samples.cost().context("no cost")?;
        ensure!(cost.records > 2 && cost.lost == 0, "{cost:?}");
        eprintln!(
            "{cost:?}: {:.2} % of the guest's CPU; {:.0} kB available",
            cost.percent().unwrap_or(f64::NAN),
            available / 1024.0
        );
        Ok(())
    })
}

fn value(readings: &[(Metric, f64)], metric: Metric) -> Option<f64> {
    readings
        .iter()
        .find(|(other, _)| *other == metric)
        .map(|(_, value)| *value)
}
