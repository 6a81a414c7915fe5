//! Watches.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::CONFIG_MAPS;

const SERVED: &[Requirement] = &[Requirement::Verb("v1", "configmaps", "watch")];

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "watchers/selector-watches-see-their-own-events",
    title: "Watches for label A, B and A-or-B see exactly the events of their own objects, in order.",
    official: &[
        "[sig-api-machinery] Watchers should observe add, update, and delete watch notifications on configmaps",
    ],
    requires: SERVED,
    kills: &[
        mutant::DROPS_ADDED,
        mutant::DROPS_MODIFIED,
        mutant::DROPS_DELETED,
        mutant::REPEATS_EVENTS,
        mutant::SWAPS_EVENTS,
        mutant::WRONG_TYPE,
        mutant::DELETED_AS_MODIFIED,
        mutant::WATCH_IGNORES_SELECTOR,
        mutant::WATCH_STALE_OBJECT,
    ],
    run: |cx| Box::pin(own_events(cx)),
    ..Check::BASE
}];

/// Upstream waits ten seconds each time to see that nothing comes. Here a later event of the same watch proves that: the next event
/// after the ones of its own object is the end mark, which every watch selects.
async fn own_events(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let (a, b, mark) = (unique("a"), unique("b"), unique("mark"));
    let mut watches = Vec::new();
    for values in [vec![&a], vec![&b], vec![&a, &b]] {
        let wanted = values
            .iter()
            .map(|value| value.as_str())
            .collect::<Vec<_>>()
            .join(",");
        let selector = format!("watched in ({wanted},{mark})");
        watches.push((
            values,
            cx.watch(&maps, &[("labelSelector", &selector)]).await?,
        ));
    }
    for name in [&a, &b] {
        let body = json!({"metadata": {"name": name, "labels": {"watched": name}}});
        cx.status("create", 201, maps.create(body).await?)?;
        for mutation in ["1", "2"] {
            let patch = json!({"data": {"mutation": mutation}});
            cx.status(
                "modify",
                200,
                maps.patch(name, PatchKind::Merge, patch).await?,
            )?;
        }
        cx.status("delete", 200, maps.delete(name).await?)?;
    }
    cx.status(
        "create the mark",
        201,
        maps.create(json!({"metadata": {"name": mark, "labels": {"watched": mark}}}))
            .await?,
    )?;
    for (own, watch) in &mut watches {
        for name in own.iter() {
            watch.next("ADDED", name).await?;
            for mutation in ["1", "2"] {
                let seen = watch.next("MODIFIED", name).await?;
                cx.expect_eq(
                    "data in the event",
                    json!({"mutation": mutation}),
                    seen["data"].clone(),
                )?;
            }
            let last = watch.next("DELETED", name).await?;
            cx.expect_eq(
                "data in the last state",
                json!({"mutation": "2"}),
                last["data"].clone(),
            )?;
        }
        watch.next("ADDED", &mark).await?;
    }
    Ok(())
}
