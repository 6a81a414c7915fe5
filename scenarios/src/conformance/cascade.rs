//! What becomes of pods and ReplicaSets when the controller that owns them is deleted: the bodies of checks in `gc`.

use harness::api::deadline::Seen;
use harness::api::{Collection, PatchKind};
use harness::check::{CheckContext, CheckResult, name};
use serde_json::{Value, json};

use super::kinds::{DEPLOYMENTS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use super::steps::{create, left, pods, read, template};

/// Waits until there are so many objects with the label `app=a` and gives their names.
async fn there(cx: &CheckContext, all: &Collection, count: usize) -> CheckResult<Vec<String>> {
    let what = format!("{count} of {}", all.path());
    cx.wait(&what, || async {
        let found = cx.names("list", all.list(&[("labelSelector", "app=a")]).await?)?;
        Ok(if found.len() == count {
            Seen::Done(found)
        } else {
            Seen::Not(format!("{found:?}"))
        })
    })
    .await
}

/// Waits until the controller has observed the object and made so many pods.
async fn settled(cx: &CheckContext, all: &Collection, name: &str, replicas: usize) -> CheckResult {
    let what = format!("the status of {name} to show {replicas} replicas");
    cx.wait(&what, || async {
        let now = read(cx, all, name).await?;
        let generation = now["metadata"]["generation"].as_u64();
        let seen = now["status"]["observedGeneration"].as_u64() >= generation
            && now["status"]["replicas"] == replicas;
        Ok(Seen::when(seen, || now["status"].to_string()))
    })
    .await
}

fn reference(object: &Value) -> Value {
    json!({"apiVersion": object["apiVersion"], "kind": object["kind"], "name": object["metadata"]["name"], "uid": object["metadata"]["uid"]})
}

fn controller(count: usize) -> Value {
    let spec = json!({"replicas": count, "selector": {"app": "a"}, "template": template("a")});
    json!({"metadata": {"name": "owner"}, "spec": spec})
}

fn deployment() -> Value {
    let spec = json!({"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template("a")});
    json!({"metadata": {"name": "owner"}, "spec": spec})
}

/// A controller named `owner` and its pods, all there.
async fn with_pods(cx: &CheckContext, count: usize) -> CheckResult<(Collection, Collection)> {
    let pods = pods(cx).await?;
    let controllers = cx.collection(REPLICATION_CONTROLLERS).await?;
    create(cx, &controllers, controller(count)).await?;
    settled(cx, &controllers, "owner", count).await?;
    there(cx, &pods, count).await?;
    Ok((controllers, pods))
}

/// Deletes `owner`, and only the one that is there now.
async fn delete_by(cx: &CheckContext, all: &Collection, policy: &str) -> CheckResult {
    let uid = read(cx, all, "owner").await?["metadata"]["uid"].clone();
    let options = json!({"propagationPolicy": policy, "preconditions": {"uid": uid}});
    let answer = all.delete_with("owner", options).await?;
    cx.expect(
        "delete to be accepted",
        matches!(answer.status, 200 | 202),
        || answer.summary(),
    )
}

/// Waits until there is any object with the label `app=a`.
async fn any(cx: &CheckContext, all: &Collection) -> CheckResult {
    let what = format!("one of {}", all.path());
    cx.wait(&what, || async {
        let found = cx.names("list", all.list(&[("labelSelector", "app=a")]).await?)?;
        Ok(Seen::when(!found.is_empty(), || "none".to_owned()))
    })
    .await
}

/// As upstream the controller is deleted at its first pod, while it may be making the second: that none outlives it,
/// whichever comes first, is the subject.
pub(crate) async fn pods_go(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let controllers = cx.collection(REPLICATION_CONTROLLERS).await?;
    create(cx, &controllers, controller(2)).await?;
    any(cx, &pods).await?;
    delete_by(cx, &controllers, "Background").await?;
    cx.gone(&controllers, "owner").await?;
    left(cx, &pods, "app=a", &[]).await
}

/// Upstream watches for half a minute that nothing is deleted. The owner reference, taken off before the owner goes, is the sign
/// that the collector is through with them.
pub(crate) async fn pods_stay(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx, 10).await?;
    let before = there(cx, &pods, 10).await?;
    delete_by(cx, &controllers, "Orphan").await?;
    cx.gone(&controllers, "owner").await?;
    orphaned(cx, &pods, &before).await
}

/// Exactly these are left, none marked for deletion, and no owner of theirs.
async fn orphaned(cx: &CheckContext, all: &Collection, before: &[String]) -> CheckResult {
    let now = unmarked(cx, all, before).await?;
    for object in &now {
        let owners = &object["metadata"]["ownerReferences"];
        cx.expect(
            "no owner any more",
            owners.as_array().is_none_or(Vec::is_empty),
            || owners.to_string(),
        )?;
    }
    Ok(())
}

async fn unmarked(
    cx: &CheckContext,
    all: &Collection,
    expected: &[String],
) -> CheckResult<Vec<Value>> {
    let now = cx.items("list", all.list(&[("labelSelector", "app=a")]).await?)?;
    let mut names = now
        .iter()
        .map(|object| name(object).to_owned())
        .collect::<Vec<_>>();
    names.sort();
    cx.expect_eq("what is left", expected.to_vec(), names)?;
    for object in &now {
        cx.expect(
            "no deletion",
            object["metadata"]["deletionTimestamp"].is_null(),
            || object["metadata"].to_string(),
        )?;
    }
    Ok(now)
}

async fn with_set(cx: &CheckContext) -> CheckResult<(Collection, Collection, Vec<String>)> {
    let pods = pods(cx).await?;
    let (deployments, sets) = (
        cx.collection(DEPLOYMENTS).await?,
        cx.collection(REPLICA_SETS).await?,
    );
    create(cx, &deployments, deployment()).await?;
    let names = there(cx, &sets, 1).await?;
    settled(cx, &sets, &names[0], 2).await?;
    there(cx, &pods, 2).await?;
    Ok((deployments, sets, names))
}

/// As upstream the Deployment is deleted as soon as it has a ReplicaSet, which may be making its pods.
pub(crate) async fn set_goes(cx: &CheckContext) -> CheckResult {
    // Until the namespace takes pods, none would be made, and none could come late.
    pods(cx).await?;
    let (deployments, sets) = (
        cx.collection(DEPLOYMENTS).await?,
        cx.collection(REPLICA_SETS).await?,
    );
    create(cx, &deployments, deployment()).await?;
    any(cx, &sets).await?;
    delete_by(cx, &deployments, "Background").await?;
    cx.gone(&deployments, "owner").await?;
    left(cx, &sets, "app=a", &[]).await?;
    left(cx, &cx.collection(PODS).await?, "app=a", &[]).await
}

pub(crate) async fn set_stays(cx: &CheckContext) -> CheckResult {
    let (deployments, sets, names) = with_set(cx).await?;
    let pods = cx.collection(PODS).await?;
    let two = there(cx, &pods, 2).await?;
    delete_by(cx, &deployments, "Orphan").await?;
    cx.gone(&deployments, "owner").await?;
    orphaned(cx, &sets, &names).await?;
    unmarked(cx, &pods, &two).await.map(drop)
}

/// A finalizer of ours on one pod makes the state visible that upstream has to catch by chance.
pub(crate) async fn foreground(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx, 10).await?;
    let names = there(cx, &pods, 10).await?;
    let hold = json!({"metadata": {"finalizers": ["assay.dev/hold"]}});
    cx.api().ledger().enter(pods.item(&names[0]), false);
    cx.status(
        "hold a pod",
        200,
        pods.patch(&names[0], PatchKind::Merge, hold).await?,
    )?;
    delete_by(cx, &controllers, "Foreground").await?;
    let held = read(cx, &controllers, "owner").await?;
    cx.text("the owner", &held, "/metadata/deletionTimestamp")?;
    cx.expect_eq(
        "the owner's finalizers",
        json!(["foregroundDeletion"]),
        held["metadata"]["finalizers"].clone(),
    )?;
    left(cx, &pods, "app=a", &[&names[0]]).await?;
    read(cx, &controllers, "owner").await?;
    let release = json!({"metadata": {"finalizers": null}});
    cx.status(
        "release the pod",
        200,
        pods.patch(&names[0], PatchKind::Merge, release).await?,
    )?;
    cx.gone(&controllers, "owner").await?;
    // Not later: the owner is the last to go.
    cx.only(
        "pods once the owner is gone",
        &[],
        pods.list(&[("labelSelector", "app=a")]).await?,
    )
}

/// The owner under deletion waits for its dependents; those that another holds are let go by taking it off their owners. Once
/// it is gone, all of that has happened.
pub(crate) async fn two_owners(cx: &CheckContext) -> CheckResult {
    let (controllers, pods) = with_pods(cx, 10).await?;
    let spec = json!({"replicas": 0, "selector": {"app": "b"}, "template": template("b")});
    let body = json!({"metadata": {"name": "stays"}, "spec": spec});
    let stays = create(cx, &controllers, body).await?;
    let names = there(cx, &pods, 10).await?;
    let kept = &names[..5];
    for name in kept {
        let patch = json!({"metadata": {"ownerReferences": [reference(&stays)]}});
        let answer = pods.patch(name, PatchKind::Strategic, patch).await?;
        cx.status("one more owner", 200, answer)?;
    }
    delete_by(cx, &controllers, "Foreground").await?;
    cx.gone(&controllers, "owner").await?;
    for pod in unmarked(cx, &pods, kept).await? {
        cx.expect_eq(
            "owners of a pod that stays",
            json!([reference(&stays)]),
            pod["metadata"]["ownerReferences"].clone(),
        )?;
    }
    read(cx, &controllers, "stays").await.map(drop)
}
