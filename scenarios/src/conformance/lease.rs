//! Leases.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::LEASES;
use super::steps::{create, delete, newer, read};

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "lease/keeps-its-spec",
    title: "A Lease's spec is read back exactly after create, update and patch; deletecollection takes only the labelled one.",
    official: &["[sig-node] Lease lease API should be available"],
    requires: &[Requirement::Resource("coordination.k8s.io/v1", "leases")],
    kills: &[
        mutant::CREATE_NOT_STORED,
        mutant::VERSION_CONSTANT,
        mutant::UPDATE_NOT_APPLIED,
        mutant::PATCH_NOT_APPLIED,
        mutant::DELETE_IGNORED,
        mutant::DELETE_COLLECTION_DELETES_ALL,
        mutant::DELETE_COLLECTION_DELETES_NOTHING,
        mutant::LIST_LOSES_ITEM,
        mutant::SPEC_LOST,
        mutant::STALE_READ,
        mutant::STALE_LIST,
    ],
    run: |cx| Box::pin(keeps_its_spec(cx)),
    ..Check::BASE
}];

/// Whole microseconds in the wire's own format, so that the text must come back unchanged.
fn spec(holder: &str, seconds: u32, second: u32, transitions: u32) -> Value {
    json!({
        "holderIdentity": holder,
        "leaseDurationSeconds": seconds,
        "acquireTime": format!("2020-01-01T00:00:{second:02}.000000Z"),
        "renewTime": format!("2020-01-01T00:01:{second:02}.000001Z"),
        "leaseTransitions": transitions,
    })
}

async fn keeps_its_spec(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(LEASES).await?;
    let made = create(
        cx,
        &all,
        json!({"metadata": {"name": "lease"}, "spec": spec("holder", 30, 2, 0)}),
    )
    .await?;
    cx.expect_eq(
        "spec after create",
        spec("holder", 30, 2, 0),
        read(cx, &all, "lease").await?["spec"].clone(),
    )?;

    let mut wanted = made.clone();
    wanted["spec"] = spec("holder2", 30, 20, 1);
    cx.status("update", 200, all.replace("lease", wanted).await?)?;
    let updated = read(cx, &all, "lease").await?;
    cx.expect_eq(
        "spec after update",
        spec("holder2", 30, 20, 1),
        updated["spec"].clone(),
    )?;
    newer(cx, "the updated Lease", &made, &updated)?;

    let patch = json!({"spec": spec("holder3", 60, 50, 2)});
    cx.status(
        "patch",
        200,
        all.patch("lease", PatchKind::Strategic, patch).await?,
    )?;
    let patched = read(cx, &all, "lease").await?;
    cx.expect_eq(
        "spec after patch",
        spec("holder3", 60, 50, 2),
        patched["spec"].clone(),
    )?;
    newer(cx, "the patched Lease", &updated, &patched)?;

    let second = json!({"metadata": {"name": "lease2", "labels": {"deletecollection": "true"}}, "spec": spec("holder", 30, 2, 0)});
    create(cx, &all, second).await?;
    cx.only("list", &["lease", "lease2"], all.list(&[]).await?)?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", "deletecollection=true")])
            .await?,
    )?;
    cx.only(
        "list after deletecollection",
        &["lease"],
        all.list(&[]).await?,
    )?;
    delete(cx, &all, "lease").await?;
    cx.items(
        "list in all namespaces",
        cx.everywhere(LEASES).list(&[]).await?,
    )
    .map(drop)
}
