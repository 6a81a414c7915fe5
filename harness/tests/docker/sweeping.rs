//! After any kind of death everything goes, and nothing of anyone else's.

use std::io::BufRead;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::engine::{Held, LABEL, What, address};
use harness::scope::{Resource, Scope, sweep};
use harness::target::Target;
use harness::target::docker::DockerTarget;
use reports::budget::Budget;

use crate::probe::SERVE;
use crate::specimen::{Run, all_gone, block_on, client, until};
use crate::{Outcome, Test};

pub const TESTS: &[Test] = &[
    ("sweep/after_kill_9_nothing_is_left", killed),
    ("sweep/at_any_moment_of_provisioning", any_moment),
    ("sweep/an_interrupted_load_leaves_no_image", interrupted),
    ("sweep/what_is_labelled_otherwise_stays", foreign),
    ("sweep/an_engine_that_is_gone_is_named", gone),
];

/// A child that a failing test ends too: left alive it would hold the test's output open for ever.
pub struct Owner(pub Child);

impl Drop for Owner {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an owner of a cell on the engine at an address.
pub fn owner(state: &Path, engine: &str) -> Result<Owner> {
    let own = Command::new(std::env::current_exe()?)
        .arg("probe-own")
        .arg(state)
        .env("DOCKER_HOST", engine)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    Ok(Owner(own))
}

/// What the ledgers of a state folder list, read without assay's help.
pub fn listed(state: &Path) -> Vec<Resource> {
    let mut resources = Vec::new();
    for entry in std::fs::read_dir(state.join("ledger"))
        .into_iter()
        .flatten()
        .flatten()
    {
        let text = std::fs::read_to_string(entry.path()).unwrap_or_default();
        resources.extend(
            text.lines()
                .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
                .filter(|entry| entry["op"] == "enter")
                .filter_map(|entry| {
                    serde_json::from_value::<Resource>(entry["resource"].clone()).ok()
                }),
        );
    }
    resources
}

fn killed() -> Outcome {
    let folder = tempfile::tempdir()?;
    let mut owner = owner(folder.path(), &address())?;
    let mut up = String::new();
    let out = owner.0.stdout.take().context("no output")?;
    std::io::BufReader::new(out).read_line(&mut up)?;
    ensure!(up == "up\n", "{up:?}");
    let resources = listed(folder.path());
    owner.0.kill()?;
    owner.0.wait()?;
    // A folder, an image, a network, a container, its process.
    ensure!(resources.len() == 5, "{resources:?}");
    let report = sweep(folder.path());
    ensure!(report.remaining.is_empty(), "{report:?}");
    ensure!(report.removed.len() >= 4, "{report:?}");
    block_on(async { all_gone(&client(&address())?, &resources).await })?;
    let again = sweep(folder.path());
    ensure!(
        again.removed.is_empty() && again.remaining.is_empty(),
        "{again:?}"
    );
    Ok(())
}

/// Killed after so many milliseconds: while packing, loading, making the network, starting, serving.
fn any_moment() -> Outcome {
    for after in [40, 150, 400, 700, 1000, 1300, 1700, 2200] {
        let folder = tempfile::tempdir()?;
        let mut owner = owner(folder.path(), &address())?;
        // No test waits for a fixed time to be right: whatever moment this turns out to be, the sweep must cope.
        std::thread::sleep(Duration::from_millis(after));
        owner.0.kill()?;
        owner.0.wait()?;
        let resources = listed(folder.path());
        let report = sweep(folder.path());
        ensure!(report.remaining.is_empty(), "after {after} ms: {report:?}");
        block_on(async { all_gone(&client(&address())?, &resources).await })
            .with_context(|| format!("killed after {after} ms"))?;
    }
    Ok(())
}

/// A provisioning that is dropped while its image is being loaded, as Ctrl-C does: when its clean-up has ended, no image
/// is on its way any more.
fn interrupted() -> Outcome {
    let mut cut = 0;
    for after in [0, 20, 100, 400] {
        block_on(async {
            let run = Run::new()?;
            let cell = run.cell(SERVE, Budget::edge())?;
            let target = DockerTarget::default();
            let loading = async {
                until("the image to be in the ledger", || {
                    let standing = run.scope.standing();
                    let image = |held: &Resource| matches!(held, Resource::Engine(held) if held.what == What::Image);
                    standing.iter().any(image).then_some(())
                })
                .await?;
                // Any moment will do.
                tokio::time::sleep(Duration::from_millis(after)).await;
                anyhow::Ok(())
            };
            // A block of its own, so that the provisioning is dropped at its end.
            let served = {
                tokio::select! {
                    cluster = target.provision(&cell, &run.scope) => Some(cluster?),
                    waited = loading => { waited?; None }
                }
            };
            let resources = listed(&run.state);
            match served {
                // The engine was faster.
                Some(cluster) => drop(cluster.destroy().await),
                None => cut += 1,
            }
            run.nothing_stands()?;
            all_gone(&client(&address())?, &resources).await
        })
        .with_context(|| format!("interrupted after {after} ms"))?;
    }
    ensure!(cut > 0, "nothing was interrupted");
    Ok(())
}

/// Enters something into the ledger of a run that has died.
fn ledger_of_a_dead_run(state: &Path, held: &Held) -> Result<()> {
    drop(Scope::open(state, "run-dead")?);
    let ledger = state.join("ledger/run-dead.jsonl");
    let text = std::fs::read_to_string(&ledger)?;
    let (owner, _) = text.split_once('\n').context("no owner")?;
    let mut owner: serde_json::Value = serde_json::from_str(owner)?;
    owner["start_ticks"] = 1.into();
    let resource = serde_json::to_value(Resource::Engine(held.clone()))?;
    let entry = serde_json::json!({"op": "enter", "resource": resource});
    Ok(std::fs::write(&ledger, format!("{owner}\n{entry}\n"))?)
}

fn foreign() -> Outcome {
    use harness::engine::bollard::models::NetworkCreateRequest;
    let folder = tempfile::tempdir()?;
    let held = Held {
        what: What::Network,
        engine: address(),
        name: format!("someone-{}", uuid::Uuid::new_v4().simple()),
        run: "run-dead".into(),
    };
    ledger_of_a_dead_run(folder.path(), &held)?;
    block_on(async {
        let docker = client(&address())?;
        let labels = std::collections::HashMap::from([(LABEL.to_owned(), "another".to_owned())]);
        docker
            .create_network(NetworkCreateRequest {
                name: held.name.clone(),
                labels: Some(labels),
                ..NetworkCreateRequest::default()
            })
            .await?;
        let swept = folder.path().to_owned();
        let report = tokio::task::spawn_blocking(move || sweep(&swept)).await?;
        let there = docker.inspect_network(&held.name, None).await.is_ok();
        docker.remove_network(&held.name).await?;
        ensure!(there, "a network of someone else's was removed");
        ensure!(report.remaining.len() == 1, "{report:?}");
        ensure!(report.remaining[0].contains("not assay's"), "{report:?}");
        Ok(())
    })
}

fn gone() -> Outcome {
    let folder = tempfile::tempdir()?;
    let held = Held {
        what: What::Container,
        engine: format!("unix://{}/no.sock", folder.path().display()),
        name: "assay-0badcafe".into(),
        run: "run-dead".into(),
    };
    ledger_of_a_dead_run(folder.path(), &held)?;
    let report = sweep(folder.path());
    ensure!(report.remaining.len() == 1, "{report:?}");
    ensure!(report.remaining[0].contains("no.sock"), "{report:?}");
    ensure!(report.remaining[0].contains("assay sweep"), "{report:?}");
    Ok(())
}
