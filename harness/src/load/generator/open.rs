//! Open loop: requests are due at fixed times, whether or not earlier ones were answered.
//!
//! A request that is due takes a free client. Where none is free, because as many as allowed are under way, it waits,
//! and its latency counts from the moment at which it was due. What still waits at the end was never sent, and is
//! counted as that.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Instant;

use anyhow::Context;
use tokio::task::JoinSet;

use super::client::Client;
use super::closed::cpu_of;
use super::pacer::Pacer;
use super::window::Window;
use crate::load::tally::Load;
use crate::load::workload::{Mix, Workload};

/// What the pacer and the requests under way share.
struct Shared {
    mix: Mix,
    window: Window,
    load: Rc<RefCell<Load>>,
    /// In the order in which they became free, so that the work goes round all keys.
    idle: RefCell<VecDeque<Client>>,
    /// When those were due that no client was free for.
    backlog: RefCell<VecDeque<Instant>>,
}

/// Sends what is due until the window's end, then waits for the last answers.
///
/// # Errors
/// When a request's task ended otherwise, or there is no timer.
pub async fn drive(
    clients: Vec<Client>,
    workload: &Workload,
    per_second: f64,
    load: &Rc<RefCell<Load>>,
) -> anyhow::Result<()> {
    let origin = Instant::now();
    let window = Window::of(workload);
    let pacer = Pacer::new(origin, per_second)?;
    let shared = Rc::new(Shared {
        mix: workload.mix,
        window,
        load: load.clone(),
        idle: RefCell::new(clients.into()),
        backlog: RefCell::default(),
    });
    let cpu = tokio::task::spawn_local(cpu_of(window));
    let mut tasks = JoinSet::new();
    let all = pacer.due_before(window.end);
    let mut sent = 0;
    while sent < all {
        pacer.until(pacer.due(sent)).await?;
        // Also those that became due while this task was not running, in one go.
        let now = pacer.due_before(Instant::now()).clamp(sent + 1, all);
        for nth in sent..now {
            release(&shared, pacer.due(nth), &mut tasks);
        }
        sent = now;
        // Ended tasks are not kept.
        while let Some(ended) = tasks.try_join_next() {
            ended.context(PANICKED)?;
        }
    }
    let cpu = cpu.await.context(PANICKED)?;
    let unsent = std::mem::take(&mut *shared.backlog.borrow_mut());
    {
        let mut load = load.borrow_mut();
        load.due = all - pacer.due_before(window.start);
        load.unsent = unsent.iter().filter(|due| window.holds(**due)).count() as u64;
        (load.own_cpu, load.generator_cpu) = cpu;
    }
    while let Some(ended) = tasks.join_next().await {
        ended.context(PANICKED)?;
    }
    Ok(())
}

const PANICKED: &str = "failed to run a workload: a request panicked; report this as a bug";

/// Hands a request that is due to a free client, or puts it into the backlog.
fn release(shared: &Rc<Shared>, due: Instant, tasks: &mut JoinSet<()>) {
    let idle = shared.idle.borrow_mut().pop_front();
    match idle {
        Some(client) => {
            let shared = shared.clone();
            tasks.spawn_local(go(shared, client, due));
        }
        None => {
            let mut backlog = shared.backlog.borrow_mut();
            backlog.push_back(due);
            let mut load = shared.load.borrow_mut();
            load.backlog_max = load.backlog_max.max(backlog.len() as u64);
        }
    }
}

/// Sends a request, and then those that wait, until none does.
async fn go(shared: Rc<Shared>, client: Client, due: Instant) {
    let late = Instant::now().saturating_duration_since(due).as_micros();
    if shared.window.holds(due) {
        let late = u64::try_from(late).unwrap_or(u64::MAX);
        shared.load.borrow_mut().lateness.saturating_record(late);
    }
    let mut next = Some(due);
    while let Some(due) = next {
        let (kind, answer) = client.step(&shared.mix).await;
        let end = Instant::now();
        let latency = shared.window.holds(due).then(|| end - due);
        let within = shared.window.holds(end);
        let mut load = shared.load.borrow_mut();
        load.answered(kind, &answer, within, latency);
        next = shared.backlog.borrow_mut().pop_front();
    }
    shared.idle.borrow_mut().push_back(client);
}
