//! Namespaces.

use std::time::Duration;

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::{CONFIG_MAPS, NAMESPACES, SERVICES};
use super::status::status_walk;
use super::steps::{create, delete, newer, read, update};

const DELETION: Requirement = Requirement::Behaviour("namespace-deletion");
/// The namespace controller retries with a growing pause while anything is left; on K3s v1.21 it took
/// up to 12 s, and above 40 s behind a hundred other namespaces.
const DELETION_TAKES: Duration = Duration::from_secs(120);

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "namespace/patch-is-stored",
        title: "A label patched into a namespace is read back.",
        official: &["[sig-api-machinery] Namespaces should patch a Namespace"],
        kills: &[
            mutant::PATCH_NOT_APPLIED,
            mutant::LABELS_LOST,
            mutant::STALE_READ,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(patch(cx)),
        ..Check::BASE
    },
    Check {
        id: "namespace/update-is-stored",
        title: "A label put into a namespace by an update is read back.",
        official: &["[sig-api-machinery] Namespaces should apply an update to a Namespace"],
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::LABELS_LOST,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(updated(cx)),
        ..Check::BASE
    },
    Check {
        id: "namespace/status-is-separate",
        title: "A namespace is Active; conditions patched and updated through /status are read back.",
        official: &["[sig-api-machinery] Namespaces should apply changes to a namespace status"],
        requires: &[Requirement::Resource("v1", "namespaces/status")],
        kills: &[
            mutant::STATUS_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_THROUGH_MAIN_RESOURCE,
            mutant::STATUS_MISSING,
        ],
        run: |cx| Box::pin(status(cx)),
        ..Check::BASE
    },
    Check {
        id: "namespace/finalizer-is-added-and-removed",
        title: "A finalizer is put into a namespace's spec and taken out again through /finalize.",
        official: &["[sig-api-machinery] Namespaces should apply a finalizer to a Namespace"],
        requires: &[Requirement::Resource("v1", "namespaces/finalize")],
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::SPEC_LOST,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(finalizer(cx)),
        ..Check::BASE
    },
    Check {
        id: "namespace/deletion-removes-what-is-in-it",
        title: "Deleting a namespace removes its Services; a new namespace of the same name has none.",
        official: &[
            "[sig-api-machinery] Namespaces should ensure that all services are removed when a namespace is deleted",
        ],
        requires: &[Requirement::Resource("v1", "services"), DELETION],
        kills: &[
            mutant::DELETE_IGNORED,
            mutant::CREATE_NOT_STORED,
            mutant::OUTLIVES_NAMESPACE,
        ],
        patience: DELETION_TAKES,
        run: |cx| Box::pin(deletion(cx)),
        ..Check::BASE
    },
    // No official test of its own.
    Check {
        id: "namespace/deletion-waits-for-finalizers",
        title: "A namespace under deletion is Terminating, takes no new object, and stays until the last held object is released.",
        requires: &[Requirement::Resource("v1", "configmaps"), DELETION],
        kills: &[
            mutant::FINALIZER_IGNORED,
            mutant::DELETION_TIME_MISSING,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::STATUS_MISSING,
        ],
        patience: DELETION_TAKES,
        run: |cx| Box::pin(held(cx)),
        ..Check::BASE
    },
    // No official test of its own.
    Check {
        id: "namespace/absent-one-takes-nothing",
        title: "An object for a namespace that does not exist is refused as not found.",
        requires: &[Requirement::Resource("v1", "configmaps")],
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(absent(cx)),
        ..Check::BASE
    },
];

async fn make(cx: &CheckContext, purpose: &str) -> CheckResult<(Collection, String)> {
    let (all, name) = (cx.everywhere(NAMESPACES), unique(purpose));
    create(cx, &all, json!({"metadata": {"name": name}})).await?;
    Ok((all, name))
}

async fn patch(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "patch").await?;
    let before = read(cx, &all, &name).await?;
    let answer = all
        .patch(
            &name,
            PatchKind::Strategic,
            json!({"metadata": {"labels": {"patched": "yes"}}}),
        )
        .await?;
    let patched = cx.status("patch", 200, answer)?;
    newer(cx, "the patched namespace", &before, &patched)?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq(
        "the patched label",
        "yes",
        stored["metadata"]["labels"]["patched"]
            .as_str()
            .unwrap_or_default(),
    )
}

async fn updated(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "update").await?;
    let answer = update(cx, &all, &name, |object| {
        object["metadata"]["labels"]["updated"] = json!("yes")
    })
    .await?;
    let label = json!({"metadata": {"labels": {"updated": "yes"}}});
    cx.contains("the answer to the update", &label, &answer)?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq(
        "the updated label",
        "yes",
        stored["metadata"]["labels"]["updated"]
            .as_str()
            .unwrap_or_default(),
    )
}

async fn status(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "status").await?;
    let seen = cx.status(
        "GET of /status",
        200,
        all.get(&format!("{name}/status")).await?,
    )?;
    cx.expect_eq(
        "phase",
        "Active",
        seen["status"]["phase"].as_str().unwrap_or_default(),
    )?;
    let with = |reason: &str| json!({"conditions": [{"type": "AssayStatus", "status": "True", "reason": reason, "message": "set by assay", "lastTransitionTime": "2020-01-01T00:00:00Z"}]});
    status_walk(cx, &all, &name, with("Patched"), with("Updated")).await?;
    let stored = read(cx, &all, &name).await?;
    cx.expect(
        "a phase that is Active still, or unset by the update",
        matches!(stored["status"]["phase"].as_str(), None | Some("Active")),
        || stored["status"].to_string(),
    )
}

async fn finalizer(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "finalize").await?;
    let (path, fake) = (format!("{name}/finalize"), json!("assay.dev/fake"));
    let mut object = read(cx, &all, &name).await?;
    let before = object["spec"]["finalizers"].clone();
    if let Some(list) = object["spec"]["finalizers"].as_array_mut() {
        list.push(fake.clone());
    }
    cx.expect(
        "finalizers in the spec to begin with",
        before.is_array(),
        || before.to_string(),
    )?;
    cx.status("PUT of /finalize", 200, all.replace(&path, object).await?)?;
    let mut stored = read(cx, &all, &name).await?;
    let has = |object: &serde_json::Value| {
        object["spec"]["finalizers"]
            .as_array()
            .is_some_and(|list| list.contains(&fake))
    };
    cx.expect("the fake finalizer to be there", has(&stored), || {
        stored["spec"].to_string()
    })?;
    stored["spec"]["finalizers"] = before.clone();
    // Should the check stop before this, the namespace would never go: hence without the mutant, which may be set against it.
    cx.status(
        "PUT of /finalize again",
        200,
        cx.api().clean().replace(&all.item(&path), stored).await?,
    )?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq(
        "finalizers in the end",
        before,
        stored["spec"]["finalizers"].clone(),
    )
}

async fn deletion(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "delete").await?;
    let services = Collection::new(cx.api(), SERVICES, Some(&name));
    create(cx, &services, json!({"metadata": {"name": "service"}, "spec": {"selector": {"app": "a"}, "ports": [{"port": 80}]}})).await?;
    read(cx, &services, "service").await?;
    delete(cx, &all, &name).await?;
    create(cx, &all, json!({"metadata": {"name": name}})).await?;
    cx.refused(
        "get of the former Service",
        404,
        "NotFound",
        &services.get("service").await?,
    )?;
    cx.only(
        "Services in the new namespace",
        &[],
        services.list(&[]).await?,
    )
}

async fn held(cx: &CheckContext) -> CheckResult {
    let (all, name) = make(cx, "held").await?;
    let maps = Collection::new(cx.api(), CONFIG_MAPS, Some(&name));
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "held", "finalizers": ["assay.dev/hold"]}}),
    )
    .await?;
    create(cx, &maps, json!({"metadata": {"name": "free"}})).await?;
    let answer = all.delete(&name).await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )?;
    let dying = read(cx, &all, &name).await?;
    cx.expect_eq(
        "phase",
        "Terminating",
        dying["status"]["phase"].as_str().unwrap_or_default(),
    )?;
    cx.text(
        "the namespace under deletion",
        &dying,
        "/metadata/deletionTimestamp",
    )?;
    let answer = maps.create(json!({"metadata": {"name": "late"}})).await?;
    cx.refused("a new object in it", 403, "Forbidden", &answer)?;
    // The controller has emptied it as far as it can once the free object is gone.
    cx.gone(&maps, "free").await?;
    // Which of the two the controller deletes first is its own choice.
    cx.wait("the held object to be marked for deletion", || async {
        let seen = read(cx, &maps, "held").await?["metadata"].clone();
        let marked = seen["deletionTimestamp"].is_string();
        Ok(Seen::when(marked, || seen.to_string()))
    })
    .await?;
    read(cx, &all, &name).await?;
    let release = json!({"metadata": {"finalizers": null}});
    cx.status(
        "taking the finalizer off",
        200,
        maps.patch("held", PatchKind::Merge, release).await?,
    )?;
    cx.gone(&all, &name).await
}

async fn absent(cx: &CheckContext) -> CheckResult {
    let maps = Collection::new(cx.api(), CONFIG_MAPS, Some(&unique("absent")));
    cx.refused(
        "create in it",
        404,
        "NotFound",
        &maps.create(json!({"metadata": {"name": "map"}})).await?,
    )?;
    cx.only("list of it", &[], maps.list(&[]).await?)
}
