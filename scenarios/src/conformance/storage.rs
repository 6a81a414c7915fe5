//! Storage resources that need no volume.

use harness::api::PatchKind;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{CSI_DRIVERS, CSI_NODES, STORAGE_CLASSES, VOLUME_ATTACHMENTS};
use super::status::bare_status_walk;
use super::steps::{create, delete, left};
use super::walk::{self, Walk, walk};

const GROUP: &str = "storage.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "storage/class-serves-every-verb",
        title: "StorageClasses are discovered, serve every verb and have reclaim policy and binding mode defaulted.",
        official: &[
            "[sig-storage] StorageClasses CSI Conformance should run through the lifecycle of a StorageClass",
        ],
        requires: &[Requirement::Resource(GROUP, "storageclasses")],
        kills: CLASS_KILLS,
        run: |cx| Box::pin(walk(cx, &CLASS)),
        ..Check::BASE
    },
    Check {
        id: "storage/csi-driver-serves-every-verb",
        title: "CSIDrivers are discovered and serve every verb.",
        official: &[
            "[sig-storage] CSIInlineVolumes should run through the lifecycle of a CSIDriver",
        ],
        requires: &[Requirement::Resource(GROUP, "csidrivers")],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &DRIVER)),
        ..Check::BASE
    },
    Check {
        id: "storage/csi-node-serves-every-verb",
        title: "CSINodes are discovered and serve every verb.",
        official: &[
            "[sig-storage] CSINodes CSI Conformance should run through the lifecycle of a csinode",
        ],
        requires: &[Requirement::Resource(GROUP, "csinodes")],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &NODE)),
        ..Check::BASE
    },
    Check {
        id: "storage/volume-attachment-status-is-separate",
        title: "A VolumeAttachment's status is read, patched and updated apart from its spec.",
        official: &[
            "[sig-storage] VolumeAttachment Conformance should apply changes to a volumeattachment status",
        ],
        requires: &[
            Requirement::Resource(GROUP, "volumeattachments"),
            Requirement::Resource(GROUP, "volumeattachments/status"),
            Requirement::Behaviour("volume-status-defaults"),
        ],
        kills: &[
            mutant::STATUS_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_THROUGH_MAIN_RESOURCE,
            mutant::STATUS_MISSING,
            mutant::STALE_READ,
            mutant::PATCH_NOT_APPLIED,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(attachment_status(cx)),
        ..Check::BASE
    },
];

const CLASS_KILLS: &[Mutant] = &[
    mutant::DEFAULTING_SKIPPED,
    mutant::RESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::PATCH_NOT_APPLIED,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_MODIFIED,
    mutant::LIST_LOSES_ITEM,
];

const CLASS: Walk = Walk {
    resource: STORAGE_CLASSES,
    body: || json!({"provisioner": "assay.dev/none", "parameters": {"size": "small"}}),
    defaults: || json!({"reclaimPolicy": "Delete", "volumeBindingMode": "Immediate"}),
};

const DRIVER: Walk = Walk {
    resource: CSI_DRIVERS,
    body: || json!({"spec": {"attachRequired": false, "podInfoOnMount": true}}),
    defaults: || json!({}),
};

const NODE: Walk = Walk {
    resource: CSI_NODES,
    body: || json!({"spec": {"drivers": [{"name": "assay.dev.none", "nodeID": "none", "topologyKeys": ["assay.dev/zone"]}]}}),
    defaults: || json!({}),
};

fn attachment(name: &str) -> Value {
    json!({
        "metadata": {"name": name},
        "spec": {"attacher": "none.assay.dev", "nodeName": "assay-none", "source": {"persistentVolumeName": "assay-none"}},
    })
}

async fn attachment_status(cx: &CheckContext) -> CheckResult {
    let (all, name) = (cx.collection(VOLUME_ATTACHMENTS).await?, unique("attach"));
    create(cx, &all, attachment(&name)).await?;
    let label = json!({"metadata": {"labels": {"attach": name}}});
    let answer = all.patch(&name, PatchKind::Merge, label.clone()).await?;
    let answer = cx.status("patch of a label", 200, answer)?;
    cx.contains("the patched attachment", &label, &answer)?;
    let before = all.get(&format!("{name}/status")).await?;
    let before = cx.status("GET of /status", 200, before)?;
    let detached = json!({"attached": false});
    cx.contains("the status at first", &detached, &before["status"])?;
    let with = |attached: bool, value: &str| json!({"attached": attached, "attachmentMetadata": {"key": value}});
    bare_status_walk(
        cx,
        &all,
        &name,
        with(true, "patched"),
        with(false, "updated"),
    )
    .await?;

    delete(cx, &all, &name).await?;
    left(cx, &all, &format!("attach={name}"), &[]).await
}
