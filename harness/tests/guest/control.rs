//! What the agent does on request.

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use harness::guest::{Event, Exec, Images, SERVER_CGROUP, Spawn};

use crate::machine::{Disks, Machine, run};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("control/programs_files_and_power_off", acts),
    ("control/a_server_in_its_cgroup", server),
    ("control/the_agent_outlives_its_connections", reconnects),
];

fn acts(images: &Images) -> Outcome {
    run(async {
        let folder = tempfile::tempdir()?;
        let (machine, control, hello) =
            Machine::ready(images, folder.path(), &Disks::default()).await?;
        ensure!(hello.kernel.contains("arm64"), "{hello:?}");
        ensure!(control.boot_id().await? == hello.boot_id);

        let mut exec = Exec::new(&["sh", "-c", "echo out; echo err >&2; echo \"$WORD\"; exit 3"]);
        exec.env.push(("WORD".into(), "a b".into()));
        let output = control.exec(&exec).await?;
        ensure!(
            (output.exit.code, output.exit.signal) == (Some(3), None),
            "{output:?}"
        );
        ensure!(
            output.stdout == b"out\na b\n" && output.stderr == b"err\n",
            "{output:?}"
        );

        let mut slow = Exec::new(&["sleep", "1000"]);
        slow.deadline = Duration::from_millis(300);
        let output = control.exec(&slow).await?;
        ensure!(
            output.timed_out && output.exit.signal == Some(9),
            "{output:?}"
        );

        let mut long = Exec::new(&["dd", "if=/dev/zero", "bs=1000", "count=100"]);
        long.most = 1234;
        let output = control.exec(&long).await?;
        ensure!(output.truncated && output.stdout.len() == 1234);

        let refused = control
            .exec(&Exec::new(&["/no/such/program"]))
            .await
            .unwrap_err();
        ensure!(
            format!("{refused:#}").contains("No such file"),
            "{refused:#}"
        );

        // Every byte, in an order in which a frame's magic does not help, over several parts.
        let content: Vec<u8> = (0..1u32 << 20)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        control.put("/tmp/file", 0o640, &content).await?;
        ensure!(
            control.get("/tmp/file", 2 << 20).await? == content,
            "1 MiB came back otherwise"
        );
        let mode = control
            .exec(&Exec::new(&["stat", "-c", "%a", "/tmp/file"]))
            .await?;
        ensure!(mode.stdout == b"640\n", "{mode:?}");
        ensure!(
            control.get("/tmp/file", 100).await.is_err(),
            "the cap holds"
        );
        ensure!(control.get("/proc/sys/kernel/ostype", 100).await? == b"Linux\n");

        let to = SystemTime::UNIX_EPOCH + Duration::from_secs(2_000_000_000);
        control.set_clock(to).await?;
        let date = control.exec(&Exec::new(&["date", "+%s"])).await?;
        ensure!(date.stdout.starts_with(b"20000000"), "{date:?}");

        control.power_off(Duration::from_secs(60)).await?;
        machine.wait(Duration::from_secs(60))
    })
}

fn server(images: &Images) -> Outcome {
    run(async {
        let folder = tempfile::tempdir()?;
        let (_machine, control, _) =
            Machine::ready(images, folder.path(), &Disks::default()).await?;
        let mut events = control.events();
        let mut spawn = Spawn {
            // Says where it is, waits, and then wants more than it may have.
            argv: [
                "sh",
                "-c",
                "cat /proc/self/cgroup; read line < /tmp/go; tail -c 100000000 /dev/zero",
            ]
            .map(str::to_owned)
            .to_vec(),
            cgroup: Some(SERVER_CGROUP.into()),
            limits: vec![("memory.max".into(), "33554432".into())],
            log: "/tmp/log".into(),
            ..Spawn::default()
        };
        control.exec(&Exec::new(&["mknod", "/tmp/go", "p"])).await?;
        let pid = control.spawn(&spawn).await?;
        ensure!(control.status(pid).await?.exit.is_none());
        ensure!(
            control
                .processes(pid)
                .await?
                .iter()
                .any(|process| process.pid == pid && process.rss_bytes > 0)
        );
        control
            .exec(&Exec::new(&["sh", "-c", "echo > /tmp/go"]))
            .await?;
        let exit = control.ended(pid).await?;
        ensure!(exit.oom_killed, "{exit:?}");
        let told = events.recv().await?;
        ensure!(
            matches!(told, Event::Exited { pid: other, .. } if other == pid),
            "{told:?}"
        );
        ensure!(control.status(pid).await?.oom_kills > Some(0));
        ensure!(
            control
                .get("/tmp/log", 1000)
                .await?
                .starts_with(b"0::/server\n"),
            "not in its cgroup from the start"
        );

        spawn.argv = vec!["sleep".into(), "1000".into()];
        let second = control.spawn(&spawn).await?;
        control.kill_group(second, 15).await?;
        ensure!(control.ended(second).await?.signal == Some(15));
        ensure!(
            control.status(second).await?.oom_kills == Some(0),
            "a new server has charges of its own"
        );

        spawn.argv = vec!["/no/such/server".into()];
        ensure!(control.spawn(&spawn).await.is_err());
        ensure!(
            control.kill(1, 9).await.is_err(),
            "only what the agent started"
        );
        Ok(())
    })
}

fn reconnects(images: &Images) -> Outcome {
    run(async {
        let folder = tempfile::tempdir()?;
        let (machine, control, first) =
            Machine::ready(images, folder.path(), &Disks::default()).await?;
        drop(control);
        {
            use std::io::Write;
            // Half a frame, and then somebody else.
            let mut rude = std::os::unix::net::UnixStream::connect(machine.socket("ctl"))
                .context("failed to connect")?;
            rude.write_all(b"junk ASY1\0\0\0\x02\0\0\0\x07\0\0\xff\xff\0\0\0\0half")?;
        }
        for _ in 0..3 {
            let (control, again) = machine.control().await?;
            ensure!(again == first, "{again:?} was {first:?}");
            let output = control.exec(&Exec::new(&["echo", "here"])).await?;
            ensure!(output.stdout == b"here\n");
        }
        Ok(())
    })
}
