//! Dynamic resource allocation: its API objects, without devices.
//!
//! No server from 1.35 on lacks the group `resource.k8s.io/v1`; `DeviceTaintRule` is in it from 1.37 on.

use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, Requirement};
use serde_json::{Value, json};

use super::crud::{self, Crud, crud};
use super::kinds::{
    DEVICE_CLASSES, DEVICE_TAINT_RULES, RESOURCE_CLAIM_TEMPLATES, RESOURCE_CLAIMS, RESOURCE_SLICES,
};

const GROUP: &str = "resource.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "dra/device-class-serves-every-verb",
        title: "DeviceClasses are discovered and serve every verb and every kind of patch.",
        official: &["[sig-node] CRUD Tests resource.k8s.io/v1 DeviceClass"],
        requires: &[Requirement::Resource(GROUP, "deviceclasses")],
        kills: crud::KILLS,
        run: |cx| {
            let class = |expression: &str| json!({"spec": {"selectors": [{"cel": {"expression": expression}}]}});
            Box::pin(crud(
                cx,
                // Neither matches any device.
                Crud::of(DEVICE_CLASSES, class("false")).changing(class("1 == 0")),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "dra/device-taint-rule-serves-every-verb",
        title: "DeviceTaintRules are discovered, serve every verb and every kind of patch, and have a status of their own.",
        official: &["[sig-node] CRUD Tests resource.k8s.io/v1 DeviceTaintRule"],
        requires: &[
            Requirement::Resource(GROUP, "devicetaintrules"),
            Requirement::Resource(GROUP, "devicetaintrules/status"),
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(DEVICE_TAINT_RULES, taint_rule("NoSchedule"))
                    .changing(taint_rule("NoExecute"))
                    .with_status(json!({"conditions": [condition()]})),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "dra/claim-serves-every-verb",
        title: "ResourceClaims are discovered, serve every verb and every kind of patch, and have a status of their own.",
        official: &["[sig-node] CRUD Tests resource.k8s.io/v1 ResourceClaim"],
        requires: &[
            Requirement::Resource(GROUP, "resourceclaims"),
            Requirement::Resource(GROUP, "resourceclaims/status"),
        ],
        kills: WITH_STATUS,
        run: |cx| {
            Box::pin(crud(
                cx,
                // An allocation of nothing is a valid one.
                Crud::of(RESOURCE_CLAIMS, json!({"spec": claim()}))
                    .with_status(json!({"allocation": {}})),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "dra/template-serves-every-verb",
        title: "ResourceClaimTemplates are discovered and serve every verb and every kind of patch.",
        official: &["[sig-node] CRUD Tests resource.k8s.io/v1 ResourceClaimTemplate"],
        requires: &[Requirement::Resource(GROUP, "resourceclaimtemplates")],
        kills: crud::KILLS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(RESOURCE_CLAIM_TEMPLATES, json!({"spec": {"spec": claim()}})),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "dra/slice-serves-every-verb",
        title: "ResourceSlices are discovered and serve every verb and every kind of patch.",
        official: &["[sig-node] CRUD Tests resource.k8s.io/v1 ResourceSlice"],
        requires: &[Requirement::Resource(GROUP, "resourceslices")],
        kills: crud::KILLS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(RESOURCE_SLICES, slice())
                    .changing(json!({"spec": {"devices": [{"name": "device-0"}]}})),
            ))
        },
        ..Check::BASE
    },
];

const WITH_STATUS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::APPLY_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_MISSING,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::UID_CHANGES,
    mutant::VERSION_CONSTANT,
    mutant::DROPS_ADDED,
    mutant::NEVER_MODIFIED,
    mutant::DROPS_DELETED,
    mutant::WATCH_IGNORES_SELECTOR,
];

fn claim() -> Value {
    json!({"devices": {"requests": [{"name": "request", "exactly": {"deviceClassName": "none.assay.dev"}}]}})
}

/// A pool without devices, on a node that there is not.
fn slice() -> Value {
    json!({"spec": {
        "driver": "none.assay.dev",
        "pool": {"name": "assay-none", "generation": 1, "resourceSliceCount": 1},
        "nodeName": "assay-none",
    }})
}

/// Taints the devices of a driver that there is not.
fn taint_rule(effect: &str) -> Value {
    json!({"spec": {
        "deviceSelector": {"driver": "none.assay.dev"},
        "taint": {"key": "assay.dev/none", "value": "none", "effect": effect},
    }})
}

fn condition() -> Value {
    json!({"type": "AssayWasHere", "status": "True", "reason": "Assay", "message": "set by a check", "lastTransitionTime": "2026-01-01T00:00:00Z"})
}
