//! What this binary does when it is not the test: serve, own a cell, observe one.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use reports::budget::Budget;

use crate::specimen::{Run, address, block_on, logged};

/// A server that ends on SIGTERM, also as the first process of a pid namespace, where the kernel drops signals
/// without a handler.
pub const SERVE: &str = "trap 'exit 0' TERM; {self} probe-serve {address}:7000 & wait";

pub fn run(args: &[OsString]) -> Option<ExitCode> {
    let word = |nth: usize| args.get(nth).and_then(|arg| arg.to_str()).unwrap_or("");
    let done = match word(1) {
        "probe-serve" => serve(word(2)),
        "probe-own" => own(word(2).into()),
        "probe-hurt" => hurt(word(2).into()),
        "probe-hold" => hold(word(2)),
        "probe-observe" => observe(word(2).into()),
        _ => return None,
    };
    Some(match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:?}");
            ExitCode::FAILURE
        }
    })
}

/// Greets each caller with its own pid namespace's view of itself.
fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("bind {address}"))?;
    println!("serving {}", listener.local_addr()?);
    for caller in listener.incoming() {
        let _ = writeln!(caller?, "pid {}", std::process::id());
    }
    Ok(())
}

/// Provisions a cell, says so, and waits to be killed.
fn own(state: PathBuf) -> Result<()> {
    block_on(async {
        let run = Run::at(state)?;
        let cluster = run.start(SERVE, Budget::edge()).await?;
        logged(cluster.as_ref(), "serving ").await?;
        println!("up");
        std::future::pending::<()>().await;
        Ok(())
    })
}

/// Provisions a cell with a disk, kills and starts its server, fills the disk, freezes it all, and waits to be killed.
fn hurt(state: PathBuf) -> Result<()> {
    block_on(async {
        let run = Run::at(state)?;
        let cluster = run.start_on_disk(SERVE).await?;
        let faults = cluster.faults().map_err(anyhow::Error::msg)?;
        faults.kill().await?;
        faults.start(harness::target::Start::Plain).await?;
        faults.fill_disk().await?;
        faults.freeze().await?;
        println!("up");
        std::future::pending::<()>().await;
        Ok(())
    })
}

/// Holds so many MiB and goes on using a little more, slowly.
fn hold(mebibytes: &str) -> Result<()> {
    let pages = mebibytes.parse::<usize>()? << 8;
    let page = || vec![b'x'; 4096];
    let mut held: Vec<Vec<u8>> = (0..pages).map(|_| page()).collect();
    println!("holding");
    loop {
        std::thread::sleep(std::time::Duration::from_millis(1));
        if held.len() < 2 * pages {
            held.push(page());
        }
        // What is in use is not given up by the kernel.
        held.iter_mut().for_each(|page| page[0] ^= 1);
    }
}

/// Provisions a cell without root and tells the evidence.
fn observe(state: PathBuf) -> Result<()> {
    block_on(async {
        let run = Run::at(state)?;
        // An orphan, which only a subreaper can still find.
        let script =
            "(sleep 1000 & echo orphan $!); trap 'exit 3' TERM; echo serving; sleep 1000 & wait";
        let cluster = run.start(script, Budget::edge()).await?;
        let orphan = logged(cluster.as_ref(), "orphan ").await?;
        logged(cluster.as_ref(), "serving").await?;
        let mut readings = Vec::new();
        for sampler in &mut cluster.samplers()? {
            println!("source {}", sampler.name());
            sampler.sample(&mut readings)?;
        }
        println!("address {}", address(cluster.as_ref())?);
        println!("readings {readings:?}");
        println!("processes {}", cluster.processes().await.len());
        println!(
            "evidence {}",
            serde_json::to_string(&cluster.budget_evidence())?
        );
        let ended = cluster.ended();
        let left = cluster.destroy().await;
        println!("ended {:?}", ended.await);
        if !left.is_empty() || PathBuf::from(format!("/proc/{orphan}")).exists() {
            bail!("left: {left:?}, or the orphan {orphan}");
        }
        run.nothing_stands()?;
        println!("gone");
        Ok(())
    })
}

/// The first line of a child's output.
pub fn first_line(out: impl std::io::Read) -> std::io::Result<String> {
    let mut line = String::new();
    std::io::BufReader::new(out).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
