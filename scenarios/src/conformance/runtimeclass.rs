//! RuntimeClasses, and what their absence does to a pod.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::RUNTIME_CLASSES;
use super::steps::{create, delete, pod_spec};
use super::walk::{self, Walk, walk};

const SERVED: Requirement = Requirement::Resource("node.k8s.io/v1", "runtimeclasses");
const ADMISSION: &[Requirement] = &[
    SERVED,
    Requirement::Resource("v1", "pods"),
    Requirement::Behaviour("pod-admission"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "runtimeclass/serves-every-verb",
        title: "RuntimeClasses are discovered and serve every verb.",
        official: &["[sig-node] RuntimeClass should support RuntimeClasses API operations"],
        requires: &[SERVED],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &WALK)),
        ..Check::BASE
    },
    Check {
        id: "runtimeclass/unknown-class-refuses-the-pod",
        title: "A pod that names a RuntimeClass which does not exist is refused.",
        official: &[
            "[sig-node] RuntimeClass should reject a Pod requesting a non-existent RuntimeClass",
        ],
        requires: ADMISSION,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(unknown(cx)),
        ..Check::BASE
    },
    Check {
        id: "runtimeclass/deleted-class-refuses-the-pod",
        title: "A pod that names a deleted RuntimeClass is refused.",
        official: &[
            "[sig-node] RuntimeClass should reject a Pod requesting a deleted RuntimeClass",
        ],
        requires: ADMISSION,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::DELETE_IGNORED],
        run: |cx| Box::pin(deleted(cx)),
        ..Check::BASE
    },
];

const WALK: Walk = Walk {
    resource: RUNTIME_CLASSES,
    body: || json!({"handler": "assay-none"}),
    defaults: || json!({}),
};

async fn unknown(cx: &CheckContext) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let mut spec = pod_spec();
    let class = unique("none");
    spec["runtimeClassName"] = json!(class);
    let answer = pods
        .create(json!({"metadata": {"name": "pod"}, "spec": spec}))
        .await?;
    cx.refused(
        "a pod with an unknown RuntimeClass",
        403,
        "Forbidden",
        &answer,
    )?;
    // Admission forbids for many reasons: it must be this one.
    cx.expect(
        "the refusal to name the class",
        answer.message().contains(&class),
        || answer.message().to_owned(),
    )?;
    cx.refused(
        "get of the refused pod",
        404,
        "NotFound",
        &pods.get("pod").await?,
    )
}

/// The admission plugin looks into a cache: that may still hold the class for a moment, so a dry run is repeated until it does not.
async fn deleted(cx: &CheckContext) -> CheckResult {
    let (classes, name) = (cx.collection(RUNTIME_CLASSES).await?, unique("class"));
    let pods = super::steps::pods(cx).await?;
    let mut spec = pod_spec();
    spec["runtimeClassName"] = json!(name);
    let (pods, pod) = (&pods, &json!({"metadata": {"name": "pod"}, "spec": spec}));
    let admitted = |wanted: bool| async move {
        cx.wait(
            if wanted {
                "the pod to be admitted"
            } else {
                "the pod to be forbidden"
            },
            || async move {
                let answer = pods.create_with(pod.clone(), &[("dryRun", "All")]).await?;
                let seen = if wanted {
                    answer.status == 201
                } else {
                    answer.status == 403 && answer.reason() == "Forbidden"
                };
                Ok(Seen::when(seen, || answer.summary()))
            },
        )
        .await
    };
    create(
        cx,
        &classes,
        json!({"metadata": {"name": name}, "handler": "assay-none"}),
    )
    .await?;
    admitted(true).await?;
    delete(cx, &classes, &name).await?;
    admitted(false).await
}
