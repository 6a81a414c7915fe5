//! A server and an agent in two machines on one switch: they reach each other, the agent is cut off, and both go.
//!
//! Shells play the two, so that the machines and their network are what is tested.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::cell::{Cell, Shape};
use harness::distribution::{
    Access, AgentSpec, ArtifactNeed, CommandLine, Datastore, Distribution, ReadyWhen, ServerSpec,
    Surface,
};
use harness::target::{Cluster, Link, Target};
use reports::budget::Budget;

use crate::bare::{Bench, block_on};
use crate::cluster::{DEADLINE, target};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[("cluster/an_agent_joins_is_cut_off_mended_and_gone", joined)];

struct Shells;

fn shell(line: String, env: &[(String, String)]) -> CommandLine {
    CommandLine {
        program: "/bin/sh".into(),
        args: vec!["-c".to_owned(), line],
        env: env.to_vec(),
    }
}

impl Distribution for Shells {
    // That of the guest which the other tests have built.
    fn name(&self) -> &'static str {
        "etcd"
    }
    fn surfaces(&self) -> &'static [Surface] {
        &[]
    }
    fn datastores(&self) -> &'static [Datastore] {
        &[Datastore::Etcd]
    }
    fn artifacts(&self) -> &'static [ArtifactNeed] {
        &[]
    }
    fn server(&self, spec: &ServerSpec<'_>) -> CommandLine {
        let token = spec.token.unwrap_or("none");
        let line = format!(
            "echo \"at {:?}\"; echo token {token}; exec sleep 100000",
            spec.node_address
        );
        shell(line, spec.env)
    }
    fn has_agents(&self) -> bool {
        true
    }
    fn agent(&self, spec: &AgentSpec<'_>) -> Option<CommandLine> {
        let line = format!(
            "echo \"$WORD from {:?} to {}\"; echo token {}; exec sleep 100000",
            spec.address, spec.server, spec.token
        );
        Some(shell(line, spec.env))
    }
    fn access(&self, _: &ServerSpec<'_>) -> Access {
        Access::Etcd {
            url: "http://10.0.2.15:2379".to_owned(),
        }
    }
    fn ready_when(&self, _: Shape) -> &'static [ReadyWhen] {
        &[]
    }
    fn database_paths(&self, _: Datastore) -> &'static [&'static str] {
        &[]
    }
    fn etcd_metrics(&self, _: &ServerSpec<'_>) -> Option<String> {
        None
    }
}

/// The rest of the log's line that begins so.
async fn logged(log: &Path, begins: &str) -> Result<String> {
    let end = Instant::now() + DEADLINE;
    loop {
        let text = std::fs::read_to_string(log).unwrap_or_default();
        let found = text
            .lines()
            .find_map(|line| Some(line.strip_prefix(begins)?.to_owned()));
        if let Some(found) = found.filter(|_| text.ends_with('\n')) {
            return Ok(found);
        }
        ensure!(Instant::now() < end, "no {begins:?} in {text:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn provisioned(bench: &Bench, budget: Budget) -> Result<Box<dyn Cluster>> {
    let logs = bench.state.path().join("logs");
    std::fs::create_dir_all(&logs)?;
    let cell = Cell {
        id: "qemu-shells".into(),
        distribution: &Shells,
        datastore: Datastore::Etcd,
        shape: Default::default(),
        env: vec![("WORD".to_owned(), "heard".to_owned())],
        agents: 1,
        budget,
        disk: None,
        binaries: Default::default(),
        work: bench.scope.work().join("c"),
        keep: false,
        logs,
    };
    let target = target()?;
    let provisioning = target.provision(&cell, &bench.scope);
    Ok(tokio::time::timeout(DEADLINE, provisioning).await??)
}

fn joined() -> Outcome {
    block_on(async {
        let bench = Bench::new()?;
        let cluster = provisioned(&bench, "256Mi/1".parse()?).await?;
        let agents = cluster.agents();
        let agent = agents.first().context("no agent")?;
        ensure!(agents.len() == 1 && agent.lost().is_none(), "{agents:?}");
        // What its own kernel has of the machine's memory.
        let limit = agent.memory_limit_bytes.context("no limit")?;
        ensure!((192 << 20..256 << 20).contains(&limit), "{agent:?}");
        // The same secret, each other's address, and the server's variable.
        let words = logged(&agent.log, "heard from ").await?;
        ensure!(words == "Some(10.61.0.2) to 10.61.0.1", "{words}");
        let secret = logged(&agent.log, "token ").await?;
        ensure!(secret == logged(cluster.log(), "token ").await?, "{secret}");
        ensure!(logged(cluster.log(), "at ").await? == "Some(10.61.0.1)");
        // Each is witnessed by the agent's guest and by the switch.
        cluster.set_link(&agent.name, Link::Up).await?;
        cluster.set_link(&agent.name, Link::Down).await?;
        cluster.set_link(&agent.name, Link::Up).await?;
        ensure!(cluster.set_link("nobody", Link::Down).await.is_err());
        let peak = cluster.agents()[0].peak_bytes.context("no peak")?;
        ensure!(peak > 20 << 20 && peak < 256 << 20, "{peak}");
        let left = cluster.destroy().await;
        ensure!(left.is_empty(), "{left:?}");
        ensure!(bench.scope.standing().is_empty());
        ensure!(!bench.scope.work().join("c").exists());
        Ok(())
    })
}
