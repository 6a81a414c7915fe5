//! What this binary does when it is not the test: serve in a container, fill memory, own a cell.

use std::ffi::OsString;
use std::io::{BufRead, Write};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use reports::budget::Budget;

use crate::specimen::{Run, block_on, logged};

/// The arguments of a server.
pub const SERVE: &[&str] = &["probe-serve", "{address}:7000"];
/// The arguments of a server that takes ever more memory.
pub const FILL: &[&str] = &["probe-fill"];

pub fn run(args: &[OsString]) -> Option<ExitCode> {
    let word = |nth: usize| args.get(nth).and_then(|arg| arg.to_str()).unwrap_or("");
    let done = match word(1) {
        "probe-serve" => serve(word(2)),
        "probe-fill" => fill(),
        "probe-exit" => return Some(ExitCode::from(word(2).parse().unwrap_or(1))),
        "probe-own" => own(word(2).into()),
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

/// Greets each caller until SIGTERM. As the first process of its pid namespace it must have a handler, for the kernel
/// drops the signal otherwise.
fn serve(address: &str) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("bind {address}"))?;
    std::thread::spawn(|| {
        block_on::<()>(async {
            let kind = tokio::signal::unix::SignalKind::terminate();
            tokio::signal::unix::signal(kind)?.recv().await;
            std::process::exit(0)
        })
    });
    println!("serving {}", listener.local_addr()?);
    println!(
        "variable {}",
        std::env::var("ASSAY_TEST").unwrap_or_default()
    );
    for caller in listener.incoming() {
        let _ = writeln!(caller?, "pid {}", std::process::id());
    }
    Ok(())
}

/// Takes memory and touches it, without end.
fn fill() -> Result<()> {
    let mut held = Vec::new();
    loop {
        held.push(vec![1_u8; 8 << 20]);
        if held.len() % 8 == 0 {
            println!("filled {} MiB", held.len() * 8);
        }
    }
}

/// Provisions a cell, says so, destroys it when told to, and tells what stayed.
fn own(state: PathBuf) -> Result<()> {
    block_on(async {
        let run = Run::at(state)?;
        let cluster = run.start(SERVE, Budget::edge()).await?;
        logged(cluster.log(), "serving ").await?;
        println!("up");
        tokio::task::spawn_blocking(|| std::io::stdin().lock().read_line(&mut String::new()))
            .await??;
        for line in cluster.destroy().await {
            println!("left {line}");
        }
        println!("done");
        Ok(())
    })
}
