//! What lies between an API server and the server of an aggregated group: the front proxy's certificate, and a Service.

use std::net::SocketAddr;

use harness::api::Collection;
use harness::check::{CheckContext, CheckFault, CheckResult, Requirement};
use serde_json::{Value, json};

use crate::conformance::kinds::{CONFIG_MAPS, ENDPOINT_SLICES, ENDPOINTS};
use crate::conformance::steps::read;

/// The Service by which the group's server is found.
pub(crate) const SERVICE: &str = "flunders";

/// What a cluster tells servers of aggregated groups about its front proxy.
pub(crate) struct FrontProxy {
    pub(crate) authority: String,
    /// Common names that its certificate may have; any where there is none.
    pub(crate) names: Vec<String>,
}

pub(crate) async fn front_proxy(cx: &CheckContext) -> CheckResult<FrontProxy> {
    let maps = Collection::new(cx.api(), CONFIG_MAPS, Some("kube-system"));
    let map = read(cx, &maps, "extension-apiserver-authentication").await?;
    let what = "ConfigMap extension-apiserver-authentication";
    let authority = cx.text(what, &map, "/data/requestheader-client-ca-file")?;
    // Without the key, as with an empty list, any name may be.
    let names = match &map["data"]["requestheader-allowed-names"] {
        Value::Null => Vec::new(),
        told => told
            .as_str()
            .and_then(|text| serde_json::from_str(text).ok())
            .ok_or_else(|| {
                CheckFault::Failed(format!(
                    "{what}: expected requestheader-allowed-names to be a list of names; seen: {told}"
                ))
            })?,
    };
    for (key, header) in [
        ("requestheader-username-headers", "X-Remote-User"),
        ("requestheader-group-headers", "X-Remote-Group"),
    ] {
        let told = cx.text(what, &map, &format!("/data/{key}"))?;
        let listed = told
            .to_ascii_lowercase()
            .contains(&header.to_ascii_lowercase());
        cx.expect(&format!("{key} to name {header}"), listed, || {
            told.to_owned()
        })?;
    }
    Ok(FrontProxy {
        authority: authority.to_owned(),
        names,
    })
}

/// Makes what the check needs and is not about.
pub(crate) async fn scaffold(collection: &Collection, object: Value) -> CheckResult {
    let answer = collection.create(object).await?;
    if answer.status == 201 {
        return Ok(());
    }
    Err(CheckFault::Errored(format!(
        "failed to make what the aggregator is to find its server by: {}",
        answer.summary()
    )))
}

/// A Service whose endpoints are set by hand, in both forms: which one counts depends on the server's version.
pub(crate) async fn with_endpoints(
    cx: &CheckContext,
    services: &Collection,
    namespace: &str,
    address: SocketAddr,
) -> CheckResult {
    let (ip, port) = (address.ip().to_string(), address.port());
    let ports = json!([{"name": "https", "port": port, "protocol": "TCP"}]);
    let service = json!({"metadata": {"name": SERVICE}, "spec": {"ports": ports}});
    scaffold(services, service).await?;
    let endpoints = Collection::new(&cx.api().clean(), ENDPOINTS, Some(namespace));
    let object = json!({"metadata": {"name": SERVICE}, "subsets": [{"addresses": [{"ip": ip}], "ports": ports}]});
    scaffold(&endpoints, object).await?;
    let served = Requirement::Resource("discovery.k8s.io/v1", "endpointslices");
    if !cx.offer().meets(served) {
        return Ok(());
    }
    let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
    let slices = Collection::new(&cx.api().clean(), ENDPOINT_SLICES, Some(namespace));
    let object = json!({"metadata": {"name": SERVICE, "labels": {"kubernetes.io/service-name": SERVICE}},
        "addressType": family, "endpoints": [{"addresses": [ip]}], "ports": ports});
    scaffold(&slices, object).await
}
