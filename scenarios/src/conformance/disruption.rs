//! PodDisruptionBudgets.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::PDBS;
use super::steps::{create, delete, left, newer, read, update};

const NEEDS: &[Requirement] = &[
    Requirement::Resource("policy/v1", "poddisruptionbudgets"),
    Requirement::Behaviour("disruption-controller"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "disruption/budget-is-observed-at-each-change",
        title: "A PodDisruptionBudget is created, updated, patched and deleted, and the controller observes each generation.",
        official: &["[sig-apps] DisruptionController should create a PodDisruptionBudget"],
        requires: NEEDS,
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::PATCH_NOT_APPLIED,
            mutant::DELETE_IGNORED,
            mutant::STATUS_MISSING,
            mutant::GENERATION_CONSTANT,
            mutant::SPEC_LOST,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(observed(cx)),
        ..Check::BASE
    },
    Check {
        id: "disruption/collections-are-listed-and-deleted",
        title: "PodDisruptionBudgets are listed over all namespaces by label, and a collection is deleted in its namespace only.",
        official: &[
            "[sig-apps] DisruptionController Listing PodDisruptionBudgets for all namespaces should list and delete a collection of PodDisruptionBudgets",
        ],
        requires: NEEDS,
        kills: &[
            mutant::LIST_LOSES_ITEM,
            mutant::LIST_REPEATS_ITEM,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::STATUS_MISSING,
            mutant::LABEL_SELECTOR_IGNORED,
            mutant::DELETE_COLLECTION_DELETES_ALL,
        ],
        run: |cx| Box::pin(collections(cx)),
        ..Check::BASE
    },
];

fn budget(name: &str, set: &str, available: Value) -> Value {
    json!({"metadata": {"name": name, "labels": {"set": set}}, "spec": {"minAvailable": available, "selector": {"matchLabels": {"app": "none"}}}})
}

/// Waits until the controller has seen the object as it now is; without pods it allows no disruption.
async fn seen(cx: &CheckContext, all: &Collection, name: &str, generation: u64) -> CheckResult {
    cx.wait(
        &format!("the controller to observe generation {generation} of {name}"),
        || async {
            let now = read(cx, all, name).await?;
            let observed = now["metadata"]["generation"] == generation
                && now["status"]["observedGeneration"] == generation
                && now["status"]["disruptionsAllowed"] == 0
                && now["status"]["expectedPods"] == 0;
            Ok(Seen::when(observed, || {
                format!("{} {}", now["metadata"]["generation"], now["status"])
            }))
        },
    )
    .await
}

async fn observed(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(PDBS).await?;
    create(cx, &all, budget("budget", "a", json!("1%"))).await?;
    seen(cx, &all, "budget", 1).await?;
    let updated = update(cx, &all, "budget", |object| {
        object["spec"]["minAvailable"] = json!("2%")
    })
    .await?;
    cx.contains(
        "the answer to the update",
        &json!({"spec": {"minAvailable": "2%"}}),
        &updated,
    )?;
    seen(cx, &all, "budget", 2).await?;
    cx.expect_eq(
        "minAvailable after the update",
        json!("2%"),
        read(cx, &all, "budget").await?["spec"]["minAvailable"].clone(),
    )?;
    let patch = json!({"spec": {"minAvailable": "3%"}});
    let answer = all.patch("budget", PatchKind::Merge, patch.clone()).await?;
    let patched = cx.status("patch", 200, answer)?;
    cx.contains("the answer to the patch", &patch, &patched)?;
    newer(cx, "the patched budget", &updated, &patched)?;
    seen(cx, &all, "budget", 3).await?;
    cx.expect_eq(
        "minAvailable after the patch",
        json!("3%"),
        read(cx, &all, "budget").await?["spec"]["minAvailable"].clone(),
    )?;
    delete(cx, &all, "budget").await
}

async fn collections(cx: &CheckContext) -> CheckResult {
    let (mark, second) = (unique("pdb"), cx.another_namespace().await?);
    let own = cx.collection(PDBS).await?;
    let other = Collection::new(cx.api(), PDBS, Some(&second));
    for (all, name, available) in [
        (&own, "one", json!(2)),
        (&own, "two", json!("1%")),
        (&other, "three", json!(2)),
    ] {
        create(cx, all, budget(name, &mark, available)).await?;
        seen(cx, all, name, 1).await?;
    }
    create(cx, &own, budget("unmarked", "none", json!(1))).await?;
    let selector = format!("set={mark}");
    let selected = [("labelSelector", selector.as_str())];
    let everywhere = cx.everywhere(PDBS);
    cx.only(
        "list in all namespaces",
        &["one", "two", "three"],
        everywhere.list(&selected).await?,
    )?;
    cx.only(
        "list in the namespace",
        &["one", "two"],
        own.list(&selected).await?,
    )?;
    // By label, then without a selector: all that is left in the namespace, and nothing of another.
    cx.status(
        "deletecollection by label",
        200,
        own.delete_collection(&selected).await?,
    )?;
    left(cx, &own, &selector, &[]).await?;
    read(cx, &own, "unmarked").await?;
    cx.status("deletecollection", 200, own.delete_collection(&[]).await?)?;
    left(cx, &own, "set", &[]).await?;
    cx.only(
        "list in all namespaces afterwards",
        &["three"],
        everywhere.list(&selected).await?,
    )
}
