//! CronJobs and Jobs that run nothing.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CRON_JOBS, JOBS, PODS};
use super::status::status_walk;
use super::steps::{create, left, newer, pod_spec, pods, read, update};
use super::walk::{Walk, subresources, walk};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "batch/cron-job-serves-every-verb",
        title: "CronJobs are discovered and serve every verb, and their status is written apart.",
        official: &["[sig-apps] CronJob should support CronJob API operations"],
        requires: &[
            Requirement::Resource("batch/v1", "cronjobs"),
            Requirement::Resource("batch/v1", "cronjobs/status"),
        ],
        kills: CRON_JOB,
        run: |cx| Box::pin(cron_job(cx)),
        ..Check::BASE
    },
    Check {
        id: "batch/job-lifecycle-is-managed",
        title: "A suspended Job is patched, resumed by an update, completes with its pods, and is deleted by collection.",
        official: &["[sig-apps] Job should manage the lifecycle of a job"],
        // v1.21 has suspend as an alpha field, which it drops: the Job would start.
        requires: &[
            Requirement::Resource("batch/v1", "jobs"),
            Requirement::Resource("v1", "pods/status"),
            Requirement::Since(22),
            Requirement::Behaviour("workload-controllers"),
        ],
        kills: COMPLETED,
        run: |cx| {
            let more =
                json!({"suspend": true, "parallelism": 2, "completions": 4, "backoffLimit": 6});
            Box::pin(job(cx, more, true))
        },
        ..Check::BASE
    },
    // What v1.21 can show of the above: without parallelism a Job has no pods either.
    Check {
        id: "batch/idle-job-lifecycle-is-managed",
        title: "A Job without parallelism is patched, replaced, found in all namespaces and deleted by collection.",
        requires: &[Requirement::Resource("batch/v1", "jobs")],
        kills: JOB,
        run: |cx| Box::pin(job(cx, json!({"parallelism": 0}), false)),
        ..Check::BASE
    },
];

const CRON_JOB: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_MODIFIED,
    mutant::STATUS_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_THROUGH_MAIN_RESOURCE,
    mutant::DEFAULTING_SKIPPED,
];

const JOB: &[Mutant] = &[
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::LIST_LOSES_ITEM,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DELETE_COLLECTION_DELETES_ALL,
    mutant::DROPS_DELETED,
    mutant::SPEC_LOST,
    mutant::VERSION_CONSTANT,
];

const COMPLETED: &[Mutant] = &[
    mutant::PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::LIST_LOSES_ITEM,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_DELETED,
    mutant::VERSION_CONSTANT,
    mutant::STATUS_NOT_APPLIED,
    mutant::CONDITIONS_MISSING,
];

fn job_spec() -> Value {
    let mut pod = pod_spec();
    pod["restartPolicy"] = json!("Never");
    json!({"template": {"spec": pod}})
}

/// Suspended, and due on the first of February only.
const WALK: Walk = Walk {
    resource: CRON_JOBS,
    body: || json!({"spec": {"schedule": "0 0 1 2 *", "suspend": true, "jobTemplate": {"spec": job_spec()}}}),
    defaults: || json!({"spec": {"concurrencyPolicy": "Allow", "successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}}),
};

async fn cron_job(cx: &CheckContext) -> CheckResult {
    walk(cx, &WALK).await?;
    subresources(cx, CRON_JOBS, &["status"]).await?;
    let (all, name) = (cx.collection(CRON_JOBS).await?, unique("status"));
    let mut object = (WALK.body)();
    object["metadata"] = json!({"name": name});
    create(cx, &all, object).await?;
    let at = |minute: u8| json!({"lastScheduleTime": format!("2020-01-01T00:{minute:02}:00Z")});
    status_walk(cx, &all, &name, at(1), at(2)).await
}

async fn job(cx: &CheckContext, more: Value, completes: bool) -> CheckResult {
    let (all, mark) = (cx.collection(JOBS).await?, unique("job"));
    let mut spec = job_spec();
    for (field, value) in more.as_object().into_iter().flatten() {
        spec[field] = value.clone();
    }
    let selector = format!("set={mark}");
    let selected = [("labelSelector", selector.as_str())];
    let mut watch = cx.watch(&all, &selected).await?;
    if completes {
        // Until the namespace takes pods, the Job could make none.
        pods(cx).await?;
    }
    let mut made = Value::Null;
    for (name, set) in [("other", "other"), ("job", mark.as_str())] {
        let metadata = json!({"name": name, "labels": {"set": set}});
        made = create(cx, &all, json!({"metadata": metadata, "spec": spec})).await?;
    }
    watch.until("ADDED", "job", &["DELETED"], |_| true).await?;
    cx.contains(
        "the stored spec",
        &more,
        &read(cx, &all, "job").await?["spec"],
    )?;
    let patch = json!({"metadata": {"labels": {"patched": "yes"}}});
    let patched = cx.status(
        "patch",
        200,
        all.patch("job", PatchKind::Strategic, patch.clone())
            .await?,
    )?;
    newer(cx, "the patched Job", &made, &patched)?;
    cx.contains("the patched Job", &patch, &read(cx, &all, "job").await?)?;
    let seen = |object: &Value| object["metadata"]["labels"]["patched"] == "yes";
    watch.until("MODIFIED", "job", &["DELETED"], seen).await?;
    update(cx, &all, "job", |object| {
        object["metadata"]["annotations"]["updated"] = json!("true");
        if completes {
            object["spec"]["suspend"] = json!(false);
        }
    })
    .await?;
    cx.contains(
        "the updated Job",
        &json!({"updated": "true"}),
        &read(cx, &all, "job").await?["metadata"]["annotations"],
    )?;
    let seen = |object: &Value| object["metadata"]["annotations"]["updated"] == "true";
    watch.until("MODIFIED", "job", &["DELETED"], seen).await?;
    cx.only(
        "list in all namespaces",
        &["job"],
        cx.everywhere(JOBS).list(&selected).await?,
    )?;
    if completes {
        completed(cx, &all, "job").await?;
    }

    let query = [selected[0], ("propagationPolicy", "Background")];
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&query).await?,
    )?;
    watch.until("DELETED", "job", &["ADDED"], |_| true).await?;
    left(cx, &cx.everywhere(JOBS), &selector, &[]).await?;
    read(cx, &all, "other").await.map(drop)
}

/// Plays the kubelet's part, which upstream leaves to a node: each pod that the Job makes is said to have succeeded, until
/// the Job is complete for all of them.
async fn completed(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    let pods = &cx.collection(PODS).await?;
    let (selector, succeeded) = (
        &format!("job-name={name}"),
        &json!({"status": {"phase": "Succeeded"}}),
    );
    cx.wait("the Job to complete with its pods", || async move {
        let query = [("labelSelector", selector.as_str())];
        for pod in cx.items("list of pods", pods.list(&query).await?)? {
            if pod["status"]["phase"] == "Pending" {
                let sub = format!("{}/status", harness::check::name(&pod));
                let answer = pods
                    .patch(&sub, PatchKind::Merge, succeeded.clone())
                    .await?;
                // The Job may take its pods away meanwhile.
                if answer.status != 404 {
                    cx.status("PATCH of the pod's /status", 200, answer)?;
                }
            }
        }
        let job = read(cx, all, name).await?;
        let complete = job["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| one["type"] == "Complete" && one["status"] == "True");
        let enough = job["status"]["succeeded"] == job["spec"]["completions"];
        Ok(Seen::when(complete && enough, || job["status"].to_string()))
    })
    .await
}
