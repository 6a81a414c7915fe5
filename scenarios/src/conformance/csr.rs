//! CertificateSigningRequests: the walk over every verb, then approval and status, which are written apart.

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckResult, name};
use serde_json::{Value, json};

use super::kinds::CSRS;
use super::status::status_walk;
use super::steps::{create, delete, newer, read, update};
use super::walk::{Walk, subresources, walk};

/// What the check notices.
pub(crate) const KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_MODIFIED,
    mutant::STATUS_NOT_APPLIED,
    mutant::STATUS_THROUGH_MAIN_RESOURCE,
    mutant::STATUS_MISSING,
    mutant::FIELD_SELECTOR_IGNORED,
    mutant::WATCH_IGNORES_SELECTOR,
    mutant::KIND_MISSING,
    mutant::CONDITIONS_MISSING,
];

/// A valid request for `CN=assay-none`; its key was never kept. No signer has the name in [`csr`].
const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIZ01JR0hBZ0VBTUNVeEV6QVJCZ05WQkFNTUNtRnpjMkY1TFc1dmJtVXhEakFNQmdOVkJBb01CV0Z6YzJGNQpNRmt3RXdZSEtvWkl6ajBDQVFZSUtvWkl6ajBEQVFjRFFnQUUzSEoydEtvSVJUbzEzaTNOMFRyRVc0QndIYzZ3CnRYNXcxV2oreE5UMUpWYmJtUXlsNWN5WWU0V050VW9wR0hMNE1rRHBycWxmeUdhaHdTTytZclNTTmFBQU1Bb0cKQ0NxR1NNNDlCQU1DQTBnQU1FVUNJSEd5VnZpSzlRViszVk5mdGt2L0FhMk91SEpQaUtQYjNNSXk0cDRSVzFyRgpBaUVBc2dFV0Y0MVQwQ0ZxcW9VSHlIcnNySEc1aUdSdXA5ZGRrS0sxcE5EYnZIaz0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";

/// A certificate that signed itself, of the same name; its key was never kept.
const CERTIFICATE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUJnVENDQVNlZ0F3SUJBZ0lVVDZIajc2NUQrdU5TeDFCeVpDajFNYTRsWElnd0NnWUlLb1pJemowRUF3SXcKRlRFVE1CRUdBMVVFQXd3S1lYTnpZWGt0Ym05dVpUQWdGdzB5TmpFeE1qSXlNakV5TWpWYUdBOHlNVEkyTVRBeQpPVEl5TVRJeU5Wb3dGVEVUTUJFR0ExVUVBd3dLWVhOellYa3RibTl1WlRCWk1CTUdCeXFHU000OUFnRUdDQ3FHClNNNDlBd0VIQTBJQUJHQkxkQ25pM0o1TGVtVUQwdTZ6NkJqbjREUDY1RHZvRWU1R0hjblZGS1BObXo5NU1RRmsKSVgrU0tETkJmTGtUcjBjK3hXSjVqN1ovbDBmNzB2YmZURUNqVXpCUk1CMEdBMVVkRGdRV0JCVGpmbnhBK1RYTwpjUVhoSkVaZ1VaR2RhZ0NUUmpBZkJnTlZIU01FR0RBV2dCVGpmbnhBK1RYT2NRWGhKRVpnVVpHZGFnQ1RSakFQCkJnTlZIUk1CQWY4RUJUQURBUUgvTUFvR0NDcUdTTTQ5QkFNQ0EwZ0FNRVVDSVFDa1YvT24rb0hNT3JpN09jTVgKNHpUQ2JYVUROamlHSHRGZU1ldDg5cWI5L0FJZ0VXNlFZN2JxeXpuNGhoUk5tRk5UNVZkTzNnSWJmMkFDd1NqRwpxY1R0MGJnPQotLS0tLUVORCBDRVJUSUZJQ0FURS0tLS0tCg==";

fn csr() -> Value {
    json!({"spec": {"request": REQUEST, "signerName": "assay.dev/none", "usages": ["digital signature", "client auth"]}})
}

const CSR: Walk = Walk {
    resource: CSRS,
    body: csr,
    defaults: || json!({}),
};

/// Walks over every verb, then over the field selectors, the approval and the status.
pub(crate) async fn certificates(cx: &CheckContext) -> CheckResult {
    walk(cx, &CSR).await?;
    subresources(cx, CSRS, &["approval", "status"]).await?;
    let (all, signer) = (
        cx.collection(CSRS).await?,
        format!("assay.dev/{}", unique("signer")),
    );
    let signed = format!("spec.signerName={signer}");
    let mut names = Vec::new();
    for _ in 0..3 {
        let mut object = csr();
        object["metadata"] = json!({"generateName": format!("{}-", unique("csr"))});
        object["spec"]["signerName"] = json!(signer);
        object["spec"]["expirationSeconds"] = json!(3600);
        names.push(name(&create(cx, &all, object).await?).to_owned());
    }
    let names = names.iter().map(String::as_str).collect::<Vec<_>>();
    let made = read(cx, &all, names[0]).await?;
    // The field came with v1.22; servers before that drop it.
    if cx.offer().minor >= 22 {
        cx.expect_eq(
            "expirationSeconds",
            json!(3600),
            made["spec"]["expirationSeconds"].clone(),
        )?;
    }
    // Who asked is the server's to say, not the client's.
    cx.text("the request", &made, "/spec/username")?;
    let known = made["spec"]["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|group| group == "system:authenticated");
    cx.expect(
        "the requester's groups to hold system:authenticated",
        known,
        || made["spec"]["groups"].to_string(),
    )?;
    let list = all.list(&[("fieldSelector", &signed)]).await?;
    let version = cx
        .text("list", &list.body, "/metadata/resourceVersion")?
        .to_owned();
    cx.only("list by the signer", &names, list)?;
    by_name(cx, &all, &names, &version).await?;
    approval(cx, &all, names[0]).await?;
    status(cx, &all, names[0]).await?;

    delete(cx, &all, names[0]).await?;
    cx.only(
        "list by the signer after the deletion",
        &names[1..],
        all.list(&[("fieldSelector", &signed)]).await?,
    )?;
    let answer = all.delete_collection(&[("fieldSelector", &signed)]).await?;
    cx.status("deletecollection by the signer", 200, answer)?;
    cx.only(
        "list by the signer after deletecollection",
        &[],
        all.list(&[("fieldSelector", &signed)]).await?,
    )
}

/// A watch of one name shows its changes and not another's.
async fn by_name(
    cx: &CheckContext,
    all: &Collection,
    names: &[&str],
    version: &str,
) -> CheckResult {
    let selected = format!("metadata.name={}", names[0]);
    let since = [
        ("fieldSelector", selected.as_str()),
        ("resourceVersion", version),
    ];
    let mut watch = cx.watch(all, &since).await?;
    let before = read(cx, all, names[0]).await?;
    let patch = json!({"metadata": {"annotations": {"patched": "true"}}});
    for name in [names[1], names[0]] {
        let answer = all.patch(name, PatchKind::Merge, patch.clone()).await?;
        let patched = cx.status("patch", 200, answer)?;
        cx.contains("the patched request", &patch, &patched)?;
        newer(cx, "the patched request", &before, &patched)?;
    }
    let event = watch.next("MODIFIED", names[0]).await?;
    cx.contains("the patch in the watch", &patch, &event)
}

fn condition(kind: &str) -> Value {
    json!({"type": kind, "status": "True", "reason": "assay", "message": "set by assay"})
}

/// The conditions are these, in this order.
fn conditions(cx: &CheckContext, what: &str, kinds: &[&str], object: &Value) -> CheckResult {
    let expected = kinds.iter().map(|kind| json!({"type": kind})).collect();
    let expected = json!({"status": {"conditions": Value::Array(expected)}});
    cx.contains(what, &expected, object)
}

/// Approval, and what cannot be undone by it, belongs to `/approval` alone.
async fn approval(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    let sub = format!("{name}/approval");
    let seen = cx.status("GET of /approval", 200, all.get(&sub).await?)?;
    let main = read(cx, all, name).await?;
    let head = json!({"apiVersion": CSRS.group_version, "kind": CSRS.kind, "metadata": {"uid": main["metadata"]["uid"]}});
    cx.contains("the request in /approval", &head, &seen)?;
    let patch = json!({"metadata": {"annotations": {"patchedapproval": "true"}}, "status": {"conditions": [condition("ApprovalPatch")]}});
    let mut approved = cx.status(
        "PATCH of /approval",
        200,
        all.patch(&sub, PatchKind::Merge, patch.clone()).await?,
    )?;
    cx.contains("the answer to the patch of /approval", &patch, &approved)?;
    let stored = read(cx, all, name).await?;
    cx.contains("the request after the patch of /approval", &patch, &stored)?;
    approved["status"]["conditions"] =
        json!([approved["status"]["conditions"][0], condition("Approved")]);
    let answer = cx.status("PUT of /approval", 200, all.replace(&sub, approved).await?)?;
    let both = ["ApprovalPatch", "Approved"];
    conditions(cx, "the answer to the approval", &both, &answer)?;
    conditions(cx, "the approval", &both, &read(cx, all, name).await?)
}

/// The certificate is put in by a patch, a further condition by an update. A status without the approval would be refused: it
/// goes along.
async fn status(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    let certificate = json!({"certificate": CERTIFICATE});
    let approved = read(cx, all, name).await?["status"]["conditions"].clone();
    let mut updated = json!({"certificate": CERTIFICATE, "conditions": approved});
    if let Some(list) = updated["conditions"].as_array_mut() {
        list.push(condition("StatusUpdate"));
    }
    status_walk(cx, all, name, certificate, updated).await?;
    // The walk's own attempt to write the status through the main resource carries no condition.
    let smuggled = json!([condition("Smuggled")]);
    update(cx, all, name, |object| {
        object["status"]["conditions"] = smuggled.clone()
    })
    .await?;
    let kinds = ["ApprovalPatch", "Approved", "StatusUpdate"];
    conditions(
        cx,
        "the conditions in the end",
        &kinds,
        &read(cx, all, name).await?,
    )
}
