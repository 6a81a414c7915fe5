//! The runner: one cell after another, each provisioned, sampled, driven and destroyed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reports::event::{CellSpec, EventKind};
use reports::outcome::Outcome;

use crate::cancel::Cancel;
use crate::cell::{Cell, Shape};
use crate::distribution::ReadyWhen;
use crate::drive::{Driven, drive};
use crate::hold::{Held, hold};
use crate::journal::CellSink;
use crate::observer::SamplerCost;
use crate::plan::PlannedCell;
use crate::profile::{Profile, Repeats};
use crate::ready::{self, Ready};
use crate::sampler::{Driver, Rate};
use crate::scenario::{Access, Phase, Tap};
use crate::scope::Scope;
use crate::settle::{Unsettled, destroy, settle};
use crate::suite::Selection;
use crate::target::{Agent, Cluster, ProvisionError, Target, Timing};
use crate::text;
use crate::thrash::Thrash;
use crate::version::UNKNOWN;
use crate::watchdog;

/// What all cells of a run share.
pub struct RunSettings {
    /// The run's id.
    pub run: String,
    /// Where clusters are made.
    pub target: Arc<dyn Target>,
    /// What runs in each cell.
    pub selections: Vec<Selection>,
    /// How often the scenarios in it run.
    pub repeats: Repeats,
    /// Resolved binaries.
    pub binaries: BTreeMap<&'static str, PathBuf>,
    /// Version by distribution, as far as known before it runs.
    pub version: String,
    /// Where binaries come from, and their sums: shown in the record.
    pub artifacts: BTreeMap<String, String>,
    /// How many checks run at once.
    pub jobs: usize,
    /// How long a server may take to become ready.
    pub ready_within: Duration,
    /// How long it must serve after it became ready.
    pub hold: Duration,
    /// How much is run.
    pub profile: Profile,
    /// The run's folder: what a scenario records beside the journal goes there.
    pub folder: PathBuf,
}

/// Runs one cell from nothing to nothing. Everything that it finds leaves through `sink`.
pub async fn run_cell(
    settings: &RunSettings,
    planned: &PlannedCell,
    cell: &Cell,
    scope: &Scope,
    sink: &CellSink,
    cancel: &Cancel,
    cost: &mut SamplerCost,
) {
    if let Some(reason) = &planned.skip {
        sink.emit(EventKind::CellStarted(spec(settings, planned, Vec::new())));
        finish(sink, Outcome::Skipped, Some(reason.clone()));
        return;
    }
    // Dropped half-way, a provisioning takes back what it made.
    let provisioned = tokio::select! {
        provisioned = settings.target.provision(cell, scope) => provisioned,
        () = cancel.cancelled() => Err(ProvisionError::Failed(anyhow::anyhow!("interrupted while the cluster was made"))),
    };
    let cluster = match provisioned {
        Ok(cluster) => cluster,
        Err(error) => {
            sink.emit(EventKind::CellStarted(spec(settings, planned, Vec::new())));
            let outcome = match error {
                ProvisionError::Unavailable(_) => Outcome::Skipped,
                ProvisionError::Failed(_) => Outcome::Errored,
            };
            let items = take_back(scope).await;
            if !items.is_empty() {
                sink.emit(EventKind::Leftovers { items });
            }
            finish(sink, outcome, Some(text::tame(&error.to_string())));
            return;
        }
    };
    let command = command_words(cluster.as_ref());
    sink.at(
        cluster.started(),
        EventKind::CellStarted({
            let mut spec = spec(settings, planned, command);
            spec.artifacts.extend(cluster.facts());
            spec
        }),
    );
    let tap = Tap::default();
    let sampler = match start_sampler(cluster.as_ref(), sink, &tap) {
        Ok(sampler) => Some(sampler),
        Err(error) => {
            sink.warn(format!("nothing was sampled: {error:#}"));
            None
        }
    };
    let (outcome, reason) = serve(
        settings,
        planned,
        cluster.as_ref(),
        sink,
        &tap,
        cancel,
        sampler.as_ref(),
    )
    .await;
    if let Some(sampler) = sampler {
        cost.add(&sampler.driver.stop());
    }
    let leftovers = destroy(cluster, settings.target.patience()).await;
    if cell.keep && cell.work.exists() {
        sink.warn(format!(
            "--keep: the server's folder is {}; it holds its keys, and it is yours to remove: no sweep will",
            cell.work.display()
        ));
    }
    sink.emit(EventKind::Leftovers { items: leftovers });
    finish(sink, outcome, reason);
}

/// Removes what a provisioning that failed, or was dropped half-way, has left in the ledger; gives what stays.
pub(crate) async fn take_back(scope: &Scope) -> Vec<String> {
    let scope = scope.clone();
    let removing = tokio::task::spawn_blocking(move || {
        let standing = scope.standing().into_iter().rev();
        let stayed = standing.filter_map(|resource| {
            let why = scope.release(&resource).err()?;
            Some(format!("{}: {why}", resource.describe()))
        });
        stayed.collect()
    });
    removing.await.unwrap_or_else(|error| {
        vec![format!(
            "the clean-up ended early ({error}); run `assay sweep`"
        )]
    })
}

/// From a started server to the end of the last scenario.
async fn serve(
    settings: &RunSettings,
    planned: &PlannedCell,
    cluster: &dyn Cluster,
    sink: &CellSink,
    tap: &Tap,
    cancel: &Cancel,
    sampler: Option<&Sampling>,
) -> (Outcome, Option<String>) {
    let name = if cluster.start_unseen().is_some() {
        "reach/connect"
    } else {
        "cold_start/boot"
    };
    let boot = Phase::begin(sink, tap, "footprint", name);
    let last_seen = Mutex::new("nothing yet".to_owned());
    let mut conditions = planned.distribution.ready_when(planned.shape).to_vec();
    if planned.shape == Shape::Node {
        conditions.push(ReadyWhen::Node);
        if planned.agents > 0 {
            conditions.push(ReadyWhen::Agents);
        }
        conditions.push(ReadyWhen::FirstPod);
    }
    let waited = ready::wait(cluster, &conditions, &settings.run, &last_seen);
    let ready = tokio::select! {
        () = cancel.cancelled() => return (Outcome::Errored, Some("interrupted while the server started".into())),
        exit = cluster.ended() => {
            let how = died(cluster, sink, &exit);
            let lived = Lived {
                restarts: 1,
                ..Lived::default()
            };
            evidence(cluster, sink, lived);
            let reason = format!("the server {how} before it was ready; its log: {}", cluster.log().display());
            return (Outcome::Errored, Some(reason));
        }
        thrash = watchdog::never_ready(cluster) => {
            let reason = format!("the server did not become ready: {thrash}; its log: {}", cluster.log().display());
            let lived = Lived {
                thrashed: Some(thrash),
                ..Lived::default()
            };
            evidence(cluster, sink, lived);
            return (Outcome::Errored, Some(reason));
        }
        waited = tokio::time::timeout(settings.ready_within, waited) => match waited {
            Ok(Ok(ready)) => ready,
            Ok(Err(error)) => {
                evidence(cluster, sink, Lived::default());
                return (Outcome::Errored, Some(text::tame(&format!("{error:#}"))));
            }
            Err(_) => {
                evidence(cluster, sink, Lived::default());
                let seen = last_seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
                let reason = format!(
                    "the server was not ready within {:?}; last seen: {}; its log: {}",
                    settings.ready_within, text::tame(&seen), cluster.log().display()
                );
                return (Outcome::Errored, Some(reason));
            }
        },
    };
    let ready_at = Instant::now();
    let ready = Ready {
        access: match ready.access {
            Access::Kubernetes(api) => Access::Kubernetes(api.patient(settings.target.patience())),
            etcd @ Access::Etcd(_) => etcd,
        },
        ..ready
    };
    let unknown = settings.version == UNKNOWN;
    let patience = settings.target.patience();
    let settled = settle(patience, cluster, sink, &ready, boot, unknown, cancel).await;
    if let Some(sampler) = sampler {
        sampler.rate.set(Rate::SETTLED_HZ);
    }
    let driven = match settled {
        Ok(()) => drive(settings, planned, cluster, &ready.access, sink, tap, cancel).await,
        Err(Unsettled::Interrupted) => Driven::Interrupted,
        Err(Unsettled::Died(exit)) => Driven::Died(exit),
    };
    let mut thrashed = None;
    let (serving, restarts, result) = match driven {
        Driven::Done { outcome, reason } => {
            let held = hold(
                settings,
                cluster,
                &ready.access,
                sink,
                tap,
                cancel,
                ready_at,
            )
            .await;
            match held {
                Held::Served => (Some(true), 0, (outcome, reason)),
                Held::Silent => (Some(false), 0, (outcome, reason)),
                Held::Died => (Some(false), 1, (outcome, reason)),
                Held::Interrupted => (
                    None,
                    0,
                    (
                        Outcome::Errored,
                        Some("interrupted in the hold period".into()),
                    ),
                ),
            }
        }
        Driven::Died(exit) => {
            let how = died(cluster, sink, &exit);
            (
                Some(false),
                1,
                (
                    Outcome::Errored,
                    Some(format!(
                        "the server {how} while it was driven; its log: {}",
                        cluster.log().display()
                    )),
                ),
            )
        }
        Driven::Silent(silence) => {
            let how = &silence.how;
            let reason = format!("the server {how}; its log: {}", cluster.log().display());
            sink.warn(format!("the server runs but {how}"));
            thrashed = silence.thrashed;
            (Some(false), 0, (Outcome::Errored, Some(reason)))
        }
        Driven::Interrupted => (None, 0, (Outcome::Errored, Some("interrupted".into()))),
    };
    let facts = Lived {
        restarts,
        serving,
        held: ready_at.elapsed(),
        thrashed,
    };
    evidence(cluster, sink, facts);
    result
}

/// A running sampler and the switch of its rate.
struct Sampling {
    driver: Driver,
    rate: Rate,
}

/// Sources that see more than the server: the host, or a whole emulated machine. They are in the record, but no
/// scenario takes their figures for the server's.
fn is_beside(source: &str) -> bool {
    matches!(source, "host-pressure" | "guest-machine")
        || source.starts_with(reports::figures::OBSERVER)
}

fn start_sampler(cluster: &dyn Cluster, sink: &CellSink, tap: &Tap) -> anyhow::Result<Sampling> {
    let (sink, tap) = (sink.clone(), tap.clone());
    let rate = Rate::new(Rate::STARTING_HZ);
    let driver = Driver::start(
        cluster.samplers()?,
        rate.clone(),
        Box::new(move |at, source: &str, readings| {
            if !is_beside(source) {
                tap.push(at, &readings);
            }
            sink.at(
                at,
                EventKind::Sample {
                    source: source.to_owned(),
                    readings,
                },
            );
        }),
    )?;
    Ok(Sampling { driver, rate })
}

/// Records a death, and says how it came.
pub(crate) fn died(cluster: &dyn Cluster, sink: &CellSink, exit: &crate::target::Exit) -> String {
    let how = match (exit.oom_killed, exit.signal, exit.code) {
        (true, ..) => "was killed by the kernel for exceeding its memory budget".to_owned(),
        (_, Some(signal), _) => format!("was ended by signal {signal}"),
        (_, _, Some(code)) => format!("exited with code {code}"),
        _ => "ended in an unknown way".to_owned(),
    };
    sink.emit(EventKind::ServerDied {
        how: how.clone(),
        log_tail: text::last_words(cluster.log()),
    });
    how
}

/// What the runner saw of a server's life.
#[derive(Default)]
struct Lived {
    restarts: u64,
    serving: Option<bool>,
    held: Duration,
    thrashed: Option<Thrash>,
}

fn evidence(cluster: &dyn Cluster, sink: &CellSink, lived: Lived) {
    let mut evidence = cluster.budget_evidence();
    evidence.restarts = lived.restarts;
    evidence.serving_after_hold = lived.serving;
    evidence.hold_ms = lived.held.as_secs_f64() * 1e3;
    // Whatever ran: an agent that nobody drives has a budget, too.
    evidence.agents = cluster.agents().iter().map(Agent::evidence).collect();
    evidence.thrashed = lived.thrashed.map(|thrash| thrash.to_string());
    sink.emit(EventKind::BudgetEvidence(evidence));
}

fn finish(sink: &CellSink, outcome: Outcome, reason: Option<String>) {
    sink.emit(EventKind::CellFinished { outcome, reason });
}

fn command_words(cluster: &dyn Cluster) -> Vec<String> {
    let command = cluster.command();
    let program = command.program.display().to_string();
    text::redact_words(std::iter::once(program).chain(command.args.iter().cloned()))
}

fn spec(settings: &RunSettings, planned: &PlannedCell, command: Vec<String>) -> CellSpec {
    CellSpec {
        target: settings.target.name().to_owned(),
        distribution: planned.distribution.name().to_owned(),
        version: settings.version.clone(),
        datastore: planned.datastore.to_string(),
        repeat: planned.repeat,
        shape: planned.shape.to_string(),
        env: text::redact_pairs(&planned.env),
        arch: settings.target.arch().map(|arch| arch.to_string()),
        emulated: settings.target.timing() == Timing::Emulated,
        budget: planned.budget.clone(),
        specimen: planned.distribution.is_specimen(),
        artifacts: settings.artifacts.clone(),
        command,
    }
}
