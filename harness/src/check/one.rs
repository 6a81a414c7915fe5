//! One run of one check: whatever happens inside becomes one finding.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;
use reports::event::CheckFinding;
use reports::outcome::Outcome;
use tokio::time::Instant;

use super::{Check, CheckContext, CheckFault, CheckResult, Limits, Offer, SUITE};
use crate::api::Api;

/// A finding and what the check left to be removed.
pub(super) struct Ran {
    pub(super) finding: CheckFinding,
    /// Paths asked to be deleted that may still be there.
    pub(super) removing: Vec<String>,
}

/// Runs one check and waits until what it made is gone, or its removal deadline has passed.
///
/// `api` may carry a mutant; it must be the check's own ([`Api::apart`]). Objects that stay make the finding Errored
/// where it passed, since nothing may be left behind.
pub async fn run_check(
    check: &Check,
    api: &Api,
    offer: &Arc<Offer>,
    limits: Limits,
) -> CheckFinding {
    let Ran {
        mut finding,
        removing,
    } = run_and_remove(check, api, offer, limits).await;
    let left = api.await_gone(removing, limits.removal).await;
    if !left.is_empty() && finding.outcome == Outcome::Passed {
        finding.outcome = Outcome::Errored;
        finding.reason = Some(format!(
            "still there after {:?}: {}",
            limits.removal,
            left.join(", ")
        ));
    }
    finding
}

/// Runs one check and asks for the removal of what it made, without waiting for that.
pub(super) async fn run_and_remove(
    check: &Check,
    api: &Api,
    offer: &Arc<Offer>,
    limits: Limits,
) -> Ran {
    let started = Instant::now();
    let limits = Limits {
        patience: limits.patience.max(check.patience),
        // What waits long by design gets that long besides, or its own wait would end as the instrument's fault.
        whole: limits.whole + check.patience,
        ..limits
    };
    let cx = CheckContext::new(api.clone(), Arc::clone(offer), limits);
    let result = match check.lacking(offer) {
        Some(fault) => Err(fault),
        None => guarded(check, &cx).await,
    };
    let result = match (result, cx.callback_faults().first()) {
        // A check need not remember to ask: what calls us must keep the protocol.
        (Ok(()), Some(fault)) => Err(CheckFault::Failed(fault.clone())),
        (result, _) => result,
    };
    let took_ms = started.elapsed().as_secs_f64() * 1000.0;
    let facts = cx.facts();
    let (outcome, reason) = match result {
        // Nothing examined is never a pass.
        Ok(()) if facts == 0 => (
            Outcome::Errored,
            Some("the check examined no fact".to_owned()),
        ),
        Ok(()) => (Outcome::Passed, None),
        Err(CheckFault::Failed(reason)) => (Outcome::Failed, Some(reason)),
        Err(CheckFault::Skipped(reason)) => (Outcome::Skipped, Some(reason)),
        Err(CheckFault::Errored(reason)) => (Outcome::Errored, Some(reason)),
    };
    let evidence = if matches!(outcome, Outcome::Failed | Outcome::Errored) {
        api.evidence().lines()
    } else {
        Vec::new()
    };
    let finding = CheckFinding {
        suite: SUITE.to_owned(),
        id: check.id.to_owned(),
        title: check.title.to_owned(),
        official: check.names().map(str::to_owned).collect(),
        outcome,
        reason,
        facts,
        took_ms,
        evidence,
    };
    Ran {
        finding,
        removing: api.remove_made().await,
    }
}

async fn guarded(check: &Check, cx: &CheckContext) -> CheckResult {
    let whole = cx.limits().whole;
    let body = AssertUnwindSafe((check.run)(cx)).catch_unwind();
    match tokio::time::timeout(whole, body).await {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(CheckFault::Errored(format!(
            "the check panicked: {}",
            panic_text(panic.as_ref())
        ))),
        Err(_) => {
            let last = cx
                .api()
                .evidence()
                .lines()
                .pop()
                .unwrap_or_else(|| "no exchange at all".to_owned());
            let last: String = last.chars().take(300).collect();
            Err(CheckFault::Errored(format!(
                "the check did not end within {whole:?}; its last exchange was: {last}"
            )))
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
