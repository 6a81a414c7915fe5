//! The walk over a status subresource.

use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use super::steps::{read, update};

/// GET, PATCH and PUT of `/status`: each is read back through the main resource, the spec stays as it was, and a status sent to
/// the main resource is ignored. No controller may write this status, or it races.
pub(crate) async fn status_walk(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    patched: Value,
    updated: Value,
) -> CheckResult {
    walk(
        cx,
        all,
        name,
        json!({"metadata": {"annotations": {"patched-status": "true"}}}),
        patched,
        updated,
    )
    .await
}

/// The same for resources whose `/status` leaves the metadata alone.
pub(crate) async fn bare_status_walk(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    patched: Value,
    updated: Value,
) -> CheckResult {
    walk(cx, all, name, json!({}), patched, updated).await
}

async fn walk(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    mut patch: Value,
    patched: Value,
    updated: Value,
) -> CheckResult {
    let sub = format!("{name}/status");
    let before = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    cx.expect_eq(
        "name in /status",
        name,
        before["metadata"]["name"].as_str().unwrap_or_default(),
    )?;

    let main = read(cx, all, name).await?;
    for place in ["/apiVersion", "/kind", "/metadata/uid"] {
        cx.expect_eq(
            &format!("{place} in /status"),
            cx.text("the object", &main, place)?,
            before
                .pointer(place)
                .and_then(Value::as_str)
                .unwrap_or_default(),
        )?;
    }

    patch["status"] = patched.clone();
    let answer = cx.status(
        "PATCH of /status",
        200,
        all.patch(&sub, PatchKind::Merge, patch.clone()).await?,
    )?;
    cx.contains("the answer to the patch of /status", &patch, &answer)?;
    let stored = read(cx, all, name).await?;
    cx.contains("the object after the patch of /status", &patch, &stored)?;
    cx.expect_eq(
        "spec after the patch of /status",
        before["spec"].clone(),
        stored["spec"].clone(),
    )?;

    let status = &updated;
    let answer = update(cx, all, &sub, |object| object["status"] = status.clone()).await?;
    cx.contains(
        "the answer to the update of /status",
        status,
        &answer["status"],
    )?;
    let stored = read(cx, all, name).await?;
    cx.contains(
        "status after the update of /status",
        status,
        &stored["status"],
    )?;
    cx.expect_eq(
        "spec after the update of /status",
        before["spec"].clone(),
        stored["spec"].clone(),
    )?;

    let smuggled = &patched;
    update(cx, all, name, |object| object["status"] = smuggled.clone()).await?;
    let stored = read(cx, all, name).await?;
    cx.contains(
        "status after an update of the main resource that carries another",
        status,
        &stored["status"],
    )
}
