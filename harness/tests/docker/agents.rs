//! Cells with agents: further containers beside the server's.

use std::io::Read;
use std::net::{IpAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::cell::Shape;
use harness::distribution::ReadyWhen;
use harness::distribution::k3s::K3s;
use harness::engine::address;
use harness::ready;
use harness::scope::Resource;
use harness::target::docker::DockerTarget;
use harness::target::{Cluster, Link, Target};
use reports::budget::Budget;

use crate::probe::SERVE;
use crate::specimen::{DEADLINE, Run, all_gone, block_on, client, logged, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("agents/each_is_reached_held_to_its_budget_and_gone", each),
    ("agents/one_that_ends_is_lost_and_says_how", lost),
    ("agents/k3s_two_nodes_are_ready", k3s),
];

/// A whole K3s with its agent takes a minute on two CPUs; this bounds and does not measure.
const READY_WITHIN: Duration = Duration::from_secs(300);

/// Why the test with K3s cannot run here.
pub fn missing() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("a whole node needs root".to_owned());
    }
    match std::env::var_os("K3S_BINARY").map(PathBuf::from) {
        Some(path) if path.is_file() => None,
        _ => Some("K3S_BINARY names no file".to_owned()),
    }
}

async fn destroy(run: &Run, cluster: Box<dyn Cluster>) -> Result<()> {
    let standing = run.scope.standing();
    let left = tokio::time::timeout(DEADLINE, cluster.destroy()).await?;
    ensure!(left.is_empty(), "leftovers: {left:?}");
    all_gone(&client(&address())?, &standing).await?;
    run.nothing_stands()
}

fn greeting(address: IpAddr) -> Result<String> {
    let mut text = String::new();
    TcpStream::connect((address, 7000))?.read_to_string(&mut text)?;
    Ok(text)
}

fn each() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, "300Mi/0.5".parse()?)?;
        cell.agents = 2;
        let cluster = DockerTarget::default().provision(&cell, &run.scope).await?;
        logged(cluster.log(), "serving ").await?;
        let agents = cluster.agents();
        ensure!(agents.len() == 2, "{agents:?}");
        ensure!(agents[0].address != agents[1].address, "{agents:?}");
        for agent in &agents {
            ensure!(logged(&agent.log, "variable ").await? == agent.name);
            ensure!(greeting(agent.address)? == "pid 1\n");
            ensure!(agent.memory_limit_bytes == Some(300 << 20), "{agent:?}");
            ensure!(agent.lost().is_none(), "{agent:?}");
        }
        // The server's five, and of each agent its container and its first process.
        let standing = run.scope.standing();
        ensure!(standing.len() == 9, "{standing:?}");
        destroy(&run, cluster).await
    })
}

/// Killed by its pid from the ledger: the cluster's own view must tell, and not take it for the server's end.
fn lost() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, Budget::edge())?;
        cell.agents = 1;
        let cluster = DockerTarget::default().provision(&cell, &run.scope).await?;
        let agents = cluster.agents();
        logged(&agents[0].log, "serving ").await?;
        let pid = run.scope.standing().iter().find_map(|held| match held {
            Resource::Process { pid, what, .. } if what.starts_with("an agent") => Some(*pid),
            _ => None,
        });
        let pid = rustix::process::Pid::from_raw(pid.context("no agent in the ledger")?);
        rustix::process::kill_process(pid.context("no pid")?, rustix::process::Signal::KILL)?;
        let words = until("the agent to be lost", || cluster.agents()[0].lost()).await?;
        ensure!(words.contains("signal 9"), "{words}");
        let ended = cluster.ended();
        ensure!(futures::poll!(ended).is_pending(), "the server ended too");
        destroy(&run, cluster).await
    })
}

fn k3s() -> Outcome {
    block_on(async {
        let run = Run::new()?;
        let mut cell = run.cell(SERVE, Budget::server())?;
        cell.distribution = &K3s;
        cell.shape = Shape::Node;
        cell.agents = 1;
        let binary = std::env::var_os("K3S_BINARY").context("K3S_BINARY is not set")?;
        cell.binaries = [("k3s", PathBuf::from(binary))].into();
        let cluster = DockerTarget::default().provision(&cell, &run.scope).await?;
        let conditions = [ReadyWhen::Listening, ReadyWhen::Node, ReadyWhen::Agents];
        let seen = Mutex::new(String::new());
        let waiting = ready::wait(cluster.as_ref(), &conditions, "test", &seen);
        let waited = tokio::time::timeout(READY_WITHIN, waiting).await;
        let log = std::fs::read_to_string(&cluster.agents()[0].log)?;
        waited.with_context(|| format!("last seen: {seen:?}; the agent says: {log}"))??;
        // Each is witnessed by the agent itself.
        let name = cluster.agents()[0].name.clone();
        cluster.set_link(&name, Link::Down).await?;
        ensure!(cluster.set_link("nobody", Link::Up).await.is_err());
        cluster.set_link(&name, Link::Up).await?;
        destroy(&run, cluster).await
    })
}
