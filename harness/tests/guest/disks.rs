//! The data disk over a power cut, and the programs' disk.

use anyhow::ensure;
use harness::artifact::Cache;
use harness::guest::{Exec, Images, make_data_disk, programs_image};

use crate::machine::{Disks, Machine, run};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[("disks/what_was_synced_outlives_a_power_cut", power_cut)];

fn power_cut(images: &Images) -> Outcome {
    run(async {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data.ext4");
        make_data_disk(&data, 256 << 20).await?;
        let program = folder.path().join("program");
        std::fs::write(&program, "#!/bin/sh\necho ran\n")?;
        let cache = Cache::at(folder.path().join("cache"));
        let programs = programs_image(&cache, &[("program", &program)]).await?;
        ensure!(
            programs == programs_image(&cache, &[("program", &program)]).await?,
            "it is cached"
        );
        let disks = Disks {
            data: Some(&data),
            programs: Some(&programs),
        };

        let (machine, control, first) = Machine::ready(images, folder.path(), &disks).await?;
        let output = control.exec(&Exec::new(&["/opt/assay/program"])).await?;
        ensure!(output.stdout == b"ran\n", "{output:?}");
        control.put("/data/kept", 0o600, b"kept").await?;
        control.exec(&Exec::new(&["sync"])).await?;
        drop(machine);

        let (_machine, control, second) = Machine::ready(images, folder.path(), &disks).await?;
        ensure!(first.boot_id != second.boot_id);
        ensure!(control.get("/data/kept", 100).await? == b"kept");
        let recovered = control
            .exec(&Exec::new(&[
                "sh",
                "-c",
                "dmesg | grep 'EXT4-fs.*recovery complete'",
            ]))
            .await?;
        ensure!(
            recovered.exit.code == Some(0),
            "the power cut left no journal to recover: {recovered:?}"
        );
        Ok(())
    })
}
