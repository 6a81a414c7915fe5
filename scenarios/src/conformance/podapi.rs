//! Pods as API objects: the contract that upstream examines on running pods, on pods that never run. The names bound
//! here are of tests that wait until pods are scheduled or run: of them the API's part alone is stated.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::RUNTIME_CLASSES;
use super::steps::{create, left, pod_spec, pods, read, update};

const PODS: Requirement = Requirement::Resource("v1", "pods");
/// Since then a pod's generation counts the changes of its specification, whatever gates are set.
const COUNTED: &[Requirement] = &[PODS, Requirement::Since(35)];
const CLASSES: &[Requirement] = &[
    PODS,
    Requirement::Resource("node.k8s.io/v1", "runtimeclasses"),
    Requirement::Behaviour("pod-admission"),
    Requirement::Behaviour("pod-validation"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "podapi/collection-is-deleted",
        title: "Pods are deleted by collection, and a pod with another label stays.",
        official: &["[sig-node] Pods should delete a collection of pods"],
        requires: &[PODS],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::LIST_LOSES_ITEM,
        ],
        run: |cx| Box::pin(collection(cx)),
        ..Check::BASE
    },
    Check {
        id: "podapi/status-is-patched",
        title: "A pod's status is patched and updated apart from its specification.",
        official: &["[sig-node] Pods should patch a pod status"],
        requires: &[PODS, Requirement::Resource("v1", "pods/status")],
        kills: &[
            mutant::STATUS_PATCH_NOT_APPLIED,
            mutant::STATUS_UPDATE_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_THROUGH_MAIN_RESOURCE,
            mutant::STATUS_MISSING,
        ],
        run: |cx| Box::pin(status(cx)),
        ..Check::BASE
    },
    Check {
        id: "podapi/generation-counts-changes",
        title: "A pod's generation starts at 1 and rises with each change of its specification, and with nothing else.",
        official: &[
            "[sig-node] Pods Extended (pod generation) Pod Generation pod generation should start at 1 and increment per update",
        ],
        requires: COUNTED,
        kills: &[mutant::GENERATION_CONSTANT, mutant::UPDATE_NOT_APPLIED],
        run: |cx| Box::pin(generation(cx)),
        ..Check::BASE
    },
    Check {
        id: "podapi/generation-counts-deletion",
        title: "A pod's generation is not the client's to set, and rises with a graceful deletion.",
        official: &[
            "[sig-node] Pods Extended (pod generation) Pod Generation custom-set generation on new pods and graceful delete",
        ],
        requires: COUNTED,
        kills: &[mutant::GENERATION_CONSTANT, mutant::DELETE_IGNORED],
        run: |cx| Box::pin(graceful(cx)),
        ..Check::BASE
    },
    Check {
        id: "podapi/class-gives-its-overhead",
        title: "A pod gets the overhead of the RuntimeClass that it names.",
        official: &[
            "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass and initialize its Overhead",
        ],
        requires: CLASSES,
        kills: &[mutant::SPEC_LOST, mutant::CREATE_NOT_STORED],
        run: |cx| {
            let overhead = json!({"podFixed": {"cpu": "10m", "memory": "1Mi"}});
            Box::pin(of_class(cx, Some(overhead)))
        },
        ..Check::BASE
    },
    Check {
        id: "podapi/class-without-overhead-gives-none",
        title: "A pod gets no overhead of a RuntimeClass that has none.",
        official: &[
            "[sig-node] RuntimeClass should schedule a Pod requesting a RuntimeClass without PodOverhead",
        ],
        requires: CLASSES,
        kills: &[mutant::SPEC_LOST, mutant::CREATE_NOT_STORED],
        run: |cx| Box::pin(of_class(cx, None)),
        ..Check::BASE
    },
];

/// For a scheduler that there is not, so that nobody else writes to it.
fn pod(name: &str) -> Value {
    let mut spec = pod_spec();
    spec["schedulerName"] = json!("assay-none");
    json!({"metadata": {"name": name}, "spec": spec})
}

async fn collection(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    for (name, set) in [
        ("one", "own"),
        ("two", "own"),
        ("three", "own"),
        ("other", "other"),
    ] {
        let mut pod = pod(name);
        pod["metadata"]["labels"] = json!({"set": set});
        create(cx, &pods, pod).await?;
    }
    let own = [("labelSelector", "set=own")];
    cx.only(
        "list by label",
        &["one", "two", "three"],
        pods.list(&own).await?,
    )?;
    let answer = pods.delete_collection(&own).await?;
    cx.status("deletecollection", 200, answer)?;
    left(cx, &pods, "set=own", &[]).await?;
    read(cx, &pods, "other").await.map(drop)
}

async fn status(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    create(cx, &pods, pod("pod")).await?;
    let told = |text: &str| json!({"message": text, "reason": "Assay"});
    super::status::status_walk(cx, &pods, "pod", told("patched"), told("updated")).await
}

async fn generation(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let mut made = pod("pod");
    made["spec"]["initContainers"] =
        json!([{"name": "first", "image": "registry.invalid/assay:none"}]);
    let made = create(cx, &pods, made).await?;
    cx.expect_eq(
        "generation",
        json!(1),
        made["metadata"]["generation"].clone(),
    )?;
    let image = json!("registry.invalid/assay:other");
    let toleration =
        json!({"key": "assay", "operator": "Equal", "value": "none", "effect": "NoSchedule"});
    let changes: [(&str, Option<Value>, u64); 7] = [
        ("/metadata/name", None, 1),
        ("/spec/tolerations/0", Some(toleration), 2),
        ("/spec/activeDeadlineSeconds", Some(json!(5000)), 3),
        ("/spec/containers/0/image", Some(image.clone()), 4),
        ("/spec/initContainers/0/image", Some(image), 5),
        ("/metadata/annotations", Some(json!({"key": "value"})), 5),
        ("/metadata/generation", Some(json!(1)), 5),
    ];
    for (place, value, expected) in changes {
        let change = |object: &mut Value| match (place, &value) {
            (_, None) => {}
            ("/spec/tolerations/0", Some(one)) => {
                match object["spec"]["tolerations"].as_array_mut() {
                    Some(all) => all.push(one.clone()),
                    None => object["spec"]["tolerations"] = json!([one]),
                }
            }
            (_, Some(value)) => {
                let (parent, field) = place.rsplit_once('/').unwrap_or_default();
                if let Some(parent) = object.pointer_mut(parent) {
                    parent[field] = value.clone();
                }
            }
        };
        update(cx, &pods, "pod", change).await?;
        let stored = read(cx, &pods, "pod").await?;
        cx.expect_eq(
            &format!("generation after a change of {place}"),
            json!(expected),
            stored["metadata"]["generation"].clone(),
        )?;
    }
    Ok(())
}

/// On a node that there is not: a pod without a node is deleted at once, whatever grace is given.
async fn graceful(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let mut object = pod("pod");
    object["metadata"]["generation"] = json!(100);
    object["spec"]["nodeName"] = json!("assay-none");
    let made = create(cx, &pods, object).await?;
    cx.expect_eq(
        "generation",
        json!(1),
        made["metadata"]["generation"].clone(),
    )?;
    let grace = |seconds: u64| json!({"gracePeriodSeconds": seconds});
    let answer = pods.delete_with("pod", grace(60)).await?;
    cx.status("graceful deletion", 200, answer)?;
    let stored = read(cx, &pods, "pod").await?;
    cx.expect_eq(
        "generation after a graceful deletion",
        json!(2),
        stored["metadata"]["generation"].clone(),
    )?;
    let answer = pods.delete_with("pod", grace(0)).await?;
    cx.status("deletion at once", 200, answer)?;
    cx.gone(&pods, "pod").await
}

async fn of_class(cx: &CheckContext, overhead: Option<Value>) -> CheckResult {
    let (classes, class) = (cx.collection(RUNTIME_CLASSES).await?, unique("class"));
    let pods = pods(cx).await?;
    let mut object = json!({"metadata": {"name": class}, "handler": "assay-none"});
    if let Some(overhead) = &overhead {
        object["overhead"] = overhead.clone();
    }
    create(cx, &classes, object).await?;
    let mut pod = pod("pod");
    pod["spec"]["runtimeClassName"] = json!(class);
    let (all, wanted) = (&pods, &pod);
    // Admission looks into a cache, which may not hold the class yet.
    cx.wait("the pod to be admitted", || async move {
        let answer = all
            .create_with(wanted.clone(), &[("dryRun", "All")])
            .await?;
        Ok(Seen::when(answer.status == 201, || answer.summary()))
    })
    .await?;
    create(cx, &pods, pod).await?;
    let stored = read(cx, &pods, "pod").await?;
    cx.expect_eq(
        "the pod's RuntimeClass",
        json!(class),
        stored["spec"]["runtimeClassName"].clone(),
    )?;
    let expected = overhead.map_or(Value::Null, |overhead| overhead["podFixed"].clone());
    cx.expect_eq(
        "the pod's overhead",
        expected,
        stored["spec"]["overhead"].clone(),
    )
}
