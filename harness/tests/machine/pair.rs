//! Two guests on one switch: they hear each other, are cut off, and heal.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::artifact::Cache;
use harness::guest::{Bundle, Control, Exec, GuestArgs, Images, prepare};
use harness::machine::qcow2::make_overlay;
use harness::machine::{Disk, DiskFormat, Link, Machine, Nic, Switch};
use harness::scope::Scope;

use crate::bare::{DEADLINE, block_on, forwarded, spec, surroundings};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[(
    "cluster/two_guests_on_a_switch_that_cuts_delays_and_loses",
    pair,
)];

const ADDRESSES: [[u8; 6]; 2] = [[2, 0, 0, 0, 7, 1], [2, 0, 0, 0, 7, 2]];

struct Guest {
    machine: Machine,
    control: Control,
    _state: tempfile::TempDir,
}

impl Guest {
    async fn boot(images: &Images, switch: &Path, nth: usize) -> Result<Self> {
        let state = tempfile::tempdir()?;
        let scope = Scope::open(state.path(), "run-1")?;
        let folder = state.path().join("work/m");
        std::fs::create_dir_all(&folder)?;
        let root = folder.join("root.qcow2");
        make_overlay(&root, &images.root, DiskFormat::Raw)?;
        let mut spec = spec(&folder)?;
        spec.size.memory_mib = 256;
        spec.kernel.clone_from(&images.kernel);
        spec.initramfs.clone_from(&images.initramfs);
        spec.ports = vec!["assay.ctl", "assay.samples"];
        spec.disks = vec![Disk {
            file: root,
            format: DiskFormat::Qcow2,
            read_only: false,
            serial: "assay-root",
        }];
        spec.nics = vec![Nic::Stream {
            socket: switch.to_owned(),
            address: ADDRESSES[nth],
        }];
        let machine = Machine::boot(spec, &forwarded(), surroundings(state.path(), &scope)).await?;
        let socket = machine.spec().port("assay.ctl");
        let (control, _) = Control::connect(&socket, DEADLINE, 2)
            .await
            .with_context(|| {
                let console = std::fs::read_to_string(folder.join("console.log"));
                format!("the console: {}", console.unwrap_or_default())
            })?;
        let guest = Self {
            machine,
            control,
            _state: state,
        };
        let up = format!(
            "ip addr add 10.77.0.{}/24 dev eth1 && ip link set eth1 up",
            nth + 1
        );
        let (code, words) = guest.shell(&up).await?;
        ensure!(code == Some(0), "{words}");
        Ok(guest)
    }

    async fn shell(&self, line: &str) -> Result<(Option<i32>, String)> {
        let output = self.control.exec(&Exec::new(&["sh", "-c", line])).await?;
        let words = [output.stdout, output.stderr].concat();
        Ok((
            output.exit.code,
            String::from_utf8_lossy(&words).into_owned(),
        ))
    }

    /// Whether the other one answers, within a second for each of three attempts.
    async fn hears(&self, other: usize) -> Result<bool> {
        let ping = format!("ping -c 3 -W 1 10.77.0.{}", other + 1);
        Ok(self.shell(&ping).await?.0 == Some(0))
    }
}

fn pair() -> Outcome {
    block_on(async {
        let cache = Cache::of_user();
        let images = prepare(&GuestArgs::default(), Bundle::Etcd, &cache).await?;
        let folder = tempfile::tempdir()?;
        let switch = Switch::open(&folder.path().join("switch"))?;
        let (one, two) = tokio::try_join!(
            Guest::boot(&images, switch.path(), 0),
            Guest::boot(&images, switch.path(), 1)
        )?;
        ensure!(
            one.hears(1).await? && two.hears(0).await?,
            "{:?}",
            switch.traffic()
        );
        let cut = Link {
            cut: true,
            ..Link::default()
        };
        switch.set(ADDRESSES[1], cut);
        ensure!(!one.hears(1).await?, "it is cut off and answers");
        ensure!(
            switch.traffic().cut > 0,
            "no frame met the cut: {:?}",
            switch.traffic()
        );
        let slow = Link {
            delay: Duration::from_millis(100),
            ..Link::default()
        };
        switch.set(ADDRESSES[1], slow);
        let (code, words) = one.shell("ping -c 3 -W 5 10.77.0.2").await?;
        ensure!(code == Some(0), "healed, and no answer: {words}");
        // round-trip min/avg/max = 201.2/203.0/206.4 ms
        let least = words
            .lines()
            .find_map(|line| {
                line.split_once(" = ")?
                    .1
                    .split('/')
                    .next()?
                    .parse::<f64>()
                    .ok()
            })
            .with_context(|| format!("no times in {words}"))?;
        ensure!(
            least >= 200.0,
            "100 ms each way, and an answer after {least} ms"
        );
        let lossy = Link {
            loss: 1.0,
            ..Link::default()
        };
        switch.set(ADDRESSES[1], lossy);
        ensure!(!one.hears(1).await?, "all is lost, and an answer comes");
        ensure!(
            switch.traffic().lost > 0,
            "no frame was lost: {:?}",
            switch.traffic()
        );
        let left = [one.machine.end().await, two.machine.end().await].concat();
        ensure!(left.is_empty(), "{left:?}");
        Ok(())
    })
}
