//! Namespaces.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult};
use serde_json::json;

use super::kinds::NAMESPACES;

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "namespace/patch-is-stored",
    title: "A label patched into a namespace is read back.",
    official: &["[sig-api-machinery] Namespaces should patch a Namespace"],
    kills: &[
        mutant::PATCH_NOT_APPLIED,
        mutant::LABELS_LOST,
        mutant::STALE_READ,
    ],
    run: |cx| Box::pin(patch(cx)),
    ..Check::BASE
}];

async fn patch(cx: &CheckContext) -> CheckResult {
    let (all, name) = (cx.everywhere(NAMESPACES), unique("patch"));
    cx.status(
        "create",
        201,
        all.create(json!({"metadata": {"name": name}})).await?,
    )?;
    let answer = all
        .patch(
            &name,
            PatchKind::Strategic,
            json!({"metadata": {"labels": {"patched": "yes"}}}),
        )
        .await?;
    cx.status("patch", 200, answer)?;
    let stored = cx.status("get", 200, all.get(&name).await?)?;
    cx.expect_eq(
        "the patched label",
        "yes",
        stored["metadata"]["labels"]["patched"]
            .as_str()
            .unwrap_or_default(),
    )
}
