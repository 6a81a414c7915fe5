//! Conformance: what an API server does that needs no kubelet, each statement a check of its own.
//!
//! One area a file. A new check is a `Check` and its line in the area's `CHECKS`; a new area is a file, its `mod` line and
//! its line in [`AREAS`]. Nothing of the official tests is copied.
//!
//! What stands behind the names in `official`: each was held, assertion by assertion, against the upstream source of
//! Kubernetes v1.36, but for ClusterTrustBundle and DeviceTaintRule, whose tests are of a shared kind that stands for each
//! resource. Where a check asserts the same thing in another way (an order of events instead of ten seconds of looking, a
//! part of a kubelet that it plays itself), its comments say so.

mod access;
mod addresses;
mod admission;
mod admitting;
mod aggregated;
mod aggregator;
mod apply;
mod batch;
mod bookmark;
mod cascade;
mod certificates;
mod cli;
mod compaction;
mod configmap;
mod conversion;
mod counted;
mod crd;
mod cronjob;
mod crud;
mod csr;
mod custom;
mod definitions;
mod discovery;
mod disruption;
mod dra;
mod endpoints;
mod escalation;
mod event;
mod explain;
mod fairness;
mod fieldvalidation;
mod flowcontrol;
mod gc;
mod health;
mod kinds;
mod kubectl;
mod labels;
mod lease;
mod limitrange;
mod list;
mod migration;
mod namespace;
mod network;
mod nodes;
mod object;
mod openapi;
mod openapiv3;
mod patch;
mod pod;
mod podapi;
mod podquota;
mod podtemplate;
mod policy;
mod policyapi;
mod quota;
mod quota_status;
mod replication;
mod runtimeclass;
mod secret;
mod service;
mod serviceaccount;
mod sets;
mod status;
mod steps;
mod storage;
mod table;
mod version;
mod volumes;
mod walk;
mod watchers;
mod ways;
mod webhook;
mod webhookconfig;
mod webhookcr;
mod workload;

use harness::check::Check;

/// A group of checks that concern one thing.
#[derive(Clone, Copy)]
pub struct Area {
    /// The part of its checks' ids before the slash, and the name of its file.
    pub name: &'static str,
    /// Its checks.
    pub checks: &'static [Check],
}

/// Every area.
pub const AREAS: &[Area] = &[
    // First, for a namespace under deletion waits its turn behind those of all checks that have ended by then.
    Area {
        name: "namespace",
        checks: namespace::CHECKS,
    },
    Area {
        name: "access",
        checks: access::CHECKS,
    },
    Area {
        name: "addresses",
        checks: addresses::CHECKS,
    },
    Area {
        name: "admission",
        checks: admission::CHECKS,
    },
    Area {
        name: "aggregator",
        checks: aggregator::CHECKS,
    },
    Area {
        name: "apply",
        checks: apply::CHECKS,
    },
    Area {
        name: "batch",
        checks: batch::CHECKS,
    },
    Area {
        name: "bookmark",
        checks: bookmark::CHECKS,
    },
    Area {
        name: "certificates",
        checks: certificates::CHECKS,
    },
    Area {
        name: "configmap",
        checks: configmap::CHECKS,
    },
    Area {
        name: "cronjob",
        checks: cronjob::CHECKS,
    },
    Area {
        name: "discovery",
        checks: discovery::CHECKS,
    },
    Area {
        name: "disruption",
        checks: disruption::CHECKS,
    },
    Area {
        name: "dra",
        checks: dra::CHECKS,
    },
    Area {
        name: "endpoints",
        checks: endpoints::CHECKS,
    },
    Area {
        name: "escalation",
        checks: escalation::CHECKS,
    },
    Area {
        name: "event",
        checks: event::CHECKS,
    },
    Area {
        name: "flowcontrol",
        checks: flowcontrol::CHECKS,
    },
    Area {
        name: "fairness",
        checks: fairness::CHECKS,
    },
    Area {
        name: "gc",
        checks: gc::CHECKS,
    },
    Area {
        name: "health",
        checks: health::CHECKS,
    },
    Area {
        name: "lease",
        checks: lease::CHECKS,
    },
    Area {
        name: "limitrange",
        checks: limitrange::CHECKS,
    },
    Area {
        name: "list",
        checks: list::CHECKS,
    },
    Area {
        name: "migration",
        checks: migration::CHECKS,
    },
    Area {
        name: "network",
        checks: network::CHECKS,
    },
    Area {
        name: "nodes",
        checks: nodes::CHECKS,
    },
    Area {
        name: "object",
        checks: object::CHECKS,
    },
    Area {
        name: "patch",
        checks: patch::CHECKS,
    },
    Area {
        name: "pod",
        checks: pod::CHECKS,
    },
    Area {
        name: "podapi",
        checks: podapi::CHECKS,
    },
    Area {
        name: "podquota",
        checks: podquota::CHECKS,
    },
    Area {
        name: "podtemplate",
        checks: podtemplate::CHECKS,
    },
    Area {
        name: "policy",
        checks: policy::CHECKS,
    },
    Area {
        name: "policyapi",
        checks: policyapi::CHECKS,
    },
    Area {
        name: "quota",
        checks: quota::CHECKS,
    },
    Area {
        name: "replication",
        checks: replication::CHECKS,
    },
    Area {
        name: "runtimeclass",
        checks: runtimeclass::CHECKS,
    },
    Area {
        name: "secret",
        checks: secret::CHECKS,
    },
    Area {
        name: "service",
        checks: service::CHECKS,
    },
    Area {
        name: "serviceaccount",
        checks: serviceaccount::CHECKS,
    },
    Area {
        name: "sets",
        checks: sets::CHECKS,
    },
    Area {
        name: "storage",
        checks: storage::CHECKS,
    },
    Area {
        name: "table",
        checks: table::CHECKS,
    },
    Area {
        name: "version",
        checks: version::CHECKS,
    },
    Area {
        name: "volumes",
        checks: volumes::CHECKS,
    },
    Area {
        name: "watchers",
        checks: watchers::CHECKS,
    },
    Area {
        name: "webhook",
        checks: webhook::CHECKS,
    },
    Area {
        name: "webhookconfig",
        checks: webhookconfig::CHECKS,
    },
    Area {
        name: "workload",
        checks: workload::CHECKS,
    },
    // Last, for each definition makes an API server rebuild its whole OpenAPI document: under 512 MiB a K3s dies of it.
    Area {
        name: "aggregated",
        checks: aggregated::CHECKS,
    },
    Area {
        name: "fieldvalidation",
        checks: fieldvalidation::CHECKS,
    },
    Area {
        name: "openapi",
        checks: openapi::CHECKS,
    },
    Area {
        name: "kubectl",
        checks: kubectl::CHECKS,
    },
    Area {
        name: "crd",
        checks: crd::CHECKS,
    },
    Area {
        name: "conversion",
        checks: conversion::CHECKS,
    },
    Area {
        name: "webhookcr",
        checks: webhookcr::CHECKS,
    },
];

/// Every check, in the order of the table.
#[must_use]
pub fn checks() -> Vec<&'static Check> {
    AREAS.iter().flat_map(|area| area.checks).collect()
}
