//! Waiting for what a ResourceQuota counts.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use harness::api::deadline::Seen;
use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use super::kinds::QUOTAS;
use super::steps::{create, read};

/// Makes a quota and waits until it has counted what there is.
pub(crate) async fn quota(cx: &CheckContext, hard: Value) -> CheckResult<Collection> {
    let all = cx.collection(QUOTAS).await?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "quota"}, "spec": {"hard": hard}}),
    )
    .await?;
    used(cx, &all, "quota", &hard, &json!({"resourcequotas": "1"})).await?;
    Ok(all)
}

/// Waits until the quota's status shows its limits and exactly these counts.
///
/// The quota controller may overwrite what admission has just counted with what it had listed before, and then the wrong count
/// stands until its next resync, five minutes later. A change of the limits makes it count at once; so after a
/// quarter of the patience one limit that nothing depends on is raised.
pub(crate) async fn used(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    hard: &Value,
    counts: &Value,
) -> CheckResult {
    let (nudge_at, nudged) = (
        Instant::now() + cx.limits().patience / 4,
        AtomicBool::new(false),
    );
    let what = format!("the quota's status to show the limits {hard} and the use {counts}");
    cx.wait(&what, || async {
        let quota = read(cx, all, name).await?;
        let (spec, status) = (&quota["spec"]["hard"], quota["status"].clone());
        let counted = counts
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, count)| status["used"][name] == *count);
        if Instant::now() > nudge_at && !nudged.swap(true, Ordering::Relaxed) {
            // A quota with scopes counts pods alone.
            let spare = if spec["resourcequotas"].is_string() {
                "resourcequotas"
            } else {
                "pods"
            };
            let raise = json!({"spec": {"hard": {spare: "77"}}});
            cx.api()
                .clean()
                .patch(&all.item(name), PatchKind::Merge, raise)
                .await?;
        }
        let raised = nudged.load(Ordering::Relaxed);
        let limits = status["hard"] == *spec && (raised || status["hard"] == *hard);
        Ok(Seen::when(counted && limits, || status.to_string()))
    })
    .await
}
