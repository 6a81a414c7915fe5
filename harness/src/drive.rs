//! Driving a ready cluster: every chosen check and scenario, until the end, the server's death or Ctrl-C.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use reports::event::EventKind;
use reports::outcome::Outcome;

use crate::api::Request;
use crate::cancel::Cancel;
use crate::check::{self, Limits, RunOptions};
use crate::distribution::{Surface, lacks};
use crate::journal::CellSink;
use crate::plan::PlannedCell;
use crate::probe;
use crate::runner::RunSettings;
use crate::scenario::{Access, Phase, Scenario, ScenarioContext, Tap};
use crate::suite::{self, Selection};
use crate::target::{Cluster, Exit, NOT_HERE};
use crate::watchdog::{self, Silence};

/// No scenario may take longer.
const SCENARIO_DEADLINE: Duration = Duration::from_secs(600);

/// Between two looks at a server that comes back.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How driving ended.
pub enum Driven {
    /// Everything that was chosen ran.
    Done {
        /// The worst outcome.
        outcome: Outcome,
        /// Why, where it is not passed.
        reason: Option<String>,
    },
    /// The server ended and nobody had asked it to.
    Died(Exit),
    /// The server still runs but has stopped answering.
    Silent(Silence),
    /// Ctrl-C.
    Interrupted,
}

/// Runs what was chosen.
pub async fn drive(
    settings: &RunSettings,
    planned: &PlannedCell,
    cluster: &dyn Cluster,
    access: &Access,
    sink: &CellSink,
    tap: &Tap,
    cancel: &Cancel,
) -> Driven {
    let everything = async {
        let mut worst = (Outcome::Passed, None);
        let mut note = |outcome: Outcome, reason: Option<String>| {
            if outcome > worst.0 {
                worst = (outcome, reason);
            }
        };
        let selections = match planned.repeat {
            0 => settings.selections.clone(),
            nth => suite::again(&settings.selections, nth, settings.repeats),
        };
        for selection in &selections {
            let cx = Scene {
                settings,
                planned,
                cluster,
                access,
                sink,
                tap,
                cancel,
            };
            if !planned.faults {
                let outcome = run_checks(&cx, selection).await;
                note(outcome, Some("see the checks".into()));
            }
            if selection.suite == probe::disk::BEFORE && !selection.scenarios.is_empty() {
                probe::disk::record(cluster, sink).await;
            }
            let elsewhere = |scenario: &dyn Scenario| {
                // Where there are faults, there are cells for them.
                settings.target.has_faults() && scenario.injects_faults() != planned.faults
            };
            for scenario in selection.scenarios.iter().filter(|s| !elsewhere(**s)) {
                let (outcome, reason) = run_scenario(&cx, selection.suite, *scenario).await;
                // A skipped scenario has its own line; it does not make the cell a skipped one.
                if outcome != Outcome::Skipped {
                    note(outcome, reason);
                }
                if cluster.is_disturbed() {
                    undo(&cx).await;
                }
            }
        }
        worst
    };
    tokio::select! {
        (outcome, reason) = everything => Driven::Done { outcome, reason: reason.filter(|_| outcome != Outcome::Passed) },
        exit = cluster.ended() => Driven::Died(exit),
        how = watchdog::silence(access, settings.target.patience(), cluster) => Driven::Silent(how),
        () = cancel.cancelled() => Driven::Interrupted,
    }
}

/// Brings a server back that a scenario left disturbed, so that the next one meets a sound one. Where that fails, the
/// server's end is told, which ends the cell.
async fn undo(scene: &Scene<'_>) {
    let Ok(faults) = scene.cluster.faults() else {
        return;
    };
    if let Err(error) = faults.undo().await {
        scene
            .sink
            .warn(format!("the fault could not be undone: {error:#}"));
        faults.excuse(false);
        return;
    }
    let end = tokio::time::Instant::now() + scene.settings.ready_within;
    while let Err(error) = still_serving(scene.access).await {
        if tokio::time::Instant::now() >= end {
            let words = crate::text::tame(&format!("{error:#}"));
            scene.sink.warn(format!(
                "the server did not serve again after a fault: {words}"
            ));
            return;
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

async fn run_checks(scene: &Scene<'_>, selection: &Selection) -> Outcome {
    let Scene {
        settings,
        planned,
        cluster,
        access,
        sink,
        tap,
        cancel,
    } = scene;
    let Access::Kubernetes(api) = access else {
        return Outcome::Passed;
    };
    if selection.checks.is_empty() {
        return Outcome::Passed;
    }
    let _phase = Phase::begin(
        sink,
        tap,
        selection.suite,
        &format!("{}/checks", selection.suite),
    );
    let worst = std::sync::Mutex::new(Outcome::Passed);
    let lacks = lacks(planned.distribution, planned.shape, planned.agents);
    let offer = match check::Offer::discover(api, &lacks).await {
        Ok(offer) => {
            let patience = settings.target.patience();
            let checks = &selection.checks;
            let place = cluster.callback_place();
            Arc::new(offer.with_callback(api, place, checks, patience).await)
        }
        Err(error) => {
            sink.warn(format!(
                "no check ran, for what the server offers could not be read: {error}"
            ));
            return Outcome::Errored;
        }
    };
    let list = check::official_list(&offer, &selection.every, &selection.checks);
    if let Some(note) = list
        .note
        .as_ref()
        .filter(|_| list.minor != Some(offer.minor))
    {
        sink.warn(note.clone());
    }
    sink.emit(EventKind::Official(list));
    let options = RunOptions {
        jobs: settings.jobs,
        limits: Limits::default().stretched(settings.target.patience()),
        offer,
        cancel: cancel.receiver(),
    };
    let left = check::run_checks(&selection.checks, api, &options, |finding| {
        if finding.outcome != Outcome::Skipped {
            let mut worst = worst
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            *worst = (*worst).max(finding.outcome);
        }
        sink.emit(EventKind::Check(finding));
    })
    .await;
    if !left.is_empty() {
        sink.warn(format!(
            "objects that checks made were still there at the deadline: {}",
            left.join(", ")
        ));
    }
    worst
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What a scenario's context is made of.
struct Scene<'a> {
    settings: &'a RunSettings,
    planned: &'a PlannedCell,
    cluster: &'a dyn Cluster,
    access: &'a Access,
    sink: &'a CellSink,
    tap: &'a Tap,
    cancel: &'a Cancel,
}

async fn run_scenario(
    scene: &Scene<'_>,
    suite: &'static str,
    scenario: &'static dyn Scenario,
) -> (Outcome, Option<String>) {
    let surface = match scene.access {
        Access::Kubernetes(_) => Surface::KubernetesApi,
        Access::Etcd(_) => Surface::EtcdApi,
    };
    let unsampled = scene.cluster.unsampled().filter(|_| scenario.samples());
    let alone = scenario.needs_agents() && scene.cluster.agents().is_empty();
    let harm = scenario.injects_faults() && scene.cluster.faults().is_err();
    let (outcome, reason) = if harm {
        (Outcome::Skipped, Some(NOT_HERE.to_owned()))
    } else if alone {
        let why = "the cell has no agent; give --target docker --shape node --agents 1";
        (Outcome::Skipped, Some(why.to_owned()))
    } else if let Some(why) = unsampled {
        (Outcome::Skipped, Some(why.to_owned()))
    } else if scenario.surfaces().contains(&surface) {
        let cx = ScenarioContext {
            cluster: scene.cluster,
            distribution: scene.planned.distribution,
            datastore: scene.planned.datastore,
            access: scene.access,
            run: &scene.settings.run,
            cancel: scene.cancel,
            patience: scene.settings.target.patience(),
            profile: scene.settings.profile,
            folder: &scene.settings.folder,
            etcd_metrics: scene.cluster.etcd_metrics(),
            suite,
            scenario: scenario.name(),
            sink: scene.sink,
            tap: scene.tap,
        };
        let deadline = SCENARIO_DEADLINE * scene.settings.target.patience();
        if let Some(why) = scenario.left_out(&cx) {
            (Outcome::Skipped, Some(why))
        } else {
            match tokio::time::timeout(deadline, scenario.run(&cx)).await {
                Ok(Ok(())) => (Outcome::Passed, None),
                Ok(Err(error)) => (
                    Outcome::Errored,
                    // It may quote what the server answered.
                    Some(crate::text::tame(&format!("{error:#}"))),
                ),
                Err(_) => (
                    Outcome::Errored,
                    Some(format!("it did not end within {deadline:?}")),
                ),
            }
        }
    } else {
        let reason = format!(
            "{} does not serve the API that it needs",
            scene.planned.distribution.name()
        );
        (Outcome::Skipped, Some(reason))
    };
    scene.sink.emit(EventKind::ScenarioFinished {
        suite: suite.into(),
        scenario: scenario.name().into(),
        outcome,
        reason: reason.clone(),
    });
    (
        outcome,
        reason.map(|reason| format!("{suite}/{}: {reason}", scenario.name())),
    )
}

/// Asks once whether the server still answers.
///
/// # Errors
/// When it does not.
pub async fn still_serving(access: &Access) -> anyhow::Result<()> {
    match access {
        Access::Kubernetes(api) => {
            let response = api.send(Request::get("/readyz")).await?;
            anyhow::ensure!(
                response.status == 200,
                "/readyz answered {}",
                response.summary()
            );
        }
        Access::Etcd(client) => {
            client
                .revision()
                .await
                .context("etcd did not tell its revision")?;
        }
    }
    Ok(())
}
