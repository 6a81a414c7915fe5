//! Removing everything that a run made in a cluster, found by the run's label over all resources that can be listed.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::api::{self, Api, RUN_LABEL, group_root};
use crate::check::Offer;

/// How long what was asked to go may take.
const GONE_WITHIN: Duration = Duration::from_secs(120);
const NAMESPACES: &str = "/api/v1/namespaces";

/// Removes what carries the run's label. `Ok(true)`: something was there. Blocks; for sweeps.
///
/// # Errors
/// A sentence: what stays, and what to do.
pub(crate) fn remove_objects(
    kubeconfig: &Path,
    context: Option<&str>,
    uid: &str,
    run: &str,
) -> Result<bool, String> {
    // A sweep may itself run inside a runtime, where another cannot be started on the same thread.
    std::thread::scope(|threads| {
        let work = threads.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(|error| error.to_string())?;
            runtime.block_on(async {
                let client = api::client(kubeconfig, context, None).await;
                let api = Api::new(client.map_err(|error| error.to_string())?, run);
                if identity(&api).await? != uid {
                    return Err(format!(
                        "another cluster answers there now, and it was left alone; point {} at the one that was \
                         tested and run `assay sweep` again",
                        kubeconfig.display()
                    ));
                }
                match remove_all(&api).await {
                    Ok((found, left)) if left.is_empty() => Ok(found > 0),
                    Ok((_, left)) => Err(format!("still there: {}", left.join(", "))),
                    Err(error) => Err(format!(
                        "{error}; run `assay sweep` again when the cluster can be reached"
                    )),
                }
            })
        });
        work.join()
            .unwrap_or_else(|_| Err("the clean-up ended early; run `assay sweep` again".to_owned()))
    })
}

/// What stays the same for as long as a cluster lives: the uid of its namespace `kube-system`. The specimen, which
/// makes none, has that of `default`.
///
/// # Errors
/// A sentence: why it is not known.
pub(super) async fn identity(api: &Api) -> Result<String, String> {
    let mut why = String::new();
    for name in ["kube-system", "default"] {
        let answer = api.get(&format!("{NAMESPACES}/{name}")).await;
        let answer = answer.map_err(|error| {
            format!("{error}; run `assay sweep` again when the cluster can be reached")
        })?;
        if let Some(uid) = answer.body["metadata"]["uid"].as_str()
            && answer.is_success()
        {
            return Ok(uid.to_owned());
        }
        why = format!("the namespace {name} answered {}", answer.summary());
    }
    Err(format!("the cluster does not tell which one it is: {why}"))
}

/// Asks for the removal of everything that carries the run's label, and waits for it. Returns how many objects were
/// found, and the paths of those that stayed.
///
/// # Errors
/// When the cluster cannot be asked what it serves.
pub(super) async fn remove_all(api: &Api) -> anyhow::Result<(usize, Vec<String>)> {
    let api = api.clean();
    // A cluster that refuses to answer has not said that it is clean.
    let answer = api.get(NAMESPACES).await?;
    anyhow::ensure!(
        answer.is_success(),
        "failed to look for what was made: {NAMESPACES} answered {}; check the kubeconfig's credentials",
        answer.summary()
    );
    let offer = Offer::discover(&api, &[]).await?;
    let mut collections: Vec<String> = offer
        .resources
        .iter()
        .filter(|((_, name), verbs)| {
            !name.contains('/') && verbs.contains("list") && verbs.contains("delete")
        })
        .map(|((group_version, name), _)| format!("{}/{name}", group_root(group_version)))
        .collect();
    collections.sort_by_key(|path| path != NAMESPACES);
    let label = format!("{RUN_LABEL}={}", api.run());
    let mut ours = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut count = 0;
    let mut unasked = Vec::new();
    for collection in collections {
        let found = api.list(&collection, &[("labelSelector", &label)]).await?;
        // Served a moment ago and gone: a definition that went with its resource.
        if !found.is_success() && found.status != 404 {
            unasked.push((collection.clone(), found.summary()));
        }
        for item in found.body["items"].as_array().into_iter().flatten() {
            let about = &item["metadata"];
            // The same object is served under several versions of its group.
            let uid = about["uid"].as_str().unwrap_or_default().to_owned();
            // Believe the label on the object, not the server's selection: the wrong one would be lost for good.
            if about["labels"][RUN_LABEL] != api.run() || !seen.insert(uid) {
                continue;
            }
            let name = about["name"].as_str().unwrap_or_default();
            let namespace = about["namespace"].as_str();
            // What lies in a namespace of ours goes with it, unless a finalizer would hold it there for ever.
            let held = about["finalizers"]
                .as_array()
                .is_some_and(|list| !list.is_empty());
            if namespace.is_some_and(|namespace| ours.contains(namespace)) && !held {
                continue;
            }
            if collection == NAMESPACES {
                ours.insert(name.to_owned());
            }
            let path = object_path(&collection, namespace, name);
            api.ledger().enter(path, collection == NAMESPACES);
            count += 1;
        }
    }
    let paths = api.remove_made().await;
    let mut left = api.await_gone(paths, GONE_WITHIN).await;
    for (group_version, why) in &offer.unanswered {
        let root = group_root(group_version);
        // Gone meanwhile: a group that went with its definition, or with the server that was registered for it.
        let gone = api.get(&root).await?.status == 404;
        if !gone && !is_foreign(&api, group_version).await? {
            left.push(format!("{root} could not be asked ({why})"));
        }
    }
    // What could not be asked may have gone with what was removed: a resource with the definition that served it.
    for (collection, why) in unasked {
        let again = api.list(&collection, &[("labelSelector", &label)]).await?;
        if !again.is_success() && again.status != 404 {
            left.push(format!("{collection} could not be asked ({why})"));
        }
    }
    Ok((
        count,
        left.iter().map(|line| crate::text::tame(line)).collect(),
    ))
}

/// Whether a group version is served by somebody else's aggregated server, in which no run makes anything: such a server
/// may be down for as long as the cluster lives.
async fn is_foreign(api: &Api, group_version: &str) -> anyhow::Result<bool> {
    let Some((group, version)) = group_version.split_once('/') else {
        return Ok(false);
    };
    let path = format!("/apis/apiregistration.k8s.io/v1/apiservices/{version}.{group}");
    let found = api.get(&path).await?;
    Ok(found.is_success()
        && found.body["spec"]["service"].is_object()
        && found.body["metadata"]["labels"].get(RUN_LABEL).is_none())
}

/// The path of an object, from the path of its collection over all namespaces.
fn object_path(collection: &str, namespace: Option<&str>, name: &str) -> String {
    match (namespace, collection.rsplit_once('/')) {
        (Some(namespace), Some((root, plural))) => {
            format!("{root}/namespaces/{namespace}/{plural}/{name}")
        }
        _ => format!("{collection}/{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_addressed_in_their_namespace() {
        assert_eq!(
            object_path("/apis/apps/v1/deployments", Some("a"), "b"),
            "/apis/apps/v1/namespaces/a/deployments/b"
        );
        assert_eq!(
            object_path("/api/v1/namespaces", None, "b"),
            "/api/v1/namespaces/b"
        );
    }
}
