//! API Priority and Fairness: its two kinds of configuration.

use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, Requirement};
use serde_json::{Value, json};

use super::crud::{Crud, crud};
use super::kinds::{FLOW_SCHEMAS, PRIORITY_LEVELS};

const GROUP: &str = "flowcontrol.apiserver.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "flowcontrol/schema-serves-every-verb",
        title: "FlowSchemas are discovered, serve every verb and every kind of patch, and have a status of their own.",
        official: &[
            "[sig-api-machinery] API priority and fairness should support FlowSchema API operations",
        ],
        requires: &[
            Requirement::Resource(GROUP, "flowschemas"),
            Requirement::Resource(GROUP, "flowschemas/status"),
        ],
        kills: KILLS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(FLOW_SCHEMAS, schema())
                    .changing(json!({"spec": {"matchingPrecedence": 9999}}))
                    .with_status(status()),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "flowcontrol/priority-level-serves-every-verb",
        title: "PriorityLevelConfigurations are discovered, serve every verb and every kind of patch, and have a status of their own.",
        official: &[
            "[sig-api-machinery] API priority and fairness should support PriorityLevelConfiguration API operations",
        ],
        requires: &[
            Requirement::Resource(GROUP, "prioritylevelconfigurations"),
            Requirement::Resource(GROUP, "prioritylevelconfigurations/status"),
        ],
        kills: KILLS,
        run: |cx| {
            Box::pin(crud(
                cx,
                Crud::of(PRIORITY_LEVELS, level())
                    .changing(json!({"spec": {"limited": {"nominalConcurrencyShares": 4}}}))
                    .with_status(status()),
            ))
        },
        ..Check::BASE
    },
];

const KILLS: &[Mutant] = &[
    mutant::WRONG_GROUP,
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::VERBS_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_MISSING,
    mutant::SPEC_LOST,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::UID_CHANGES,
    mutant::VERSION_CONSTANT,
    mutant::NEVER_MODIFIED,
    mutant::WATCH_IGNORES_SELECTOR,
];

/// For requests of a user that there is not.
fn schema() -> Value {
    json!({"spec": {
        "matchingPrecedence": 10000,
        "priorityLevelConfiguration": {"name": "global-default"},
        "distinguisherMethod": {"type": "ByUser"},
        "rules": [{
            "subjects": [{"kind": "User", "user": {"name": "assay-nobody"}}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }],
    }})
}

fn level() -> Value {
    json!({"spec": {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}})
}

fn status() -> Value {
    json!({"conditions": [
        {"type": "AssayWasHere", "status": "False", "reason": "Assay", "message": "set by a check", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]})
}
