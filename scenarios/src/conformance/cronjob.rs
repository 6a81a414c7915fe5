//! CronJobs that come due. Their pods never run, so that a job once started stays active.
//!
//! Upstream waits for two turns of the minute, and five minutes to see that nothing happens. Here each CronJob is made to
//! have missed a run, which a controller starts at once, so that one turn is enough; that a turn has passed is told by a
//! CronJob beside it, in a namespace of its own, and not by the clock.

use std::time::Duration;

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckFault, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::kinds::{CRON_JOBS, JOBS};
use super::steps::{create, newer, pod_spec, read};

const SERVED: &[Requirement] = &[
    Requirement::Resource("batch/v1", "cronjobs"),
    Requirement::Resource("batch/v1", "cronjobs/status"),
    Requirement::Resource("batch/v1", "jobs"),
    Requirement::Behaviour("workload-controllers"),
];
const SLOW: Option<&str> = Some("a schedule comes due at the turn of a minute");
/// A controller that makes up for no missed run takes a turn of the minute more, and two turns are at most 120 s away; the
/// rest is for the controllers.
const A_TURN: Duration = Duration::from_secs(150);

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "cronjob/jobs-overlap-when-allowed",
        title: "A CronJob that allows it has two jobs active at once.",
        official: &["[sig-apps] CronJob should schedule multiple jobs concurrently"],
        requires: SERVED,
        kills: &[
            mutant::CONCURRENCY_ALWAYS_FORBIDDEN,
            mutant::LIST_LOSES_ITEM,
            mutant::DELETE_IGNORED,
        ],
        slow: SLOW,
        patience: A_TURN,
        run: |cx| Box::pin(overlapping(cx)),
        ..Check::BASE
    },
    Check {
        id: "cronjob/suspended-starts-nothing",
        title: "A suspended CronJob starts no job when its time comes, and makes up for it once it is resumed.",
        official: &["[sig-apps] CronJob should not schedule jobs when suspended"],
        requires: SERVED,
        kills: &[mutant::SUSPENSION_IGNORED, mutant::PATCH_NOT_APPLIED],
        slow: SLOW,
        patience: A_TURN,
        run: |cx| Box::pin(suspended(cx)),
        ..Check::BASE
    },
    Check {
        id: "cronjob/forbidden-overlap-waits",
        title: "A CronJob that forbids overlap starts no second job while the first is active, and one when it is gone.",
        official: &["[sig-apps] CronJob should not schedule new jobs when ForbidConcurrent"],
        requires: SERVED,
        kills: &[
            mutant::CONCURRENCY_ALWAYS_ALLOWED,
            mutant::CREATE_NOT_STORED,
            mutant::DELETE_IGNORED,
        ],
        slow: SLOW,
        patience: A_TURN,
        run: |cx| Box::pin(forbidden(cx)),
        ..Check::BASE
    },
    Check {
        id: "cronjob/replaced-job-goes",
        title: "A CronJob that replaces has one job at a time, and the next takes the place of the first.",
        official: &["[sig-apps] CronJob should replace jobs when ReplaceConcurrent"],
        requires: SERVED,
        kills: &[
            mutant::CONCURRENCY_ALWAYS_ALLOWED,
            mutant::CONCURRENCY_ALWAYS_FORBIDDEN,
        ],
        slow: SLOW,
        patience: A_TURN,
        run: |cx| Box::pin(replaced(cx)),
        ..Check::BASE
    },
];

/// Makes a CronJob of every minute and sets its last run two minutes before its creation: it has missed one then, and a
/// controller that makes up for missed runs starts it at once. One that does not starts it at the next turn, and the
/// check takes a minute more.
async fn overdue(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    policy: &str,
    suspend: bool,
) -> CheckResult {
    let mut pod = pod_spec();
    pod["restartPolicy"] = json!("OnFailure");
    let job =
        json!({"parallelism": 1, "completions": 1, "backoffLimit": 1, "template": {"spec": pod}});
    let spec = json!({
        "schedule": "*/1 * * * ?",
        "concurrencyPolicy": policy,
        "suspend": suspend,
        "jobTemplate": {"spec": job},
    });
    let made = create(cx, all, json!({"metadata": {"name": name}, "spec": spec})).await?;
    let created = cx.text("the CronJob", &made, "/metadata/creationTimestamp")?;
    let last = created
        .parse::<jiff::Timestamp>()
        .and_then(|at| at.checked_sub(jiff::SignedDuration::from_mins(2)))
        .map_err(|error| {
            CheckFault::Failed(format!(
                "creationTimestamp of the CronJob: expected a time; seen: {created} ({error})"
            ))
        })?;
    let status = json!({"status": {"lastScheduleTime": last.to_string()}});
    let item = all.item(&format!("{name}/status"));
    let answer = cx
        .api()
        .clean()
        .patch(&item, PatchKind::Merge, status)
        .await?;
    cx.status("setting the last run", 200, answer).map(drop)
}

async fn active(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult<usize> {
    let now = read(cx, all, name).await?;
    Ok(now["status"]["active"].as_array().map_or(0, Vec::len))
}

async fn until_active(
    cx: &CheckContext,
    all: &Collection,
    name: &str,
    count: usize,
) -> CheckResult {
    cx.wait(&format!("{count} active jobs of {name}"), || async {
        let now = active(cx, all, name).await?;
        Ok(Seen::when(now >= count, || format!("{now} active")))
    })
    .await
}

/// Waits until a CronJob made now, in another namespace, has started a job at each of so many turns of the minute.
async fn turns(cx: &CheckContext, count: usize) -> CheckResult {
    let namespace = cx.another_namespace().await?;
    let all = Collection::new(&cx.api().clean(), CRON_JOBS, Some(&namespace));
    overdue(cx, &all, "witness", "Allow", false).await?;
    for turn in 1..=count {
        until_active(cx, &all, "witness", turn + 1).await?;
    }
    Ok(())
}

/// The names of the jobs that have not ended.
async fn unfinished(cx: &CheckContext, jobs: &Collection) -> CheckResult<Vec<String>> {
    let ended = |job: &Value| {
        job["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
            .any(|one| {
                (one["type"] == "Complete" || one["type"] == "Failed") && one["status"] == "True"
            })
    };
    let all = cx.items("list of jobs", jobs.list(&[]).await?)?;
    let running = all.iter().filter(|job| !ended(job));
    Ok(running.map(|job| name(job).to_owned()).collect())
}

/// Waits for the first job and gives its name: it must be alone, in the status and in the list.
async fn first_alone(
    cx: &CheckContext,
    all: &Collection,
    jobs: &Collection,
    name: &str,
) -> CheckResult<String> {
    until_active(cx, all, name, 1).await?;
    cx.expect_eq("active jobs", 1, active(cx, all, name).await?)?;
    let mut running = unfinished(cx, jobs).await?;
    cx.expect_eq("jobs that have not ended", 1, running.len())?;
    Ok(running.remove(0))
}

async fn remove(cx: &CheckContext, all: &Collection, name: &str) -> CheckResult {
    let answer = all
        .delete_with(name, json!({"propagationPolicy": "Background"}))
        .await?;
    cx.status("delete of the CronJob", 200, answer)?;
    let now = all.get(name).await?;
    let marked = now.body["metadata"]["deletionTimestamp"].is_string();
    cx.expect(
        "the CronJob to be gone or marked for deletion",
        now.status == 404 || marked,
        || now.summary(),
    )
}

async fn overlapping(cx: &CheckContext) -> CheckResult {
    let (all, jobs) = (cx.collection(CRON_JOBS).await?, cx.collection(JOBS).await?);
    overdue(cx, &all, "overlapping", "Allow", false).await?;
    until_active(cx, &all, "overlapping", 2).await?;
    let running = unfinished(cx, &jobs).await?;
    cx.expect("two jobs that have not ended", running.len() >= 2, || {
        format!("{running:?}")
    })?;
    remove(cx, &all, "overlapping").await
}

/// Upstream looks for five minutes. Here a watch shows every job that was ever there, however short, and two turns pass: at the
/// first another CronJob ran on time, and by the second the controller is done with the first.
async fn suspended(cx: &CheckContext) -> CheckResult {
    let (all, jobs) = (cx.collection(CRON_JOBS).await?, cx.collection(JOBS).await?);
    let mut watch = cx.watch(&jobs, &[]).await?;
    overdue(cx, &all, "suspended", "Allow", true).await?;
    turns(cx, 2).await?;
    cx.expect_eq("active jobs", 0, active(cx, &all, "suspended").await?)?;
    let list = jobs.list(&[]).await?;
    let until_now = list.body.clone();
    cx.only("jobs", &[], list)?;
    // Nothing but the suspension held it: resumed, it makes up for what it missed.
    let resume = json!({"spec": {"suspend": false}});
    let answer = all.patch("suspended", PatchKind::Merge, resume).await?;
    cx.status("resumption", 200, answer)?;
    until_active(cx, &all, "suspended", 1).await?;
    let first = watch.any("the first job after the resumption").await?;
    cx.expect_eq("the first event of any job", "ADDED", first.kind.as_str())?;
    newer(cx, "the first job that ever was", &until_now, &first.object)?;
    remove(cx, &all, "suspended").await
}

/// The watch shows in which order the first job went and the second came, whatever the moment of looking.
async fn forbidden(cx: &CheckContext) -> CheckResult {
    let (all, jobs) = (cx.collection(CRON_JOBS).await?, cx.collection(JOBS).await?);
    let mut watch = cx.watch(&jobs, &[]).await?;
    overdue(cx, &all, "alone", "Forbid", false).await?;
    let first = first_alone(cx, &all, &jobs, "alone").await?;
    turns(cx, 1).await?;
    let now = active(cx, &all, "alone").await?;
    cx.expect("fewer than two active jobs", now < 2, || now.to_string())?;
    cx.only("jobs", &[&first], jobs.list(&[]).await?)?;

    let answer = jobs
        .delete_with(&first, json!({"propagationPolicy": "Background"}))
        .await?;
    cx.status("delete of the first job", 200, answer)?;
    let mut gone = false;
    loop {
        let event = watch.any("the first job to go and another to come").await?;
        if event.name() == first {
            gone |= event.kind == "DELETED";
            continue;
        }
        cx.expect(
            "another job only after the first is gone",
            gone && event.kind == "ADDED",
            || format!("{} of {}", event.kind, event.name()),
        )?;
        return remove(cx, &all, "alone").await;
    }
}

async fn replaced(cx: &CheckContext) -> CheckResult {
    let (all, jobs) = (cx.collection(CRON_JOBS).await?, cx.collection(JOBS).await?);
    overdue(cx, &all, "replacing", "Replace", false).await?;
    let first = &first_alone(cx, &all, &jobs, "replacing").await?;
    cx.wait("another job in the place of the first", || async {
        let there = cx.items("list of jobs", jobs.list(&[]).await?)?;
        // A job's deletion takes a moment; what is marked for it is no longer running.
        let alive = there
            .iter()
            .filter(|job| job["metadata"]["deletionTimestamp"].is_null())
            .map(name)
            .collect::<Vec<_>>();
        cx.expect("one job at a time", alive.len() < 2, || {
            format!("{alive:?}")
        })?;
        Ok(Seen::when(alive.len() == 1 && alive[0] != first, || {
            format!("{alive:?}")
        }))
    })
    .await?;
    cx.gone(&jobs, first).await?;
    remove(cx, &all, "replacing").await
}
