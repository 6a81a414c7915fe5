//! Aggregated discovery: every group, version and resource in two answers.
//!
//! Upstream asks once with one media type and once through a client that names every form it understands; the two are
//! restated as the two `Accept` headers.

use harness::api::Request;
use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, CheckContext, CheckFault, CheckResult, Requirement};
use serde_json::{Value, json};

use super::custom::Custom;
use super::discovery::UPSTREAM;
use super::steps::delete;

/// The one form.
const ONLY: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// What client-go sends: the form, its predecessor, and the plain one.
const CHAIN: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
const NEEDS: &[Requirement] = &[
    Requirement::Since(30),
    Requirement::Behaviour("aggregated-discovery"),
];
const KILLS: &[Mutant] = &[
    mutant::AGGREGATED_NOT_HONOURED,
    mutant::AGGREGATED_RESOURCES_MISSING,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "aggregated/accept-header-is-honoured",
        title: "/api and /apis answer the aggregated form to its media type, with every built-in group, version and resource.",
        official: &[
            "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery endpoint Accept headers",
        ],
        requires: NEEDS,
        kills: KILLS,
        run: |cx| Box::pin(built_in(cx, ONLY)),
        ..Check::BASE
    },
    Check {
        id: "aggregated/clients-are-answered",
        title: "A client that names every form gets the aggregated one, and it tells the same resources as plain discovery.",
        official: &[
            "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface",
        ],
        requires: NEEDS,
        kills: &[
            mutant::AGGREGATED_NOT_HONOURED,
            mutant::AGGREGATED_RESOURCES_MISSING,
            mutant::RESOURCES_MISSING,
        ],
        run: |cx| Box::pin(client(cx)),
        ..Check::BASE
    },
    // Both official tests differ in the header only; one definition serves both.
    Check {
        id: "aggregated/custom-resources-are-listed",
        title: "A custom resource appears in aggregated discovery when it is defined and goes with its definition.",
        official: &[
            "[sig-api-machinery] AggregatedDiscovery should support raw aggregated discovery request for CRDs",
            "[sig-api-machinery] AggregatedDiscovery should support aggregated discovery interface for CRDs",
        ],
        requires: &[
            Requirement::Since(30),
            Requirement::Behaviour("aggregated-discovery"),
            Requirement::Resource("apiextensions.k8s.io/v1", "customresourcedefinitions"),
        ],
        kills: &[
            mutant::AGGREGATED_NOT_HONOURED,
            mutant::AGGREGATED_RESOURCES_MISSING,
            mutant::AGGREGATED_STALE,
        ],
        run: |cx| Box::pin(custom(cx)),
        ..Check::BASE
    },
];

/// The groups of `/api` or `/apis` in the aggregated form.
async fn groups(cx: &CheckContext, path: &str, accept: &str) -> CheckResult<Vec<Value>> {
    let answer = cx.api().send(Request::get(path).accept(accept)).await?;
    let media = answer.header("content-type").to_owned();
    let list = cx.status(path, 200, answer)?;
    let told = (
        list["kind"].as_str().unwrap_or_default(),
        list["apiVersion"].as_str().unwrap_or_default(),
    );
    cx.expect_eq(
        &format!("kind and apiVersion of {path}"),
        ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2"),
        told,
    )?;
    cx.expect(
        &format!("the media type of {path} to name the aggregated form"),
        media.contains("as=APIGroupDiscoveryList"),
        || media.clone(),
    )?;
    match list["items"].as_array() {
        Some(items) => Ok(items.clone()),
        None => Err(CheckFault::Failed(format!(
            "{path}: expected items; seen: {list}"
        ))),
    }
}

/// One version's resources; `None` where the version is not listed.
fn resources<'g>(groups: &'g [Value], group_version: &str) -> Option<Vec<&'g Value>> {
    let (group, version) = group_version.split_once('/').unwrap_or(("", group_version));
    let group = groups
        .iter()
        .find(|one| one["metadata"]["name"].as_str().unwrap_or_default() == group)?;
    let versions = group["versions"].as_array()?;
    let version = versions.iter().find(|one| one["version"] == version)?;
    Some(
        version["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .collect(),
    )
}

fn lists(groups: &[Value], group_version: &str, plural: &str) -> bool {
    resources(groups, group_version)
        .is_some_and(|all| all.iter().any(|one| one["resource"] == plural))
}

async fn built_in(cx: &CheckContext, accept: &str) -> CheckResult {
    let (core, named) = (
        groups(cx, "/api", accept).await?,
        groups(cx, "/apis", accept).await?,
    );
    for (group_version, plural) in UPSTREAM {
        let all = if group_version.contains('/') {
            &named
        } else {
            &core
        };
        cx.expect(
            &format!("aggregated discovery to list {plural} of {group_version}"),
            lists(all, group_version, plural),
            || format!("{:?}", resources(all, group_version).map(|all| all.len())),
        )?;
    }
    Ok(())
}

async fn client(cx: &CheckContext) -> CheckResult {
    built_in(cx, CHAIN).await?;
    let mut all = groups(cx, "/api", CHAIN).await?;
    all.extend(groups(cx, "/apis", CHAIN).await?);
    for (group_version, _) in UPSTREAM {
        let root = if group_version.contains('/') {
            "/apis"
        } else {
            "/api"
        };
        let path = format!("{root}/{group_version}");
        let plain = cx.status(&path, 200, cx.api().get(&path).await?)?;
        let told = plain["resources"].as_array().into_iter().flatten();
        let mut told = told
            .filter_map(|entry| entry["name"].as_str())
            .map(str::to_owned)
            .collect::<Vec<_>>();
        told.sort();
        let mut aggregated = Vec::new();
        for entry in resources(&all, group_version).unwrap_or_default() {
            let name = entry["resource"].as_str().unwrap_or_default();
            aggregated.push(name.to_owned());
            let parts = entry["subresources"].as_array().into_iter().flatten();
            aggregated.extend(
                parts
                    .filter_map(|part| part["subresource"].as_str())
                    .map(|part| format!("{name}/{part}")),
            );
        }
        aggregated.sort();
        cx.expect_eq(
            &format!("resources of {group_version} in aggregated discovery"),
            told,
            aggregated,
        )?;
    }
    Ok(())
}

async fn custom(cx: &CheckContext) -> CheckResult {
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let custom = Custom::new("listed", vec![("v1", schema)]);
    let group_version = custom.api_version("v1");
    for accept in [ONLY, CHAIN] {
        let before = groups(cx, "/apis", accept).await?;
        cx.expect(
            &format!("no {group_version} before it is defined"),
            resources(&before, &group_version).is_none(),
            || "it is listed".to_owned(),
        )?;
    }
    let all = custom.define(cx).await?;
    for accept in [ONLY, CHAIN] {
        let what = format!("aggregated discovery to list {}", custom.name());
        cx.wait(&what, || async {
            let groups = groups(cx, "/apis", accept).await?;
            let entry = resources(&groups, &group_version)
                .into_iter()
                .flatten()
                .find(|one| one["resource"] == custom.plural);
            let Some(entry) = entry else {
                return Ok(Seen::Not(format!("{} groups without it", groups.len())));
            };
            let kind = json!({"scope": "Namespaced", "singularResource": custom.kind, "responseKind": {"kind": custom.kind}});
            cx.contains("the entry", &kind, entry)?;
            Ok(Seen::Done(()))
        })
        .await?;
    }
    delete(cx, &all, &custom.name()).await?;
    for accept in [ONLY, CHAIN] {
        cx.wait("aggregated discovery to list it no longer", || async {
            let groups = groups(cx, "/apis", accept).await?;
            let left = resources(&groups, &group_version);
            Ok(Seen::when(left.is_none(), || "it is listed".to_owned()))
        })
        .await?;
    }
    Ok(())
}
