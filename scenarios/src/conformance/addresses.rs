//! Ranges and addresses of Services as API objects.

use std::net::{Ipv4Addr, Ipv6Addr};

use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::crud::{Crud, crud};
use super::kinds::{IP_ADDRESSES, SERVICE_CIDRS};
use super::steps::read;

const GROUP: &str = "networking.k8s.io/v1";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "addresses/service-cidr-serves-every-verb",
        title: "The default ServiceCIDR is there, and ServiceCIDRs are discovered, serve every verb and have a status of their own.",
        official: &[
            "[sig-network] ServiceCIDR and IPAddress API should support ServiceCIDR API operations",
        ],
        requires: &[
            Requirement::Resource(GROUP, "servicecidrs"),
            Requirement::Resource(GROUP, "servicecidrs/status"),
        ],
        kills: CIDR_KILLS,
        run: |cx| Box::pin(service_cidr(cx)),
        ..Check::BASE
    },
    Check {
        id: "addresses/ip-address-serves-every-verb",
        title: "IPAddresses of both families are discovered and serve every verb and every kind of patch.",
        official: &[
            "[sig-network] ServiceCIDR and IPAddress API should support IPAddress API operations",
        ],
        requires: &[Requirement::Resource(GROUP, "ipaddresses")],
        kills: super::crud::KILLS,
        run: |cx| Box::pin(ip_address(cx)),
        ..Check::BASE
    },
];

const CIDR_KILLS: &[Mutant] = &[
    mutant::WRONG_GROUP,
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::APPLY_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_MISSING,
    mutant::SPEC_LOST,
    mutant::DELETE_IGNORED,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::LABEL_SELECTOR_IGNORED,
    mutant::LIST_LOSES_ITEM,
    mutant::NEVER_MODIFIED,
];

/// Upstream writes to the default range, which the server owns. Here it is only read: what is written is a range of the
/// check's own over the same addresses, so that no Service gets an address which it would not have got anyway, and
/// the range's finalizer never waits for one.
async fn service_cidr(cx: &CheckContext) -> CheckResult {
    let default = read(cx, &cx.collection(SERVICE_CIDRS).await?, "kubernetes").await?;
    cx.text("the default ServiceCIDR", &default, "/spec/cidrs/0")?;
    let body = json!({"spec": {"cidrs": default["spec"]["cidrs"]}});
    let status = json!({"conditions": [
        {"type": "AssayWasHere", "status": "True", "reason": "Assay", "message": "set by a check", "lastTransitionTime": "2026-01-01T00:00:00Z"},
    ]});
    // The controller lets a range go only ten seconds after it was asked to.
    let cidr = Crud::of(SERVICE_CIDRS, body).with_status(status);
    crud(cx, cidr.slow_to_delete()).await
}

/// Addresses that no Service has: of the reserved class E, and of the range kept for documentation (RFC 3849).
async fn ip_address(cx: &CheckContext) -> CheckResult {
    let mut names = Vec::new();
    for _ in 0..2 {
        names.push(Ipv4Addr::from_bits(0xf000_0000 | random()).to_string());
        let documentation = 0x2001_0db8_0001_u128 << 80;
        names.push(Ipv6Addr::from_bits(documentation | u128::from(random())).to_string());
    }
    let names = <[String; 4]>::try_from(names).unwrap_or_default();
    // No Service's: only those are watched over by the server.
    let parent = json!({"group": "none.assay.dev", "resource": "nones", "namespace": "none", "name": "none"});
    let body = json!({"spec": {"parentRef": parent}});
    crud(cx, Crud::of(IP_ADDRESSES, body).named(names)).await
}

/// Any number: checks of several runs on one server must not meet.
fn random() -> u32 {
    let name = unique("address");
    u32::from_str_radix(name.rsplit('-').next().unwrap_or_default(), 16).unwrap_or_default()
}
