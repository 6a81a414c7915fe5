//! Closed loop: each client sends its next request when its last was answered.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tokio::task::JoinSet;

use super::client::Client;
use super::window::Window;
use crate::load::cpu::{process_cpu, thread_cpu};
use crate::load::tally::{Load, failed};
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
    let (own, generator) = cpu_of(window).await;
    {
        let mut load = load.borrow_mut();
        (load.own_cpu, load.generator_cpu) = (own, generator);
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context("failed to run a workload: a client panicked; report this as a bug")?;
    }
    Ok(())
}

/// CPU time of assay during a window, and that of this thread alone.
pub async fn cpu_of(window: Window) -> (Duration, Duration) {
    tokio::time::sleep_until(window.start.into()).await;
    let before = (process_cpu(), thread_cpu());
    tokio::time::sleep_until(window.end.into()).await;
    (
        process_cpu().saturating_sub(before.0),
        thread_cpu().saturating_sub(before.1),
    )
}

async fn go(client: Client, mix: Mix, window: Window, load: Rc<RefCell<Load>>) {
    let mut start = Instant::now();
    while start < window.end {
        let (kind, answer) = client.step(&mix).await;
        let end = Instant::now();
        {
            let latency = window.holds(start).then(|| end - start);
            let mut load = load.borrow_mut();
            load.due += u64::from(latency.is_some());
            load.answered(kind, &answer, window.holds(end), latency);
        }
        start = end;
        if failed(&answer) {
            tokio::time::sleep(AFTER_AN_ERROR).await;
            start = Instant::now();
        }
    }
}
