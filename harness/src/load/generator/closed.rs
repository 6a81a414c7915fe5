//! Closed loop: each client sends its next request when its last was answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use reports::history::Answer;
use tokio::task::JoinSet;

use super::client::Client;
use super::window::Window;
use crate::load::cpu::process_cpu;
use crate::load::tally::Load;
use crate::load::workload::{Mix, Workload};

/// A server that refuses at once must not be flooded.
const AFTER_AN_ERROR: Duration = Duration::from_millis(10);

/// Runs the clients until the window's end, and until each has its last answer.
///
/// # Errors
/// When a client ended otherwise.
pub async fn drive(
    clients: Vec<Client>,
    workload: &Workload,
    load: &Rc<RefCell<Load>>,
) -> anyhow::Result<()> {
    let window = Window::of(workload);
    let mix = workload.mix;
    let mut tasks = JoinSet::new();
    for client in clients {
        tasks.spawn_local(go(client, mix, window, load.clone()));
    }
    load.borrow_mut().own_cpu = cpu_of(window).await;
    while let Some(ended) = tasks.join_next().await {
        ended.context("failed to run a workload: a client panicked; report this as a bug")?;
    }
    Ok(())
}

/// CPU time of assay during a window.
pub async fn cpu_of(window: Window) -> Duration {
    tokio::time::sleep_until(window.start.into()).await;
    let before = process_cpu();
    tokio::time::sleep_until(window.end.into()).await;
    process_cpu().saturating_sub(before)
}

async fn go(client: Client, mix: Mix, window: Window, load: Rc<RefCell<Load>>) {
    let mut start = Instant::now();
    while start < window.end {
        let (kind, answer) = client.step(&mix).await;
        let end = Instant::now();
        let failed = matches!(answer, Answer::Refused { .. } | Answer::Unknown { .. });
        {
            let mut load = load.borrow_mut();
            if window.holds(end) && !failed {
                load.answered_within += 1;
            }
            if window.holds(start) {
                load.due += 1;
                load.take(kind, &answer, end - start);
            }
        }
        start = end;
        if failed {
            tokio::time::sleep(AFTER_AN_ERROR).await;
            start = Instant::now();
        }
    }
}
