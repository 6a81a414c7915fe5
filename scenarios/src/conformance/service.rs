//! Services.

use std::collections::BTreeSet;

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use super::steps::{create, delete, left, read, update};

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "service/kubernetes-is-there",
        title: "The Service kubernetes in default offers https, and a list over all namespaces shows it.",
        official: &[
            "[sig-network] API Server should provide secure master service",
            "[sig-network] Services should find a service from listing all namespaces",
        ],
        requires: &[
            Requirement::Resource("v1", "services"),
            Requirement::Behaviour("kubernetes-service"),
        ],
        kills: &[
            mutant::SPEC_LOST,
            mutant::KIND_MISSING,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(kubernetes(cx)),
        ..Check::BASE
    },
    Check {
        id: "service/kubernetes-has-endpoints",
        title: "The Service kubernetes has Endpoints and EndpointSlices with the same addresses and ports.",
        official: &[
            "[sig-network] API Server should have Endpoints and EndpointSlices pointing to API Server",
        ],
        requires: &[
            Requirement::Resource("v1", "endpoints"),
            Requirement::Resource("discovery.k8s.io/v1", "endpointslices"),
            Requirement::Behaviour("kubernetes-service"),
        ],
        kills: &[mutant::LIST_LOSES_ITEM],
        run: |cx| Box::pin(kubernetes_endpoints(cx)),
        ..Check::BASE
    },
    // No official test of its own.
    Check {
        id: "service/defaults-and-address-are-filled-in",
        title: "A Service gets type, session affinity, target ports and a cluster address of its own, which cannot be changed.",
        requires: &[
            Requirement::Resource("v1", "services"),
            Requirement::Behaviour("cluster-ip"),
        ],
        kills: &[
            mutant::DEFAULTING_SKIPPED,
            mutant::SPEC_LOST,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(defaults(cx)),
        ..Check::BASE
    },
    Check {
        id: "service/status-lifecycle-completes",
        title: "A Service's status is read, patched and updated apart, its labels patched, and each change is seen by a watch.",
        official: &["[sig-network] Services should complete a service status lifecycle"],
        requires: &[
            Requirement::Resource("v1", "services"),
            Requirement::Resource("v1", "services/status"),
        ],
        kills: &[
            mutant::STATUS_NOT_APPLIED,
            mutant::STATUS_WRITES_MAIN,
            mutant::STATUS_MISSING,
            mutant::PATCH_NOT_APPLIED,
            mutant::DROPS_ADDED,
            mutant::DROPS_DELETED,
            mutant::WATCH_STALE_OBJECT,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(status(cx)),
        ..Check::BASE
    },
    Check {
        id: "service/collection-is-deleted-by-label",
        title: "deletecollection with a label takes the Services that carry it and leaves the other.",
        official: &["[sig-network] Services should delete a collection of services"],
        // Kubernetes serves deletecollection of Services since 1.23.
        requires: &[Requirement::Verb("v1", "services", "deletecollection")],
        kills: &[
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::LIST_LOSES_ITEM,
        ],
        run: |cx| Box::pin(collection(cx)),
        ..Check::BASE
    },
    // No official test of its own.
    Check {
        id: "service/invalid-is-refused",
        title: "A Service without ports, or with a port outside 1 to 65535, is refused as invalid.",
        requires: &[
            Requirement::Resource("v1", "services"),
            Requirement::Behaviour("validation"),
        ],
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(invalid(cx)),
        ..Check::BASE
    },
];

async fn kubernetes(cx: &CheckContext) -> CheckResult {
    let all = Collection::new(cx.api(), SERVICES, Some("default"));
    let service = read(cx, &all, "kubernetes").await?;
    cx.contains(
        "the Service",
        &json!({"kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default"}}),
        &service,
    )?;
    let https = service["spec"]["ports"]
        .as_array()
        .into_iter()
        .flatten()
        .any(|port| port["name"] == "https" && port["port"].is_u64());
    cx.expect("a port named https", https, || service["spec"].to_string())?;
    let found = cx.items(
        "list in all namespaces",
        cx.everywhere(SERVICES).list(&[]).await?,
    )?;
    let found = found
        .iter()
        .filter(|item| item["metadata"]["uid"] == service["metadata"]["uid"])
        .count();
    cx.expect_eq("default/kubernetes in the list of all namespaces", 1, found)?;
    cx.refused(
        "get of a Service that is not there",
        404,
        "NotFound",
        &all.get(&unique("none")).await?,
    )
}

/// Addresses and ports that an Endpoints object and the slices of its Service name, as sets: how they are grouped is up to
/// the server.
async fn kubernetes_endpoints(cx: &CheckContext) -> CheckResult {
    let services = Collection::new(cx.api(), SERVICES, Some("default"));
    read(cx, &services, "kubernetes").await?;
    let all = Collection::new(cx.api(), ENDPOINTS, Some("default"));
    let endpoints = read(cx, &all, "kubernetes").await?;
    let (mut addresses, mut ports) = (BTreeSet::new(), BTreeSet::new());
    for subset in parts(&endpoints, "subsets") {
        for field in ["addresses", "notReadyAddresses"] {
            addresses.extend(parts(subset, field).map(|one| one["ip"].to_string()));
        }
        ports.extend(parts(subset, "ports").map(|one| one["port"].to_string()));
    }
    cx.expect(
        "at least one address and one port in the Endpoints",
        !addresses.is_empty() && !ports.is_empty(),
        || endpoints["subsets"].to_string(),
    )?;
    let all = Collection::new(cx.api(), ENDPOINT_SLICES, Some("default"));
    let selector = "kubernetes.io/service-name=kubernetes";
    let answer = all.list(&[("labelSelector", selector)]).await?;
    let slices = cx.items("list of slices", answer)?;
    // Endpoints are of one family; slices of the other have no counterpart there.
    let family = if addresses.iter().any(|address| address.contains(':')) {
        "IPv6"
    } else {
        "IPv4"
    };
    let slices = slices.iter().filter(|slice| slice["addressType"] == family);
    let (mut found, mut found_ports) = (BTreeSet::new(), BTreeSet::new());
    for slice in slices {
        for endpoint in parts(slice, "endpoints") {
            found.extend(parts(endpoint, "addresses").map(Value::to_string));
        }
        found_ports.extend(parts(slice, "ports").map(|one| one["port"].to_string()));
    }
    cx.expect_eq("addresses of the slices", addresses, found)?;
    cx.expect_eq("ports of the slices", ports, found_ports)
}

fn parts<'v>(value: &'v Value, field: &str) -> impl Iterator<Item = &'v Value> {
    value[field].as_array().into_iter().flatten()
}

fn plain(port: u16) -> Value {
    json!({"selector": {"app": "assay-none"}, "ports": [{"name": "http", "port": port}]})
}

async fn defaults(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SERVICES).await?;
    let mut addresses = Vec::new();
    for name in ["one", "two"] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name}, "spec": plain(80)}),
        )
        .await?;
        let stored = read(cx, &all, name).await?;
        let expected = json!({"type": "ClusterIP", "sessionAffinity": "None", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}]});
        cx.contains("the Service's defaults", &expected, &stored["spec"])?;
        let address = cx.text("the Service", &stored, "/spec/clusterIP")?;
        cx.expect(
            "an IP address",
            address.parse::<std::net::IpAddr>().is_ok(),
            || address.to_owned(),
        )?;
        addresses.push(address.to_owned());
    }
    cx.expect("two addresses", addresses[0] != addresses[1], || {
        addresses[0].clone()
    })?;
    let change = json!({"spec": {"clusterIP": addresses[1], "clusterIPs": [addresses[1]]}});
    cx.refused(
        "a change of the address",
        422,
        "Invalid",
        &all.patch("one", PatchKind::Merge, change).await?,
    )
}

async fn status(cx: &CheckContext) -> CheckResult {
    let (all, name) = (cx.collection(SERVICES).await?, "service");
    let mut watch = cx.watch(&all, &[("labelSelector", "static=true")]).await?;
    let mut spec = plain(80);
    // A load balancer's status is for such Services only since 1.29. The class, which every server knows since 1.24, says
    // that no controller here is to fill it in.
    if cx.offer().minor >= 24 {
        spec["type"] = json!("LoadBalancer");
        spec["loadBalancerClass"] = json!("assay.dev/none");
    }
    let body = json!({"metadata": {"name": name, "labels": {"static": "true"}}, "spec": spec});
    create(cx, &all, body).await?;
    let labelled = |object: &Value| object["metadata"]["labels"]["static"] == "true";
    watch.until("ADDED", name, &["DELETED"], labelled).await?;
    let read_status = cx.status("GET of /status", 200, all.get("service/status").await?)?;
    cx.expect("a status", read_status["status"].is_object(), || {
        read_status.to_string()
    })?;

    let status = json!({"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}});
    let patch = json!({"metadata": {"annotations": {"patchedstatus": "true"}}, "status": status});
    cx.status(
        "PATCH of /status",
        200,
        all.patch("service/status", PatchKind::Merge, patch.clone())
            .await?,
    )?;
    cx.contains(
        "the Service after the patch of /status",
        &patch,
        &read(cx, &all, name).await?,
    )?;
    watch
        .until("MODIFIED", name, &["DELETED"], |object| {
            // Servers add an ipMode.
            object["metadata"]["annotations"]["patchedstatus"] == "true"
                && object["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.1"
        })
        .await?;

    let condition = json!({"type": "StatusUpdate", "status": "True", "reason": "assay", "message": "set by assay", "lastTransitionTime": "2020-01-01T00:00:00Z"});
    update(cx, &all, "service/status", |object| {
        object["status"]["conditions"] = json!([condition])
    })
    .await?;
    cx.contains(
        "the conditions",
        &json!([condition]),
        &read(cx, &all, name).await?["status"]["conditions"],
    )?;
    watch
        .until("MODIFIED", name, &["DELETED"], |object| {
            object["status"]["conditions"][0]["type"] == "StatusUpdate"
                && object["metadata"]["annotations"]["patchedstatus"] == "true"
        })
        .await?;

    let patch = json!({"metadata": {"labels": {"patched": "true"}}});
    cx.status(
        "PATCH",
        200,
        all.patch(name, PatchKind::Strategic, patch.clone()).await?,
    )?;
    cx.contains("the patched Service", &patch, &read(cx, &all, name).await?)?;
    watch
        .until("MODIFIED", name, &["DELETED"], |object| {
            object["metadata"]["labels"]["patched"] == "true"
        })
        .await?;
    delete(cx, &all, name).await?;
    watch
        .until("DELETED", name, &["ADDED"], labelled)
        .await
        .map(drop)
}

async fn collection(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SERVICES).await?;
    for (name, set) in [("one", "true"), ("two", "true"), ("other", "false")] {
        create(
            cx,
            &all,
            json!({"metadata": {"name": name, "labels": {"set": set}}, "spec": plain(80)}),
        )
        .await?;
    }
    cx.only("list", &["one", "two", "other"], all.list(&[]).await?)?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", "set=true")])
            .await?,
    )?;
    left(cx, &all, "set", &["other"]).await
}

async fn invalid(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(SERVICES).await?;
    for (what, spec) in [
        ("no ports", json!({"ports": []})),
        ("port 0", json!({"ports": [{"port": 0}]})),
        ("port 65536", json!({"ports": [{"port": 65536}]})),
    ] {
        let answer = all
            .create(json!({"metadata": {"name": "service"}, "spec": spec}))
            .await?;
        cx.refused(&format!("a Service with {what}"), 422, "Invalid", &answer)?;
    }
    cx.only("list", &[], all.list(&[]).await?)
}
