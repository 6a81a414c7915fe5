//! Watches.

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::json;

use super::kinds::CONFIG_MAPS;
use super::steps::{create, delete};

const SERVED: &[Requirement] = &[Requirement::Verb("v1", "configmaps", "watch")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
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
    },
    Check {
        id: "watchers/start-at-a-resource-version",
        title: "A watch from the version of a past update delivers exactly what came after it.",
        official: &[
            "[sig-api-machinery] Watchers should be able to start watching from a specific resource version",
        ],
        requires: SERVED,
        kills: &[
            mutant::WATCH_IGNORES_VERSION,
            mutant::DROPS_MODIFIED,
            mutant::DROPS_DELETED,
            mutant::REPEATS_EVENTS,
            mutant::SWAPS_EVENTS,
            mutant::VERSION_MISSING,
        ],
        run: |cx| Box::pin(from_version(cx)),
        ..Check::BASE
    },
    Check {
        id: "watchers/restart-where-they-stopped",
        title: "A watch reopened at the last seen version misses and repeats nothing.",
        official: &[
            "[sig-api-machinery] Watchers should be able to restart watching from the last resource version observed by the previous watch",
        ],
        requires: SERVED,
        kills: &[
            mutant::WATCH_IGNORES_VERSION,
            mutant::DROPS_ADDED,
            mutant::DROPS_MODIFIED,
            mutant::DROPS_DELETED,
            mutant::REPEATS_EVENTS,
            mutant::VERSION_DECREASING,
        ],
        run: |cx| Box::pin(restart(cx)),
        ..Check::BASE
    },
    Check {
        id: "watchers/leaving-the-selector-is-a-deletion",
        title: "An object that leaves a watch's selector is DELETED there, silent while outside, and ADDED when it comes back.",
        official: &[
            "[sig-api-machinery] Watchers should observe an object deletion if it stops meeting the requirements of the selector",
        ],
        requires: SERVED,
        kills: &[
            mutant::WATCH_IGNORES_SELECTOR,
            mutant::DROPS_ADDED,
            mutant::DROPS_DELETED,
            mutant::WRONG_TYPE,
            mutant::DELETED_AS_MODIFIED,
            mutant::WATCH_STALE_OBJECT,
        ],
        run: |cx| Box::pin(leaving(cx)),
        ..Check::BASE
    },
    Check {
        id: "watchers/agree-on-the-order",
        title: "Watches opened at successive versions during writes all see the same events in the same order.",
        official: &[
            "[sig-api-machinery] Watchers should receive events on concurrent watches in same order",
        ],
        requires: SERVED,
        kills: &[
            mutant::SWAPS_EVENTS,
            mutant::REPEATS_EVENTS,
            mutant::DROPS_MODIFIED,
            mutant::WATCH_IGNORES_VERSION,
            mutant::VERSION_CONSTANT,
            mutant::VERSION_DECREASING,
        ],
        run: |cx| Box::pin(same_order(cx)),
        ..Check::BASE
    },
];

/// Upstream waits ten seconds each time to see that nothing comes. Here a later event of the same watch proves that: the next
/// event after the ones of its own objects is the end mark's, which every watch selects.
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
        create(
            cx,
            &maps,
            json!({"metadata": {"name": name, "labels": {"watched": name}}}),
        )
        .await?;
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
    create(
        cx,
        &maps,
        json!({"metadata": {"name": mark, "labels": {"watched": mark}}}),
    )
    .await?;
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

async fn from_version(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "map", "labels": {"watched": "yes"}}}),
    )
    .await?;
    let mut versions = Vec::new();
    for mutation in ["1", "2"] {
        let answer = maps
            .patch(
                "map",
                PatchKind::Merge,
                json!({"data": {"mutation": mutation}}),
            )
            .await?;
        let object = cx.status("modify", 200, answer)?;
        versions.push(
            cx.text(
                "the modified ConfigMap",
                &object,
                "/metadata/resourceVersion",
            )?
            .to_owned(),
        );
    }
    delete(cx, &maps, "map").await?;
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "mark", "labels": {"watched": "yes"}}}),
    )
    .await?;
    let mut watch = cx
        .watch(
            &maps,
            &[
                ("labelSelector", "watched=yes"),
                ("resourceVersion", &versions[0]),
            ],
        )
        .await?;
    let seen = watch.next("MODIFIED", "map").await?;
    cx.expect_eq(
        "data in the event",
        json!({"mutation": "2"}),
        seen["data"].clone(),
    )?;
    cx.expect_eq(
        "version in the event",
        versions[1].as_str(),
        seen["metadata"]["resourceVersion"]
            .as_str()
            .unwrap_or_default(),
    )?;
    watch.next("DELETED", "map").await?;
    watch.next("ADDED", "mark").await.map(drop)
}

async fn restart(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let selected = ("labelSelector", "watched=yes");
    let mut first = cx.watch(&maps, &[selected]).await?;
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "map", "labels": {"watched": "yes"}}}),
    )
    .await?;
    cx.status(
        "modify",
        200,
        maps.patch("map", PatchKind::Merge, json!({"data": {"mutation": "1"}}))
            .await?,
    )?;
    first.next("ADDED", "map").await?;
    let last = first.next("MODIFIED", "map").await?;
    let version = cx
        .text("the last event", &last, "/metadata/resourceVersion")?
        .to_owned();
    drop(first);
    cx.status(
        "modify while closed",
        200,
        maps.patch("map", PatchKind::Merge, json!({"data": {"mutation": "2"}}))
            .await?,
    )?;
    let mut second = cx
        .watch(&maps, &[selected, ("resourceVersion", &version)])
        .await?;
    delete(cx, &maps, "map").await?;
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "mark", "labels": {"watched": "yes"}}}),
    )
    .await?;
    let seen = second.next("MODIFIED", "map").await?;
    cx.expect_eq(
        "data in the event",
        json!({"mutation": "2"}),
        seen["data"].clone(),
    )?;
    second.next("DELETED", "map").await?;
    second.next("ADDED", "mark").await.map(drop)
}

/// That nothing comes while the object is outside is proven by what comes next: the ADDED of its return.
async fn leaving(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let mut watch = cx.watch(&maps, &[("labelSelector", "watched=yes")]).await?;
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "map", "labels": {"watched": "yes"}}}),
    )
    .await?;
    for change in [
        json!({"data": {"mutation": "1"}}),
        json!({"metadata": {"labels": {"watched": "no"}}}),
        json!({"data": {"mutation": "2"}}),
        json!({"metadata": {"labels": {"watched": "yes"}}}),
        json!({"data": {"mutation": "3"}}),
    ] {
        cx.status(
            "modify",
            200,
            maps.patch("map", PatchKind::Merge, change).await?,
        )?;
    }
    delete(cx, &maps, "map").await?;
    for (kind, data) in [
        ("ADDED", json!(null)),
        ("MODIFIED", json!({"mutation": "1"})),
        ("DELETED", json!({"mutation": "1"})),
        ("ADDED", json!({"mutation": "2"})),
        ("MODIFIED", json!({"mutation": "3"})),
        ("DELETED", json!({"mutation": "3"})),
    ] {
        let seen = watch.next(kind, "map").await?;
        cx.expect_eq(&format!("data in {kind}"), data, seen["data"].clone())?;
    }
    Ok(())
}

/// As upstream: a hundred watches, each from the version of one more event, under a random mix of writes to several objects.
/// The mix is drawn from a fixed seed, so that it can be had again.
async fn same_order(cx: &CheckContext) -> CheckResult {
    const WATCHES: usize = 100;
    let maps = cx.collection(CONFIG_MAPS).await?;
    let list = maps.list(&[]).await?;
    let mut version = cx
        .text("list", &list.body, "/metadata/resourceVersion")?
        .to_owned();
    let writes = write_at_random(cx, &maps, WATCHES);
    let watching = async {
        let mut watches = Vec::new();
        let mut greatest = 0;
        for number in 0..WATCHES {
            watches.push(cx.watch(&maps, &[("resourceVersion", &version)]).await?);
            let mut expected = None;
            for watch in &mut watches {
                // K3s puts a ConfigMap of its own into each namespace; it belongs to the order like any other.
                let event = watch.any("the next event").await?;
                let seen = (
                    event.kind.clone(),
                    name(&event.object).to_owned(),
                    event.version().to_owned(),
                );
                match &expected {
                    None => expected = Some(seen),
                    Some(expected) => cx.expect_eq(
                        &format!("event {number} of another watch"),
                        expected.clone(),
                        seen,
                    )?,
                }
            }
            version = expected.map(|(_, _, version)| version).unwrap_or_default();
            let now = version.parse::<u64>().unwrap_or(0);
            cx.expect(
                "the version to rise with each event",
                now > greatest,
                || format!("{version} after {greatest}"),
            )?;
            greatest = now;
        }
        CheckResult::Ok(())
    };
    futures::try_join!(writes, watching).map(drop)
}

/// So many writes, each of which makes an event: a new object, or an update or deletion of one of those that there are.
async fn write_at_random(cx: &CheckContext, maps: &Collection, count: usize) -> CheckResult {
    let mut random = fastrand::Rng::with_seed(1);
    let mut there: Vec<String> = Vec::new();
    for number in 0..count {
        let one = there.len().checked_sub(1).map(|last| random.usize(..=last));
        match (random.u8(..3), one) {
            (1, Some(one)) => {
                let name = &there[one];
                let label = json!({"mutated": number.to_string()});
                let whole = maps.labelled(json!({"metadata": {"name": name, "labels": label}}));
                cx.status("update", 200, maps.replace(name, whole).await?)?;
            }
            (2, Some(one)) => {
                let name = there.swap_remove(one);
                cx.status("delete", 200, maps.delete(&name).await?)?;
            }
            _ => {
                let name = format!("map-{number}");
                create(cx, maps, json!({"metadata": {"name": name}})).await?;
                there.push(name);
            }
        }
    }
    Ok(())
}
