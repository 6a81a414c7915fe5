//! Storage version migrations, as API objects.

use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, Requirement};
use serde_json::json;

use super::crud::{Crud, crud};
use super::kinds::STORAGE_VERSION_MIGRATIONS;

const GROUP: &str = "storagemigration.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[Check {
    id: "migration/serves-every-verb",
    title: "StorageVersionMigrations are discovered, serve every verb and every kind of patch, and have a status of their own.",
    official: &[
        "[sig-api-machinery] StorageVersionMigration CRUD Tests storagemigration.k8s.io/v1 StorageVersionMigration",
    ],
    requires: &[
        Requirement::Resource(GROUP, "storageversionmigrations"),
        Requirement::Resource(GROUP, "storageversionmigrations/status"),
    ],
    kills: KILLS,
    run: |cx| {
        Box::pin(crud(
            cx,
            // Of a resource that there is not, so that nothing is migrated.
            Crud::of(
                STORAGE_VERSION_MIGRATIONS,
                json!({"spec": {"resource": {"group": "none.assay.dev", "resource": "nones"}}}),
            )
            .with_status(json!({"conditions": [
                {"type": "AssayWasHere", "status": "True", "reason": "Assay", "message": "set by a check", "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ]})),
        ))
    },
    ..Check::BASE
}];

const KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::APPLY_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::NEVER_MODIFIED,
    mutant::DROPS_ADDED,
    mutant::DROPS_DELETED,
];
