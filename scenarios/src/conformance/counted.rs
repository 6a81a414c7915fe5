//! Waiting for what a ResourceQuota counts.

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

/// Waits until the quota's status shows its limits and exactly these counts. It only looks: whatever else it did might
/// make the controller count everything anew, and hide that it does not do so by itself.
pub(crate) async fn used(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    hard: &Value,
    counts: &Value,
) -> CheckResult {
    let what = format!("the quota's status to show the limits {hard} and the use {counts}");
    cx.wait(&what, || async {
        let status = read(cx, all, name).await?["status"].clone();
        let counted = counts
            .as_object()
            .into_iter()
            .flatten()
            .all(|(name, count)| status["used"][name] == *count);
        Ok(Seen::when(counted && status["hard"] == *hard, || {
            status.to_string()
        }))
    })
    .await
}

/// Raises a limit that nothing depends on and waits until the status shows it; gives that status.
///
/// The controller has then done with what happened before. While it has not, it may overwrite what admission has just counted
/// with what it had listed a moment earlier, and that stands until its next resync, minutes later. So this belongs
/// before what is to be counted, never between that and its count.
pub(crate) async fn counted_anew(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    hard: &Value,
) -> CheckResult<Value> {
    let answer = all
        .patch(name, PatchKind::Merge, json!({"spec": {"hard": hard}}))
        .await?;
    cx.status("raising a limit", 200, answer)?;
    let what = format!("the quota's status to show the limits {hard}");
    cx.wait(&what, || async {
        let status = read(cx, all, name).await?["status"].clone();
        Ok(if status["hard"] == *hard {
            Seen::Done(status)
        } else {
            Seen::Not(status.to_string())
        })
    })
    .await
}
