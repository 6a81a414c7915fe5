//! Volumes, claims and what attaches them, as API objects: nothing is ever mounted.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::crud::{self, Crud, crud};
use super::kinds::{
    CSI_STORAGE_CAPACITIES, VOLUME_ATTACHMENTS, VOLUME_ATTRIBUTES_CLASSES, VOLUME_CLAIMS, VOLUMES,
};
use super::steps::{create, delete, left, pod_spec, read, update};

const GROUP: &str = "storage.k8s.io/v1";
const BOUND: &[Requirement] = &[
    Requirement::Resource("v1", "persistentvolumes"),
    Requirement::Resource("v1", "persistentvolumeclaims"),
    Requirement::Behaviour("volume-controllers"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "volumes/capacity-serves-every-verb",
        title: "CSIStorageCapacities are discovered and serve every verb and every kind of patch.",
        official: &[
            "[sig-storage] CSIStorageCapacity should support CSIStorageCapacities API operations",
        ],
        requires: &[Requirement::Resource(GROUP, "csistoragecapacities")],
        kills: crud::KILLS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(
                    CSI_STORAGE_CAPACITIES,
                    json!({"storageClassName": "assay-none"}),
                )
                .changing(json!({"capacity": "1Gi"})),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "volumes/attachment-serves-every-verb",
        title: "VolumeAttachments are discovered and serve every verb and every kind of patch.",
        official: &[
            "[sig-storage] VolumeAttachment Conformance should run through the lifecycle of a VolumeAttachment",
        ],
        requires: &[Requirement::Resource(GROUP, "volumeattachments")],
        kills: crud::KILLS,
        run: |cx| {
            let body = json!({"spec": {"attacher": "none.assay.dev", "nodeName": "assay-none", "source": {"persistentVolumeName": "assay-none"}}});
            Box::pin(crud(cx, Crud::of(VOLUME_ATTACHMENTS, body)))
        },
        ..Check::BASE
    },
    Check {
        id: "volumes/attributes-class-serves-every-verb",
        title: "VolumeAttributesClasses are discovered and serve every verb and every kind of patch.",
        official: &[
            "[sig-storage] VolumeAttributesClass should run through the lifecycle of a VolumeAttributesClass",
        ],
        requires: &[Requirement::Resource(GROUP, "volumeattributesclasses")],
        kills: crud::KILLS,
        run: |cx| {
            let body = json!({"driverName": "none.assay.dev", "parameters": {"size": "small"}});
            Box::pin(crud(cx, Crud::of(VOLUME_ATTRIBUTES_CLASSES, body)))
        },
        ..Check::BASE
    },
    Check {
        id: "volumes/live-through-their-lifecycle",
        title: "A volume and its claim are bound, patched, updated, listed, and deleted by name and by collection.",
        official: &[
            "[sig-storage] PersistentVolumes CSI Conformance should run through the lifecycle of a PV and a PVC",
        ],
        requires: BOUND,
        kills: LIFECYCLE_KILLS,
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "volumes/status-is-separate",
        title: "The status of a volume and of its claim is read, patched and updated apart from their specs.",
        official: &[
            "[sig-storage] PersistentVolumes CSI Conformance should apply changes to a pv/pvc status",
        ],
        requires: BOUND,
        kills: &[
            mutant::STATUS_PATCH_NOT_APPLIED,
            mutant::STATUS_UPDATE_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_MISSING,
            mutant::STALE_READ,
        ],
        run: |cx| Box::pin(status(cx)),
        ..Check::BASE
    },
    Check {
        id: "volumes/pods-take-inline-ones",
        title: "A pod with inline CSI volumes is created, read, listed, patched and deleted with them.",
        official: &["[sig-storage] CSIInlineVolumes should support CSIVolumeSource in Pod API"],
        requires: &[Requirement::Resource("v1", "pods")],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::SPEC_LOST,
            mutant::UID_CHANGES,
            mutant::LIST_LOSES_ITEM,
            mutant::MERGE_PATCH_NOT_APPLIED,
            mutant::ANNOTATIONS_LOST,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(inline(cx)),
        ..Check::BASE
    },
];

const LIFECYCLE_KILLS: &[Mutant] = &[
    mutant::CREATE_NOT_STORED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::LIST_LOSES_ITEM,
    mutant::LIST_REPEATS_ITEM,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::UID_CHANGES,
    mutant::LABELS_LOST,
    mutant::VERSION_CONSTANT,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::STALE_READ,
];

/// A volume and a claim that find each other, and the selector of both.
struct Pair {
    volumes: Collection,
    claims: Collection,
    name: String,
    selector: String,
}

impl Pair {
    /// Makes them and waits until they are bound: from then on no controller writes to either. Their class has no
    /// StorageClass, so that no provisioner takes the claim.
    async fn bound(cx: &CheckContext) -> CheckResult<Self> {
        let name = unique("volume");
        let pair = Self {
            volumes: cx.collection(VOLUMES).await?,
            claims: cx.collection(VOLUME_CLAIMS).await?,
            selector: format!("volume={name}"),
            name,
        };
        let (name, meta) = (&pair.name, pair.meta());
        let volume = json!({"metadata": meta, "spec": {
            "storageClassName": name, "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "none.assay.dev", "volumeHandle": "assay-none"},
        }});
        // The binder must have seen the volume before it sees the claim, or it looks again only after 15 s.
        create(cx, &pair.volumes, volume).await?;
        phase(cx, &pair.volumes, name, "Available").await?;
        let claim = json!({"metadata": meta, "spec": {
            "storageClassName": name, "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        }});
        create(cx, &pair.claims, claim).await?;
        for all in pair.both() {
            phase(cx, all, name, "Bound").await?;
        }
        Ok(pair)
    }

    fn meta(&self) -> Value {
        json!({"name": self.name, "labels": {"volume": self.name}})
    }

    /// The claim first: a volume goes only after its claim.
    fn both(&self) -> [&Collection; 2] {
        [&self.claims, &self.volumes]
    }
}

async fn phase(cx: &CheckContext, all: &Collection, name: &str, wanted: &str) -> CheckResult {
    let what = format!("{} is {wanted}", all.item(name));
    cx.wait(&what, || async {
        let seen = read(cx, all, name).await?["status"]["phase"].clone();
        Ok(Seen::when(seen == wanted, || seen.to_string()))
    })
    .await
}

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let pair = Pair::bound(cx).await?;
    let name = pair.name.as_str();
    for all in pair.both() {
        let list = all.list(&[("labelSelector", &pair.selector)]).await?;
        cx.only("list by label", &[name], list)?;
        let before = read(cx, all, name).await?;
        let patched = json!({"metadata": {"labels": {"changed": "patched"}}});
        let answer = all
            .patch(name, PatchKind::Strategic, patched.clone())
            .await?;
        let answer = cx.status("patch", 200, answer)?;
        cx.contains("the answer to the patch", &patched, &answer)?;
        let stored = read(cx, all, name).await?;
        cx.contains("the object after the patch", &patched, &stored)?;
        cx.expect_eq(
            "uid after the patch",
            before["metadata"]["uid"].clone(),
            stored["metadata"]["uid"].clone(),
        )?;
        let version = |object: &Value| {
            let text = object["metadata"]["resourceVersion"].as_str();
            text.and_then(|text| text.parse::<u64>().ok())
                .unwrap_or_default()
        };
        cx.expect(
            "a greater resourceVersion after the patch",
            version(&answer) > version(&before),
            || format!("{} after {}", version(&answer), version(&before)),
        )?;
    }
    let claims = pair.claims.list(&[]).await?;
    cx.only("list of the claims in the namespace", &[name], claims)?;
    for all in pair.both() {
        delete(cx, all, name).await?;
        left(cx, all, &pair.selector, &[]).await?;
    }

    let pair = Pair::bound(cx).await?;
    let name = pair.name.as_str();
    let selector = format!("changed={name}");
    for all in pair.both() {
        let change = |object: &mut Value| object["metadata"]["labels"]["changed"] = json!(name);
        let answer = update(cx, all, name, change).await?;
        let updated = json!({"metadata": {"labels": {"changed": name}}});
        cx.contains("the answer to the update", &updated, &answer)?;
        let list = cx
            .everywhere(all.resource())
            .list(&[("labelSelector", &selector)])
            .await?;
        cx.only("list in all namespaces by the new label", &[name], list)?;
    }
    for all in pair.both() {
        let answer = all
            .delete_collection(&[("labelSelector", &selector)])
            .await?;
        cx.status("deletecollection", 200, answer)?;
        left(cx, all, &selector, &[]).await?;
        cx.gone(all, name).await?;
    }
    Ok(())
}

async fn status(cx: &CheckContext) -> CheckResult {
    let pair = Pair::bound(cx).await?;
    let condition = |kind: &str| json!({"type": kind, "status": "True", "reason": "Assay", "message": "set by a check"});
    let conditions = |kinds: &[&str]| {
        let all = kinds.iter().map(|kind| condition(kind));
        json!({"phase": "Bound", "conditions": all.collect::<Vec<_>>()})
    };
    let told = |text: &str| json!({"phase": "Bound", "reason": text, "message": text});
    let cases = [
        (
            &pair.claims,
            conditions(&["AssayPatched"]),
            conditions(&["AssayPatched", "AssayUpdated"]),
        ),
        (&pair.volumes, told("AssayPatched"), told("AssayUpdated")),
    ];
    for (all, patched, updated) in cases {
        super::status::bare_status_walk(cx, all, &pair.name, patched, updated).await?;
    }
    Ok(())
}

async fn inline(cx: &CheckContext) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let volumes = json!([
        {"name": "plain", "csi": {"driver": "none.assay.dev"}},
        {"name": "typed", "csi": {"driver": "none.assay.dev", "fsType": "ext4", "readOnly": true}},
    ]);
    let mut spec = pod_spec();
    spec["volumes"] = volumes.clone();
    spec["containers"][0]["volumeMounts"] = json!([
        {"name": "plain", "mountPath": "/mnt/plain"},
        {"name": "typed", "mountPath": "/mnt/typed"},
    ]);
    let pod = json!({"metadata": {"name": "pod"}, "spec": spec});
    let made = create(cx, &pods, pod.clone()).await?;
    cx.refused(
        "create of what exists",
        409,
        "AlreadyExists",
        &pods.create(pod).await?,
    )?;
    let stored = read(cx, &pods, "pod").await?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        stored["metadata"]["uid"].clone(),
    )?;
    for volume in volumes.as_array().into_iter().flatten() {
        // Admission adds the token's volume to these.
        let kept = stored["spec"]["volumes"].as_array().into_iter().flatten();
        let same = kept.clone().find(|other| other["name"] == volume["name"]);
        cx.contains("the pod's volume", volume, same.unwrap_or(&Value::Null))?;
    }
    cx.only("list in the namespace", &["pod"], pods.list(&[]).await?)?;
    let patched = json!({"metadata": {"annotations": {"patched": "true"}}});
    let answer = pods.patch("pod", PatchKind::Merge, patched.clone()).await?;
    cx.contains(
        "the answer to the patch",
        &patched,
        &cx.status("patch", 200, answer)?,
    )?;
    let stored = read(cx, &pods, "pod").await?;
    cx.contains("the patched pod", &patched, &stored)?;

    let answer = pods.delete("pod").await?;
    let accepted = matches!(answer.status, 200 | 202);
    cx.expect("the deletion to be accepted", accepted, || answer.summary())?;
    let now = pods.get("pod").await?;
    let marked = now.body["metadata"]["deletionTimestamp"].is_string();
    cx.expect(
        "the pod to be gone or marked for deletion",
        marked || now.status == 404 && now.reason() == "NotFound",
        || now.summary(),
    )
}
