//! Provisioned, inside, limited, measured, destroyed.

use std::net::{IpAddr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, ensure};
use harness::target::Cluster;
use reports::budget::Budget;
use reports::metric::Metric;

use crate::probe::{SERVE, first_line};
use crate::specimen::{DEADLINE, Run, address, block_on, destroy, logged, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("life/inside_from_the_first_instruction", inside),
    ("life/fixed_paths_are_private", fixed_paths),
    (
        "life/limits_are_read_back_and_samplers_read",
        limits_and_samplers,
    ),
    ("life/a_hog_is_oom_killed_against_its_budget", hog),
    ("life/exit_status_is_reported", exit_status),
    ("life/two_side_by_side", side_by_side),
    ("life/unlimited_is_measured_all_the_same", unlimited),
    ("life/a_server_deaf_to_sigterm_goes_too", deaf),
    ("life/dropped_without_destroy", dropped),
    ("life/leaving_the_cgroup_is_noticed", leaving),
];

async fn greeting(address: IpAddr) -> anyhow::Result<String> {
    until("the server answers over its veth", || {
        let to = SocketAddr::new(address, 7000);
        let stream = TcpStream::connect_timeout(&to, Duration::from_secs(5)).ok()?;
        first_line(stream).ok()
    })
    .await
}

fn inside() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let look = "echo pid $$; while read -r l; do echo group $l; done < /proc/self/cgroup; \
                    set -- /proc/self/fd/*; echo fds $*; \
                    n=0; for p in /proc/[0-9]*; do n=$((n+1)); done; echo processes $n; \
                    while read -r l; do echo route $l; done < /proc/net/route; echo var $ASSAY_TEST; echo looked; ";
        let cluster = run.start(&format!("{look}{SERVE}"), Budget::edge()).await?;
        logged(cluster.as_ref(), "looked").await?;
        let log = std::fs::read_to_string(cluster.log())?;
        ensure!(log.contains("pid 1\n"), "not the first process: {log}");
        ensure!(log.contains("processes 1\n"), "sees others: {log}");
        ensure!(log.contains("var yes\n"), "lacks its variable: {log}");
        ensure!(
            log.contains("route eth0 00000000"),
            "no default route: {log}"
        );
        for controller in ["memory", "cpu", "cpuacct"] {
            let line = log.lines().find(|line| {
                line.starts_with("group ")
                    && line
                        .split(':')
                        .nth(1)
                        .is_some_and(|names| names.split(',').any(|n| n == controller))
            });
            // On v2 there is one line without controllers.
            let line = line.or_else(|| log.lines().find(|line| line.starts_with("group 0::")));
            ensure!(
                line.is_some_and(|line| line.contains("/assay-")),
                "{controller}: {log}"
            );
        }
        // Standard ones, and the one with which the shell reads or lists.
        let fds = log
            .lines()
            .find_map(|line| line.strip_prefix("fds "))
            .context("no fds")?;
        ensure!(fds.split(' ').count() <= 4, "inherited descriptors: {fds}");
        ensure!(
            greeting(address(cluster.as_ref())?)
                .await?
                .starts_with("pid ")
        );
        ensure!(cluster.budget_evidence().stayed_in_cgroup);
        ensure!(cluster.started().elapsed() < DEADLINE);
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn fixed_paths() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let there = |path: &str| std::fs::read_dir(path).map(|dir| dir.count()).ok();
        let paths = [
            "/run",
            "/etc/rancher",
            "/var/lib/rancher",
            "/var/lib/kubelet",
        ];
        let before = paths.map(there);
        let script = "set -e; for d in /run /etc/rancher /var/lib/rancher /var/lib/kubelet; do \
                      set -- $d/*; test $# = 1; test ! -e \"$1\"; mkdir -p $d/assay-test/x; done; \
                      test -s /etc/passwd; test -d /var/lib/dpkg -o -d /var/lib/misc -o -d /var/lib/apk; \
                      printf data >{data}/mine; echo written; sleep 1000";
        let cluster = run.start(script, Budget::edge()).await?;
        logged(cluster.as_ref(), "written").await?;
        let mine = cluster.disk_usage(&["mine"]).await?;
        ensure!(
            mine == Some(4),
            "the data folder is not shared: {mine:?} bytes"
        );
        ensure!(paths.map(there) == before, "the host's folders changed");
        ensure!(!Path::new("/run/assay-test").exists());
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}

fn limits_and_samplers() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(SERVE, "96Mi/250m".parse()?).await?;
        logged(cluster.as_ref(), "serving ").await?;
        let evidence = cluster.budget_evidence();
        ensure!(evidence.enforced, "{evidence:?}");
        ensure!(
            evidence.memory_limit_bytes == Some(96 << 20),
            "{evidence:?}"
        );
        ensure!(evidence.cpu_limit_milli == Some(250), "{evidence:?}");
        ensure!(
            evidence.oom_kills == Some(0) && evidence.limit_hits == 0,
            "{evidence:?}"
        );
        ensure!(
            evidence
                .peak_bytes
                .is_some_and(|peak| peak > 0 && peak <= 96 << 20),
            "{evidence:?}"
        );
        let mut readings = Vec::new();
        let mut samplers = cluster.samplers()?;
        for sampler in &mut samplers {
            sampler.sample(&mut readings)?;
        }
        for metric in [
            Metric::Usage,
            Metric::Anon,
            Metric::Peak,
            Metric::CpuUsed,
            Metric::WorkingSet,
        ] {
            let value = readings
                .iter()
                .find(|(m, _)| *m == metric)
                .map(|(_, value)| *value);
            ensure!(
                value.is_some_and(|value| value > 0.0),
                "{metric:?} is {value:?}"
            );
        }
        let processes = cluster.processes().await;
        ensure!(
            processes.len() == 2,
            "a shell and a server, not {processes:?}"
        );
        ensure!(
            processes
                .iter()
                .all(|p| p.rss_bytes > 0 && p.pss_bytes.is_some())
        );
        destroy(&run, cluster).await?;
        // The source has gone, and its sampler says so instead of telling zeros.
        ensure!(samplers[0].sample(&mut readings).is_err());
        Ok(())
    })
}

fn hog() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cell = run.cell("/usr/bin/tail", &["/dev/zero"], "32Mi/1".parse()?)?;
        let cluster = harness::target::Target::provision(&run.target, &cell, &run.scope).await?;
        let exit = tokio::time::timeout(DEADLINE, cluster.ended()).await?;
        ensure!(exit.oom_killed && exit.signal == Some(9), "{exit:?}");
        let evidence = cluster.budget_evidence();
        ensure!(
            evidence.oom_kills >= Some(1) && evidence.limit_hits > 0,
            "{evidence:?}"
        );
        ensure!(evidence.stayed_in_cgroup, "{evidence:?}");
        let peak = evidence.peak_bytes.unwrap_or(0);
        // Some charges cannot be refused (page tables, for one), so the mark may lie a few pages above the limit.
        ensure!((31 << 20..33 << 20).contains(&peak), "{evidence:?}");
        // Asked again, it answers the same.
        ensure!(cluster.ended().await == exit);
        destroy(&run, cluster).await
    })
}

fn exit_status() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        for (script, code, signal) in [("exit 7", Some(7), None), ("exit 0", Some(0), None)] {
            let cluster = run.start(script, Budget::edge()).await?;
            let exit = tokio::time::timeout(DEADLINE, cluster.ended()).await?;
            ensure!(
                (exit.code, exit.signal, exit.oom_killed) == (code, signal, false),
                "{exit:?}"
            );
            destroy(&run, cluster).await?;
        }
        Ok(())
    })
}

fn side_by_side() -> Outcome {
    block_on(async {
        let (one, two) = (Run::new()?, Run::new()?);
        let (a, b) = tokio::join!(
            one.start(SERVE, Budget::edge()),
            two.start(SERVE, Budget::edge())
        );
        let (a, b) = (a?, b?);
        let [at_a, at_b] = [address(a.as_ref())?, address(b.as_ref())?];
        ensure!(at_a != at_b);
        greeting(at_a).await?;
        greeting(at_b).await?;
        destroy(&one, a).await?;
        greeting(at_b).await?;
        destroy(&two, b).await?;
        one.nothing_stands()?;
        two.nothing_stands()
    })
}

fn unlimited() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(SERVE, Budget::unlimited()).await?;
        let evidence = cluster.budget_evidence();
        ensure!(evidence.memory_limit_bytes.is_none() && evidence.cpu_limit_milli.is_none());
        ensure!(
            evidence.peak_bytes.is_some() && evidence.stayed_in_cgroup,
            "{evidence:?}"
        );
        destroy(&run, cluster).await
    })
}

fn deaf() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        // The first process of a pid namespace is deaf to signals without a handler.
        let cluster = run
            .start("echo up; sleep 1000 & wait", Budget::edge())
            .await?;
        logged(cluster.as_ref(), "up").await?;
        let ended = cluster.ended();
        destroy(&run, cluster).await?;
        ensure!(ended.await.signal == Some(9));
        run.nothing_stands()
    })
}

fn dropped() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster: Box<dyn Cluster> = run.start(SERVE, Budget::edge()).await?;
        let standing = run.scope.standing();
        tokio::task::spawn_blocking(|| drop(cluster)).await?;
        crate::specimen::all_gone(&standing)?;
        run.nothing_stands()
    })
}

fn leaving() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        // What a kubelet with `--kubelet-cgroups` does: K3s moves itself out of its budget.
        let script = "for f in /sys/fs/cgroup/memory/cgroup.procs /sys/fs/cgroup/cgroup.procs; do \
                      test -e $f && echo 1 > $f; done; echo moved; sleep 1000 & wait";
        let cluster = run.start(script, Budget::edge()).await?;
        logged(cluster.as_ref(), "moved").await?;
        ensure!(!cluster.budget_evidence().stayed_in_cgroup);
        destroy(&run, cluster).await?;
        run.nothing_stands()
    })
}
