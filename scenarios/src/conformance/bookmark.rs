//! Bookmarks of watches. No official test has them as its subject; every client's cache relies on them.

use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::json;

use super::kinds::CONFIG_MAPS;
use super::steps::{create, newer};

const SERVED: Requirement = Requirement::Verb("v1", "configmaps", "watch");
/// Marks the bookmark that ends the initial events, as the API documentation of `sendInitialEvents` names it.
const END: &str = "k8s.io/initial-events-end";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "bookmark/tells-a-version-to-go-on-from",
        title: "A bookmark carries nothing but a version, and a watch from it shows what came later and nothing earlier.",
        requires: &[SERVED, Requirement::Behaviour("bookmarks")],
        kills: &[
            mutant::BOOKMARKS_STALE,
            mutant::BOOKMARKS_MISSING,
            mutant::WATCH_IGNORES_VERSION,
        ],
        run: |cx| Box::pin(bookmark(cx)),
        ..Check::BASE
    },
    Check {
        id: "bookmark/ends-the-initial-events",
        title: "A watch with sendInitialEvents shows each object once, then a bookmark that says so, then what changes.",
        // On by default since v1.32, and asked of the server by the fields of this very request.
        requires: &[SERVED, Requirement::Since(32)],
        kills: &[mutant::INITIAL_EVENTS_NEVER_END, mutant::DROPS_ADDED],
        run: |cx| Box::pin(initial_events(cx)),
        ..Check::BASE
    },
];

/// With a time limit Kubernetes sends one shortly before it. By the API documentation a server need not: a distribution that
/// sends none declares that it lacks them, for what does not come cannot be told from what is lost.
async fn bookmark(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let label = json!({"set": "yes"});
    let selected = ("labelSelector", "set=yes");
    let made = create(
        cx,
        &maps,
        json!({"metadata": {"name": "one", "labels": label}}),
    )
    .await?;
    let mut watch = cx
        .watch(
            &maps,
            &[
                selected,
                ("allowWatchBookmarks", "true"),
                ("timeoutSeconds", "6"),
            ],
        )
        .await?;
    watch.next("ADDED", "one").await?;
    let event = watch.any("a bookmark").await?;
    cx.expect_eq("kind of the event", "BOOKMARK", event.kind.as_str())?;
    cx.contains(
        "the bookmark",
        &json!({"kind": "ConfigMap", "apiVersion": "v1"}),
        &event.object,
    )?;
    cx.expect_eq("name in the bookmark", "", name(&event.object))?;
    let version = cx
        .text("the bookmark", &event.object, "/metadata/resourceVersion")?
        .to_owned();
    // It may be that of the last event, or later.
    if event.object["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"] {
        newer(cx, "the bookmark", &made, &event.object)?;
    }
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "two", "labels": label}}),
    )
    .await?;
    let mut watch = cx
        .watch(&maps, &[selected, ("resourceVersion", &version)])
        .await?;
    watch.next("ADDED", "two").await?;
    // A watch of the present state tells of both in any order: what comes next shows that it is none.
    create(
        cx,
        &maps,
        json!({"metadata": {"name": "three", "labels": label}}),
    )
    .await?;
    watch.next("ADDED", "three").await.map(drop)
}

async fn initial_events(cx: &CheckContext) -> CheckResult {
    let maps = cx.collection(CONFIG_MAPS).await?;
    let object = |name: &str| json!({"metadata": {"name": name, "labels": {"set": "yes"}}});
    let mut expected = vec!["one", "two", "three"];
    let mut last = json!(null);
    for name in &expected {
        last = create(cx, &maps, object(name)).await?;
    }
    let query = [
        ("labelSelector", "set=yes"),
        ("sendInitialEvents", "true"),
        ("resourceVersionMatch", "NotOlderThan"),
        ("allowWatchBookmarks", "true"),
    ];
    let mut watch = cx.watch(&maps, &query).await?;
    let mut seen = Vec::new();
    let end = loop {
        let event = watch.any("the end of the initial events").await?;
        if event.kind == "BOOKMARK" {
            if event.object["metadata"]["annotations"][END] == "true" {
                break event.object;
            }
            continue;
        }
        cx.expect_eq("kind of an initial event", "ADDED", event.kind.as_str())?;
        seen.push(event.name().to_owned());
    };
    expected.sort_unstable();
    seen.sort();
    cx.expect_eq("the initial events", expected, seen)?;
    if end["metadata"]["resourceVersion"] != last["metadata"]["resourceVersion"] {
        newer(cx, "the bookmark", &last, &end)?;
    }
    create(cx, &maps, object("four")).await?;
    watch
        .until("ADDED", "four", &["MODIFIED", "DELETED"], |_| true)
        .await
        .map(drop)
}
