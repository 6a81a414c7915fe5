//! The status of a quota: writable apart from its limits, and set back to them.

use std::time::Duration;

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{PODS, QUOTAS};
use super::steps::{create, delete, pod_spec, pods, read, update};

const NEEDS: &[Requirement] = &[
    Requirement::Resource("v1", "resourcequotas"),
    Requirement::Resource("v1", "resourcequotas/status"),
    Requirement::Resource("v1", "pods"),
    Requirement::Behaviour("quota"),
    Requirement::Behaviour("quota-compute"),
];
/// The quota controller looks at every quota each five minutes; upstream grants a minute more.
const RESYNC: Duration = Duration::from_secs(360);
/// Between two looks while that is awaited.
const PAUSE: Duration = Duration::from_secs(2);

/// In the table of the area `quota`. It asserts what the official test does but for its end: that waits for the controller's
/// next look at every quota, and here a pod goes away, upon which it looks at those of that namespace at once. A name stands
/// as well as the least of the checks that answer it, so it is the other check's alone.
pub(crate) const PROMPTED: Check = Check {
    id: "quota/status-is-separate-and-set-back",
    title: "A quota's status is updated and patched apart from its limits, and set back to them when the controller looks.",
    requires: NEEDS,
    kills: &[
        mutant::STATUS_UPDATE_NOT_APPLIED,
        mutant::STATUS_PATCH_NOT_APPLIED,
        mutant::STATUS_WRITES_MAIN,
        mutant::STATUS_MISSING,
        mutant::STRATEGIC_PATCH_NOT_APPLIED,
        mutant::QUOTA_STATUS_FROZEN,
        mutant::NEVER_MODIFIED,
    ],
    run: |cx| Box::pin(status(cx, true)),
    ..Check::BASE
};

/// As upstream, and so for up to six minutes. What the other check kills is not killed again: of most mutants it would wait
/// for as long.
pub(crate) const BY_ITSELF: Check = Check {
    id: "quota/status-is-set-back-without-a-cause",
    title: "A quota's status is written apart from its limits, and set back to them although nothing else happens.",
    official: &["[sig-api-machinery] ResourceQuota should apply changes to a resourcequota status"],
    requires: NEEDS,
    kills: &[mutant::CREATE_NOT_STORED, mutant::SPEC_LOST],
    slow: Some("the quota controller looks at every quota once in five minutes"),
    patience: RESYNC,
    run: |cx| Box::pin(status(cx, false)),
    ..Check::BASE
};

async fn status(cx: &CheckContext, prompted: bool) -> CheckResult {
    let (all, name) = (cx.collection(QUOTAS).await?, unique("status"));
    let (selector, sub) = (format!("quota={name}"), format!("{name}/status"));
    let mut watch = cx.watch(&all, &[("labelSelector", &selector)]).await?;
    let hard = |cpu: &str, memory: &str| json!({"cpu": cpu, "memory": memory});
    let limits = hard("500m", "500Mi");
    let object =
        json!({"metadata": {"name": name, "labels": {"quota": name}}, "spec": {"hard": limits}});
    create(cx, &all, object).await?;
    let stored = read(cx, &all, &name).await?;
    cx.expect_eq("limits", limits.clone(), stored["spec"]["hard"].clone())?;

    // Other than what the controller itself would write, so that nothing but this update shows it.
    let odd = hard("600m", "600Mi");
    let answer = update(cx, &all, &sub, |object| {
        object["status"] = json!({"hard": odd})
    })
    .await?;
    cx.expect_eq(
        "limits after the update of /status",
        limits,
        answer["spec"]["hard"].clone(),
    )?;
    watch
        .until("MODIFIED", &name, &["DELETED"], |object| {
            object["status"]["hard"] == odd
        })
        .await?;

    let limits = hard("1", "1Gi");
    let patch = |value: Value| {
        all.patch(
            &sub,
            PatchKind::Strategic,
            json!({"status": {"hard": value}}),
        )
    };
    let answer = all
        .patch(
            &name,
            PatchKind::Strategic,
            json!({"spec": {"hard": limits}}),
        )
        .await?;
    cx.status("patch of the limits", 200, answer)?;
    cx.status("patch of /status", 200, patch(limits.clone()).await?)?;
    watch
        .until("MODIFIED", &name, &["DELETED"], |object| {
            object["status"]["hard"] == limits
        })
        .await?;
    let through = cx.status("GET of /status", 200, all.get(&sub).await?)?;
    cx.expect_eq(
        "limits told in /status",
        limits.clone(),
        through["status"]["hard"].clone(),
    )?;

    if prompted {
        with_pod(cx, &all, &name).await?;
    }
    let more = hard("2", "2Gi");
    let answer = cx.status("another patch of /status", 200, patch(more.clone()).await?)?;
    cx.expect_eq(
        "limits told in the answer",
        more.clone(),
        answer["status"]["hard"].clone(),
    )?;
    watch
        .until("MODIFIED", &name, &["DELETED"], |object| {
            object["status"]["hard"] == more
        })
        .await?;
    let look = || async {
        let now = read(cx, &all, &name).await?;
        cx.expect_eq("limits", limits.clone(), now["spec"]["hard"].clone())?;
        let seen = now["status"]["hard"].clone();
        Ok(Seen::when(seen == limits, || seen.to_string()))
    };
    let what = "the controller sets the status back to the limits";
    if prompted {
        delete(cx, &cx.collection(PODS).await?, "pod").await?;
        cx.wait(what, look).await
    } else {
        cx.wait_slowly(what, PAUSE, look).await
    }
}

/// Makes a pod that the quota counts.
async fn with_pod(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    let used = |what: &'static str| {
        cx.wait(
            if what == "0" {
                "the quota's use is counted"
            } else {
                "the pod is counted"
            },
            move || async move {
                let seen = read(cx, all, name).await?["status"]["used"]["cpu"].clone();
                Ok(Seen::when(seen == what, || seen.to_string()))
            },
        )
    };
    used("0").await?;
    let mut spec = pod_spec();
    spec["terminationGracePeriodSeconds"] = json!(0);
    let small = json!({"cpu": "1m", "memory": "1Mi"});
    spec["containers"][0]["resources"] = json!({"requests": small, "limits": small});
    let pod = json!({"metadata": {"name": "pod"}, "spec": spec});
    create(cx, &pods(cx).await?, pod).await?;
    used("1m").await
}
