//! LimitRanges.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::LIMIT_RANGES;
use super::steps::{create, delete, left, newer, read, update};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "limitrange/lifecycle-is-managed",
        title: "LimitRanges are listed over all namespaces by label, patched, and deleted by collection in their own namespace only.",
        official: &[
            "[sig-scheduling] LimitRange should list, patch and delete a LimitRange by collection",
        ],
        requires: &[Requirement::Resource("v1", "limitranges")],
        kills: &[
            mutant::VERSION_CONSTANT,
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::LIST_LOSES_ITEM,
            mutant::LIST_REPEATS_ITEM,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::SPEC_LOST,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "limitrange/defaults-and-bounds-hold-for-pods",
        title: "Pods get a LimitRange's defaults, and are refused outside its bounds, as it is created, updated and deleted.",
        official: &[
            "[sig-scheduling] LimitRange should create a LimitRange with defaults and ensure pod has those defaults applied.",
        ],
        requires: &[
            Requirement::Resource("v1", "limitranges"),
            Requirement::Resource("v1", "pods"),
            Requirement::Behaviour("limit-ranges"),
        ],
        kills: &[
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::UPDATE_NOT_APPLIED,
            mutant::SPEC_LOST,
            mutant::DROPS_ADDED,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(pods(cx)),
        ..Check::BASE
    },
];

fn amounts(cpu: &str, memory: &str, disk: &str) -> Value {
    json!({"cpu": cpu, "memory": memory, "ephemeral-storage": disk})
}

fn limits() -> Value {
    json!([{
        "type": "Container",
        "min": amounts("50m", "100Mi", "100Gi"),
        "max": amounts("500m", "500Mi", "500Gi"),
        "default": amounts("500m", "500Mi", "500Gi"),
        "defaultRequest": amounts("100m", "200Mi", "200Gi"),
    }])
}

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (mark, second) = (unique("limits"), cx.another_namespace().await?);
    let own = cx.collection(LIMIT_RANGES).await?;
    let other = Collection::new(cx.api(), LIMIT_RANGES, Some(&second));
    let object =
        json!({"metadata": {"name": mark, "labels": {"set": mark}}, "spec": {"limits": limits()}});
    let made = create(cx, &own, object.clone()).await?;
    create(cx, &other, object).await?;
    let selector = format!("set={mark}");
    let everywhere = cx.everywhere(LIMIT_RANGES);
    cx.only(
        "list in all namespaces",
        &[&mark, &mark],
        everywhere.list(&[("labelSelector", &selector)]).await?,
    )?;

    let mut changed = limits();
    changed[0]["min"] = amounts("9m", "49Mi", "49Gi");
    let patch = json!({"metadata": {"labels": {"patched": "yes"}}, "spec": {"limits": changed}});
    let answer = cx.status(
        "patch",
        200,
        own.patch(&mark, PatchKind::Strategic, patch.clone())
            .await?,
    )?;
    cx.contains("the answer to the patch", &patch, &answer)?;
    newer(cx, "the patched LimitRange", &made, &answer)?;
    cx.contains(
        "the patched LimitRange",
        &patch,
        &read(cx, &own, &mark).await?,
    )?;
    cx.status(
        "deletecollection",
        200,
        own.delete_collection(&[("labelSelector", "patched=yes")])
            .await?,
    )?;
    left(cx, &own, &selector, &[]).await?;
    cx.only(
        "list in all namespaces afterwards",
        &[&mark],
        everywhere.list(&[("labelSelector", &selector)]).await?,
    )
}

/// The admission plugin reads a cache, so what it does is awaited, by dry runs that leave no pod behind.
async fn pods(cx: &CheckContext) -> CheckResult {
    let (ranges, all) = (
        cx.collection(LIMIT_RANGES).await?,
        super::steps::pods(cx).await?,
    );
    let all = &all;
    let mut watch = cx.watch(&ranges, &[]).await?;
    create(
        cx,
        &ranges,
        json!({"metadata": {"name": "limits"}, "spec": {"limits": limits()}}),
    )
    .await?;
    watch.next("ADDED", "limits").await?;
    cx.contains(
        "the stored limits",
        &limits(),
        &read(cx, &ranges, "limits").await?["spec"]["limits"],
    )?;

    let pod = |name: &str, requests: Value, limits: Value| {
        json!({"metadata": {"name": name}, "spec": {"containers": [
            {"name": "main", "image": "registry.invalid/assay:none", "resources": {"requests": requests, "limits": limits}},
        ]}})
    };
    // Above the maximum, the default limit makes the pod invalid before the plugin forbids it: 422 as well as 403.
    let admitted = |what: &'static str, pod: Value, wanted: &'static [u16]| async move {
        let pod = &pod;
        cx.wait(what, || async {
            let answer = all.create_with(pod.clone(), &[("dryRun", "All")]).await?;
            Ok(Seen::when(wanted.contains(&answer.status), || {
                answer.summary()
            }))
        })
        .await
    };
    let small = pod("small", amounts("10m", "50Mi", "50Gi"), json!({}));
    let great = pod("great", amounts("600m", "600Mi", "600Gi"), json!({}));
    admitted(
        "a pod below the minimum to be forbidden",
        small.clone(),
        &[403],
    )
    .await?;
    admitted(
        "a pod above the maximum to be forbidden",
        great.clone(),
        &[403, 422],
    )
    .await?;

    create(cx, all, pod("bare", json!({}), json!({}))).await?;
    let expected = json!({"requests": amounts("100m", "200Mi", "200Gi"), "limits": amounts("500m", "500Mi", "500Gi")});
    cx.contains(
        "resources of a pod without any",
        &expected,
        &read(cx, all, "bare").await?["spec"]["containers"][0]["resources"],
    )?;
    // A limit without a request becomes the request; the default request is for what has neither.
    create(
        cx,
        all,
        pod(
            "part",
            json!({"memory": "150Mi", "ephemeral-storage": "150Gi"}),
            json!({"cpu": "300m"}),
        ),
    )
    .await?;
    let expected = json!({"requests": amounts("300m", "150Mi", "150Gi"), "limits": amounts("300m", "500Mi", "500Gi")});
    cx.contains(
        "resources of a pod with some",
        &expected,
        &read(cx, all, "part").await?["spec"]["containers"][0]["resources"],
    )?;

    let min = amounts("9m", "49Mi", "49Gi");
    update(cx, &ranges, "limits", |object| {
        object["spec"]["limits"][0]["min"] = min.clone()
    })
    .await?;
    cx.contains(
        "the new minimum",
        &min,
        &read(cx, &ranges, "limits").await?["spec"]["limits"][0]["min"],
    )?;
    admitted(
        "a pod below the former minimum to be admitted",
        small,
        &[201],
    )
    .await?;
    admitted(
        "a pod above the maximum to be forbidden still",
        great.clone(),
        &[403, 422],
    )
    .await?;
    delete(cx, &ranges, "limits").await?;
    cx.only("LimitRanges", &[], ranges.list(&[]).await?)?;
    admitted(
        "a pod above the former maximum to be admitted",
        great,
        &[201],
    )
    .await
}
