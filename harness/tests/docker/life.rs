//! From provisioning to nothing.

use std::io::Read;
use std::net::TcpStream;

use anyhow::{Context, Result, ensure};
use harness::distribution::Access;
use harness::engine::{What, address};
use harness::scope::Resource;
use harness::target::docker::{DockerArgs, DockerTarget, Reach};
use harness::target::{Cluster, Target};
use reports::budget::Budget;
use reports::metric::Metric;

use crate::probe::{FILL, SERVE};
use crate::specimen::{DEADLINE, Run, all_gone, block_on, client, logged};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("life/a_server_is_reached_measured_and_gone", whole),
    ("life/the_budget_is_the_kernels", budget),
    ("life/without_a_budget_nothing_is_limited", unlimited),
    (
        "life/too_much_memory_is_an_oom_kill_with_evidence",
        too_much,
    ),
    ("life/an_exit_code_is_told", exit_code),
    ("life/kept_data_outlives_the_cell", kept),
    ("life/two_cells_at_once", two),
    ("life/a_published_port_is_on_loopback", published),
    ("life/a_given_image_is_used_and_stays", given),
    ("refused/a_missing_program_leaves_nothing", missing_program),
    ("refused/a_work_folder_elsewhere", elsewhere),
];

async fn destroy(run: &Run, cluster: Box<dyn Cluster>) -> Result<()> {
    let standing = run.scope.standing();
    ensure!(standing.len() == 5, "{standing:?}");
    let left = tokio::time::timeout(DEADLINE, cluster.destroy()).await?;
    ensure!(left.is_empty(), "leftovers: {left:?}");
    all_gone(&client(&address())?, &standing).await?;
    run.nothing_stands()
}

fn greeting(cluster: &dyn Cluster) -> Result<String> {
    let Access::Etcd { url } = cluster.access() else {
        anyhow::bail!("no URL");
    };
    let mut text = String::new();
    TcpStream::connect(url.trim_start_matches("http://"))?.read_to_string(&mut text)?;
    Ok(text)
}

fn whole() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(SERVE, Budget::edge()).await?;
        logged(cluster.log(), "serving ").await?;
        ensure!(logged(cluster.log(), "variable ").await? == "yes");
        ensure!(greeting(cluster.as_ref())? == "pid 1\n");
        let mut readings = Vec::new();
        for sampler in &mut cluster.samplers()? {
            sampler.sample(&mut readings)?;
        }
        let value = |wanted| readings.iter().find(|(metric, _)| *metric == wanted);
        let (_, usage) = value(Metric::Usage).context("no usage")?;
        ensure!(
            *usage > 0.0 && *usage < f64::from(512 << 20),
            "{readings:?}"
        );
        let processes = cluster.processes().await;
        ensure!(processes.len() == 1, "{processes:?}");
        let ran = cluster.exec(&["/bin/probe", "probe-exit", "7"]).await?;
        ensure!(ran.code == 7, "{ran:?}");
        let facts = cluster.facts();
        ensure!(
            facts.iter().any(|(key, _)| key == "container rights"),
            "{facts:?}"
        );
        let ended = cluster.ended();
        destroy(&run, cluster).await?;
        ensure!(ended.await.code == Some(0), "it was not asked to end first");
        Ok(())
    })
}

fn budget() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(SERVE, "300Mi/0.5".parse()?).await?;
        logged(cluster.log(), "serving ").await?;
        let evidence = cluster.budget_evidence();
        ensure!(
            evidence.enforced && evidence.stayed_in_cgroup,
            "{evidence:?}"
        );
        ensure!(
            evidence.memory_limit_bytes == Some(300 << 20),
            "{evidence:?}"
        );
        ensure!(evidence.cpu_limit_milli == Some(500), "{evidence:?}");
        ensure!(evidence.oom_kills == Some(0), "{evidence:?}");
        destroy(&run, cluster).await
    })
}

fn unlimited() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(SERVE, "unlimited".parse()?).await?;
        let evidence = cluster.budget_evidence();
        ensure!(evidence.memory_limit_bytes.is_none(), "{evidence:?}");
        ensure!(evidence.cpu_limit_milli.is_none(), "{evidence:?}");
        destroy(&run, cluster).await
    })
}

fn too_much() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let cluster = run.start(FILL, "128Mi/1".parse()?).await?;
        let exit = tokio::time::timeout(DEADLINE, cluster.ended()).await?;
        ensure!(exit.oom_killed && exit.signal == Some(9), "{exit:?}");
        // The engine has removed the cgroup by now; what the kernel counted must have been kept.
        let evidence = cluster.budget_evidence();
        ensure!(
            evidence.oom_kills >= Some(1) && evidence.limit_hits >= 1,
            "{evidence:?}"
        );
        ensure!(
            evidence.memory_limit_bytes == Some(128 << 20),
            "{evidence:?}"
        );
        ensure!(evidence.stayed_in_cgroup, "{evidence:?}");
        let log = std::fs::read_to_string(cluster.log())?;
        ensure!(log.contains("filled 64 MiB"), "{log}");
        destroy(&run, cluster).await
    })
}

fn exit_code() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        // It may have ended before the engine was asked for its pid; then provisioning tells the same.
        match run.start(&["probe-exit", "3"], Budget::edge()).await {
            Ok(cluster) => {
                let exit = tokio::time::timeout(DEADLINE, cluster.ended()).await?;
                ensure!(exit.code == Some(3) && !exit.oom_killed, "{exit:?}");
                destroy(&run, cluster).await
            }
            Err(error) => {
                ensure!(format!("{error:#}").contains("status 3"), "{error:#}");
                run.nothing_stands()
            }
        }
    })
}

fn kept() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, Budget::edge())?;
        cell.keep = true;
        let cluster = DockerTarget::default().provision(&cell, &run.scope).await?;
        let left = cluster.destroy().await;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(cell.work.join("data").is_dir());
        ensure!(run.scope.standing().is_empty());
        Ok(())
    })
}

fn two() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let (one, other) = futures::try_join!(
            run.start(SERVE, Budget::edge()),
            run.start(SERVE, Budget::edge())
        )?;
        for cluster in [&one, &other] {
            logged(cluster.log(), "serving ").await?;
            ensure!(greeting(cluster.as_ref())? == "pid 1\n");
        }
        ensure!(one.access() != other.access(), "both at {:?}", one.access());
        let standing = run.scope.standing();
        let (left, right) = futures::join!(one.destroy(), other.destroy());
        ensure!(left.is_empty() && right.is_empty(), "{left:?} {right:?}");
        all_gone(&client(&address())?, &standing).await?;
        run.nothing_stands()
    })
}

fn published() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let target = DockerTarget::new(DockerArgs {
            docker_reach: Some(Reach::Published),
            ..DockerArgs::default()
        });
        let cluster = run.start_on(&target, SERVE, Budget::edge()).await?;
        logged(cluster.log(), "serving ").await?;
        ensure!(greeting(cluster.as_ref())? == "pid 1\n");
        let access = format!("{:?}", cluster.access());
        ensure!(access.contains("http://127.0.0.1:"), "{access}");
        destroy(&run, cluster).await
    })
}

/// What the user gave is the user's: neither relabelled nor removed.
fn given() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let first = run.start(SERVE, Budget::edge()).await?;
        let made = run
            .scope
            .standing()
            .into_iter()
            .find_map(|resource| match resource {
                Resource::Engine(held) if held.what == What::Image => Some(held.name),
                _ => None,
            });
        let image = made.context("no image in the ledger")?;
        let target = DockerTarget::new(DockerArgs {
            docker_image: Some(image.clone()),
            ..DockerArgs::default()
        });
        let second = run.start_on(&target, SERVE, Budget::edge()).await?;
        logged(second.log(), "serving ").await?;
        let left = second.destroy().await;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(client(&address())?.inspect_image(&image).await.is_ok());
        destroy(&run, first).await
    })
}

fn missing_program() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, Budget::edge())?;
        cell.binaries.clear();
        let (reason, skipped) = run.refusal(&cell).await?;
        let no_engine = harness::engine::look(&address()).is_err();
        ensure!(skipped == no_engine, "{reason}");
        ensure!(no_engine || reason.contains("was not found"), "{reason}");
        Ok(())
    })
}

fn elsewhere() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, Budget::edge())?;
        cell.work = std::env::temp_dir().join("assay-not-there");
        let (reason, skipped) = run.refusal(&cell).await?;
        let no_engine = harness::engine::look(&address()).is_err();
        ensure!(skipped == no_engine, "{reason}");
        ensure!(no_engine || reason.contains("must lie beneath"), "{reason}");
        ensure!(!cell.work.exists());
        Ok(())
    })
}
