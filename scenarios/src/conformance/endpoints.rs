//! Endpoints and EndpointSlices, and the controllers that keep them.

use harness::api::PatchKind;
use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::kinds::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use super::steps::{create, delete, read, update};
use super::walk::{self, Walk, walk};

const SLICES: Requirement = Requirement::Resource("discovery.k8s.io/v1", "endpointslices");
const CONTROLLER: Requirement = Requirement::Behaviour("endpoints-controllers");

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "endpoints/live-through-their-lifecycle",
        title: "Endpoints are created, updated, patched and deleted by collection, and a watch sees each.",
        official: &["[sig-network] Endpoints should test the lifecycle of an Endpoint"],
        requires: &[Requirement::Resource("v1", "endpoints")],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::PATCH_NOT_APPLIED,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DROPS_ADDED,
            mutant::DROPS_MODIFIED,
            mutant::DROPS_DELETED,
            mutant::LIST_LOSES_ITEM,
            mutant::STALE_READ,
            mutant::VERSION_DECREASING,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "endpoints/slices-serve-every-verb",
        title: "EndpointSlices are discovered and serve every verb.",
        official: &[
            "[sig-network] EndpointSlice should support creating EndpointSlice API operations",
        ],
        requires: &[SLICES],
        kills: walk::KILLS,
        run: |cx| Box::pin(walk(cx, &SLICE)),
        ..Check::BASE
    },
    Check {
        id: "endpoints/empty-service-has-empty-endpoints",
        title: "A Service whose selector matches no pod gets empty Endpoints and an empty EndpointSlice, and loses them.",
        official: &[
            "[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods",
            "[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods",
        ],
        requires: &[SLICES, Requirement::Resource("v1", "endpoints"), CONTROLLER],
        kills: &[
            mutant::DELETE_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::STALE_LIST,
            mutant::LABELS_LOST,
        ],
        run: |cx| Box::pin(empty(cx)),
        ..Check::BASE
    },
    Check {
        id: "endpoints/custom-ones-are-mirrored",
        title: "Endpoints of a Service without selector are mirrored to an EndpointSlice through create, update and delete.",
        official: &[
            "[sig-network] EndpointSliceMirroring should mirror a custom Endpoints resource through create update and delete",
        ],
        requires: &[SLICES, Requirement::Resource("v1", "endpoints"), CONTROLLER],
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::DELETE_IGNORED,
            mutant::LIST_LOSES_ITEM,
            mutant::STALE_LIST,
        ],
        run: |cx| Box::pin(mirrored(cx)),
        ..Check::BASE
    },
];

const SLICE: Walk = Walk {
    resource: ENDPOINT_SLICES,
    body: || json!({"addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.1"]}, {"addresses": ["192.0.2.2"]}], "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}),
    defaults: || json!({}),
};

fn subset(ip: &str, port: &str, number: u16) -> Value {
    json!([{"addresses": [{"ip": ip}], "ports": [{"name": port, "port": number, "protocol": "TCP"}]}])
}

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (own, name, namespace) = (
        cx.collection(ENDPOINTS).await?,
        "endpoints",
        cx.namespace().await?,
    );
    let selector = format!("static={namespace}");
    let selected = [("labelSelector", selector.as_str())];
    let mut watch = cx.watch(&own, &selected).await?;
    let body = json!({"metadata": {"name": name, "labels": {"static": namespace}}, "subsets": subset("10.0.0.24", "http", 80)});
    let made = create(cx, &own, body).await?;
    watch.next("ADDED", name).await?;
    cx.only(
        "list in all namespaces",
        &[name],
        cx.everywhere(ENDPOINTS).list(&selected).await?,
    )?;

    update(cx, &own, name, |object| {
        object["metadata"]["labels"]["service"] = json!("updated")
    })
    .await?;
    let event = watch.next("MODIFIED", name).await?;
    cx.expect_eq(
        "the label in the event",
        "updated",
        event["metadata"]["labels"]["service"]
            .as_str()
            .unwrap_or_default(),
    )?;
    cx.contains(
        "the updated label",
        &json!({"service": "updated"}),
        &read(cx, &own, name).await?["metadata"]["labels"],
    )?;

    let patch = json!({"metadata": {"labels": {"service": "patched"}}, "subsets": subset("10.0.0.25", "http-test", 8080)});
    cx.status(
        "patch",
        200,
        own.patch(name, PatchKind::Strategic, patch.clone()).await?,
    )?;
    cx.contains(
        "the event of the patch",
        &patch,
        &watch.next("MODIFIED", name).await?,
    )?;
    let patched = read(cx, &own, name).await?;
    cx.contains("the patched Endpoints", &patch, &patched)?;
    let version = |object: &Value| {
        object["metadata"]["resourceVersion"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
            .unwrap_or(0)
    };
    cx.expect(
        "a greater resourceVersion after the changes",
        version(&patched) > version(&made),
        || version(&patched).to_string(),
    )?;

    cx.status(
        "deletecollection",
        200,
        own.delete_collection(&selected).await?,
    )?;
    watch.next("DELETED", name).await?;
    cx.gone(&own, name).await
}

async fn slices_of(cx: &CheckContext, service: &str) -> CheckResult<Vec<Value>> {
    let slices = cx.collection(ENDPOINT_SLICES).await?;
    let selector = format!("kubernetes.io/service-name={service}");
    cx.items(
        "list of slices",
        slices.list(&[("labelSelector", &selector)]).await?,
    )
}

async fn empty(cx: &CheckContext) -> CheckResult {
    let (services, endpoints) = (
        cx.collection(SERVICES).await?,
        cx.collection(ENDPOINTS).await?,
    );
    let body = json!({"metadata": {"name": "empty"}, "spec": {"selector": {"matches": "nothing"}, "ports": [{"name": "http", "port": 80}]}});
    create(cx, &services, body).await?;
    let found = cx
        .wait("Endpoints of the Service", || async {
            let answer = endpoints.get("empty").await?;
            Ok(if answer.status == 200 {
                Seen::Done(answer.body)
            } else {
                Seen::Not(answer.summary())
            })
        })
        .await?;
    cx.expect(
        "no address in them",
        found["subsets"].as_array().is_none_or(Vec::is_empty),
        || found.to_string(),
    )?;
    let slice = cx
        .wait("an EndpointSlice of the Service", || async {
            let slices = slices_of(cx, "empty").await?;
            Ok(slices
                .into_iter()
                .next()
                .map_or_else(|| Seen::Not("none".to_owned()), Seen::Done))
        })
        .await?;
    let manager = slice["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"]
        .as_str()
        .unwrap_or_default();
    cx.expect_eq(
        "the slice's manager",
        "endpointslice-controller.k8s.io",
        manager,
    )?;
    cx.expect(
        "no endpoint in it",
        slice["endpoints"].as_array().is_none_or(Vec::is_empty),
        || slice.to_string(),
    )?;

    delete(cx, &services, "empty").await?;
    cx.gone(&endpoints, "empty").await?;
    cx.wait("the Service's EndpointSlices to go", || async {
        let slices = slices_of(cx, "empty").await?;
        Ok(Seen::when(slices.is_empty(), || {
            format!("{} slices", slices.len())
        }))
    })
    .await
}

/// Whether a slice holds this address and the port 80, and nothing else.
fn mirrors(slice: &Value, address: &str) -> bool {
    let count = |list: &Value| list.as_array().map(Vec::len);
    count(&slice["ports"]) == Some(1)
        && slice["ports"][0]["port"] == 80
        && count(&slice["endpoints"]) == Some(1)
        && slice["endpoints"][0]["addresses"] == json!([address])
}

async fn mirrored(cx: &CheckContext) -> CheckResult {
    let (services, endpoints) = (
        cx.collection(SERVICES).await?,
        cx.collection(ENDPOINTS).await?,
    );
    create(
        cx,
        &services,
        json!({"metadata": {"name": "custom"}, "spec": {"ports": [{"name": "http", "port": 80}]}}),
    )
    .await?;
    create(
        cx,
        &endpoints,
        json!({"metadata": {"name": "custom"}, "subsets": subset("10.1.2.3", "http", 80)}),
    )
    .await?;
    let made = cx
        .wait(
            "an EndpointSlice that mirrors the new Endpoints",
            || async {
                let slices = slices_of(cx, "custom").await?;
                Ok(if slices.is_empty() {
                    Seen::Not("none".to_owned())
                } else {
                    Seen::Done(slices)
                })
            },
        )
        .await?;
    // A controller that does not see its own slice yet may make another; each must be right from the first.
    for slice in &made {
        cx.expect(
            "10.1.2.3 alone, with port 80, in each slice",
            mirrors(slice, "10.1.2.3"),
            || slice.to_string(),
        )?;
    }
    update(cx, &endpoints, "custom", |object| {
        object["subsets"] = subset("10.2.3.4", "http", 80)
    })
    .await?;
    let what = "one EndpointSlice, with 10.2.3.4 and port 80";
    cx.wait(what, || async {
        let slices = slices_of(cx, "custom").await?;
        let seen = slices.len() == 1 && mirrors(&slices[0], "10.2.3.4");
        Ok(Seen::when(seen, || json!(slices).to_string()))
    })
    .await?;
    delete(cx, &endpoints, "custom").await?;
    cx.wait("the mirrored EndpointSlice to go", || async {
        let slices = slices_of(cx, "custom").await?;
        Ok(Seen::when(slices.is_empty(), || {
            format!("{} slices", slices.len())
        }))
    })
    .await
}
