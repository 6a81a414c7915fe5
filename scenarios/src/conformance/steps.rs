//! Steps that many checks take, each asserting what it does.

use harness::api::Collection;
use harness::api::deadline::Seen;
use harness::check::{CheckContext, CheckFault, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{PODS, SERVICE_ACCOUNTS};

/// POST; gives the stored object.
pub(crate) async fn create(
    cx: &CheckContext,
    collection: &Collection,
    object: Value,
) -> CheckResult<Value> {
    cx.status(
        &format!("create in {}", collection.path()),
        201,
        collection.create(object).await?,
    )
}

/// GET; gives the object.
pub(crate) async fn read(
    cx: &CheckContext,
    collection: &Collection,
    name: &str,
) -> CheckResult<Value> {
    cx.status(
        &format!("get {}", collection.item(name)),
        200,
        collection.get(name).await?,
    )
}

/// GET, change, PUT; again when somebody else wrote in between, as controllers may.
pub(crate) async fn update(
    cx: &CheckContext,
    collection: &Collection,
    name: &str,
    change: impl Fn(&mut Value) + Sync,
) -> CheckResult<Value> {
    let (what, change) = (format!("an update of {}", collection.item(name)), &change);
    cx.wait(&what, || async {
        let mut object = read(cx, collection, name).await?;
        change(&mut object);
        let answer = collection.replace(name, object).await?;
        match answer.status {
            200 => Ok(Seen::Done(answer.body)),
            409 => Ok(Seen::Not(answer.summary())),
            _ => Err(CheckFault::Failed(format!(
                "update of {}: expected status 200; seen: {}",
                collection.item(name),
                answer.summary()
            ))),
        }
    })
    .await
}

/// DELETE, then wait until it is gone.
pub(crate) async fn delete(cx: &CheckContext, collection: &Collection, name: &str) -> CheckResult {
    let (item, answer) = (collection.item(name), collection.delete(name).await?);
    // 202: accepted, and a finalizer or a grace period holds it a little.
    let accepted = matches!(answer.status, 200 | 202);
    cx.expect(
        &format!("delete of {item} to be accepted"),
        accepted,
        || answer.summary(),
    )?;
    // Gone or marked at once: a deletion that did nothing need not be waited for.
    let now = collection.get(name).await?;
    let marked = now.body["metadata"]["deletionTimestamp"].is_string();
    cx.expect(
        &format!("{item} to be gone or marked for deletion"),
        now.status == 404 || marked,
        || now.summary(),
    )?;
    cx.gone(collection, name).await
}

/// Waits until the collection shows exactly these names under the selector.
pub(crate) async fn left(
    cx: &CheckContext,
    collection: &Collection,
    selector: &str,
    names: &[&str],
) -> CheckResult {
    let mut expected = names.to_vec();
    expected.sort_unstable();
    let expected = &expected;
    cx.wait(
        &format!(
            "{expected:?} alone in {} with {selector}",
            collection.path()
        ),
        || async {
            let found = cx.names(
                "list",
                collection.list(&[("labelSelector", selector)]).await?,
            )?;
            Ok(Seen::when(found == *expected, || format!("{found:?}")))
        },
    )
    .await
}

/// The later of two states has the greater resourceVersion, as a number: since v1.35 clients may compare them so, and
/// every datastore of older servers counts up too.
pub(crate) fn newer(cx: &CheckContext, what: &str, before: &Value, after: &Value) -> CheckResult {
    let number = |object: &Value| -> CheckResult<u64> {
        let text = cx.text(what, object, "/metadata/resourceVersion")?;
        text.parse().map_err(|_| {
            CheckFault::Failed(format!(
                "resourceVersion of {what}: expected a number; seen: {text:?}"
            ))
        })
    };
    let (before, after) = (number(before)?, number(after)?);
    cx.expect(
        &format!("{what} to have a resourceVersion above {before}"),
        after > before,
        || after.to_string(),
    )
}

/// The pods of the check's own namespace, once it takes any: their admission needs the account `default`, which a
/// controller makes in each new namespace.
pub(crate) async fn pods(cx: &CheckContext) -> CheckResult<Collection> {
    if cx.offer().meets(Requirement::Behaviour("token-mounts")) {
        let accounts = Collection::new(
            &cx.api().clean(),
            SERVICE_ACCOUNTS,
            Some(cx.namespace().await?),
        );
        cx.wait("the account default of the new namespace", || async {
            let answer = accounts.get("default").await?;
            Ok(Seen::when(answer.status == 200, || answer.summary()))
        })
        .await?;
    }
    cx.collection(PODS).await
}

/// A pod's spec that no kubelet has to run.
pub(crate) fn pod_spec() -> Value {
    json!({"containers": [{"name": "main", "image": "registry.invalid/assay:none"}]})
}

/// A pod template whose pods carry the label `app`.
pub(crate) fn template(app: &str) -> Value {
    json!({"metadata": {"labels": {"app": app}}, "spec": pod_spec()})
}

/// Waits until the object's controller has seen its newest generation: until then it may overwrite the status.
pub(crate) async fn settled(cx: &CheckContext, collection: &Collection, name: &str) -> CheckResult {
    let what = format!(
        "the controller of {} to see its generation",
        collection.item(name)
    );
    cx.wait(&what, || async {
        let object = read(cx, collection, name).await?;
        let (made, seen) = (
            &object["metadata"]["generation"],
            &object["status"]["observedGeneration"],
        );
        Ok(Seen::when(made.is_u64() && made == seen, || {
            format!("{seen} of {made}")
        }))
    })
    .await
}
