//! Discovery: groups, versions and resources.

use harness::api::mutant::families as mutant;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::Value;

use super::kinds::CRDS;
use super::walk::discovered;

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "discovery/preferred-version-is-listed",
        title: "Each API group prefers a version that it lists.",
        official: &[
            "[sig-api-machinery] Discovery should validate PreferredVersion for each APIGroup",
        ],
        kills: &[mutant::GROUPS_MISSING, mutant::PREFERRED_VERSION_UNLISTED],
        run: |cx| Box::pin(preferred_version(cx)),
        ..Check::BASE
    },
    Check {
        id: "discovery/each-version-lists-resources",
        title: "Each version of each group has a resource list that names itself and holds a usable resource.",
        official: &[
            "[sig-api-machinery] Discovery should locate the groupVersion and a resource within each APIGroup",
        ],
        // Upstream names resources of Kubernetes 1.28, autoscaling/v2 among them; what a smaller server lacks it need not list.
        requires: &[
            Requirement::Resource("v1", "namespaces"),
            Requirement::Resource("autoscaling/v2", "horizontalpodautoscalers"),
        ],
        kills: LISTED_KILLS,
        run: |cx| Box::pin(upstream_resources(cx)),
        ..Check::BASE
    },
    // The part of the above that any server can show: whatever it lists, it must serve.
    Check {
        id: "discovery/what-is-listed-is-served",
        title: "Each listed version has a resource list that names itself; each listable resource in it is served with its kind.",
        kills: &[
            mutant::RESOURCES_MISSING,
            mutant::WRONG_GROUP,
            mutant::GROUPS_MISSING,
            mutant::WRONG_KIND,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(listed_is_served(cx)),
        ..Check::BASE
    },
    Check {
        id: "discovery/lists-custom-resource-definitions",
        title: "apiextensions.k8s.io/v1 is discovered and lists customresourcedefinitions.",
        official: &[
            "[sig-api-machinery] CustomResourceDefinition resources should include custom resource definition resources in discovery documents",
        ],
        requires: &[Requirement::Resource(
            "apiextensions.k8s.io/v1",
            "customresourcedefinitions",
        )],
        kills: LISTED_KILLS,
        run: |cx| Box::pin(discovered(cx, CRDS)),
        ..Check::BASE
    },
    Check {
        id: "discovery/lists-webhook-configurations",
        title: "admissionregistration.k8s.io/v1 is discovered and lists both kinds of webhook configuration.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should include webhook resources in discovery documents",
        ],
        requires: &[
            Requirement::Resource(
                "admissionregistration.k8s.io/v1",
                "mutatingwebhookconfigurations",
            ),
            Requirement::Resource(
                "admissionregistration.k8s.io/v1",
                "validatingwebhookconfigurations",
            ),
        ],
        kills: LISTED_KILLS,
        run: |cx| Box::pin(webhooks(cx)),
        ..Check::BASE
    },
    // No official test of its own: every client relies on it.
    Check {
        id: "discovery/unknown-paths-are-not-found",
        title: "An unknown group, version or resource is 404, and an unknown object of a known resource is NotFound by name.",
        requires: &[Requirement::Resource("v1", "configmaps")],
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(unknown(cx)),
        ..Check::BASE
    },
];

const LISTED_KILLS: &[harness::api::mutant::Mutant] =
    &[mutant::RESOURCES_MISSING, mutant::WRONG_GROUP];

/// One resource of each group version, as upstream has it.
pub(crate) const UPSTREAM: [(&str, &str); 19] = [
    ("v1", "namespaces"),
    (
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
    ),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions"),
    ("apiregistration.k8s.io/v1", "apiservices"),
    ("apps/v1", "deployments"),
    ("authentication.k8s.io/v1", "tokenreviews"),
    ("authorization.k8s.io/v1", "selfsubjectaccessreviews"),
    ("autoscaling/v1", "horizontalpodautoscalers"),
    ("autoscaling/v2", "horizontalpodautoscalers"),
    ("batch/v1", "jobs"),
    ("certificates.k8s.io/v1", "certificatesigningrequests"),
    ("coordination.k8s.io/v1", "leases"),
    ("discovery.k8s.io/v1", "endpointslices"),
    ("events.k8s.io/v1", "events"),
    ("networking.k8s.io/v1", "ingresses"),
    ("node.k8s.io/v1", "runtimeclasses"),
    ("policy/v1", "poddisruptionbudgets"),
    ("scheduling.k8s.io/v1", "priorityclasses"),
    ("storage.k8s.io/v1", "csinodes"),
];

async fn preferred_version(cx: &CheckContext) -> CheckResult {
    for listed in &groups(cx).await? {
        let name = cx.text("an entry of /apis", listed, "/name")?;
        let group = cx.status(name, 200, cx.api().get(&format!("/apis/{name}")).await?)?;
        cx.expect_eq(
            "kind of the group",
            "APIGroup",
            group["kind"].as_str().unwrap_or_default(),
        )?;
        // Both views of a group must agree with themselves.
        for view in [listed, &group] {
            let preferred = cx.text(name, view, "/preferredVersion/groupVersion")?;
            let versions = view["versions"].as_array().cloned().unwrap_or_default();
            let found = versions
                .iter()
                .any(|version| version["groupVersion"] == preferred);
            cx.expect(
                &format!("{name} to list its preferred version {preferred}"),
                found,
                || view.to_string(),
            )?;
        }
    }
    Ok(())
}

async fn groups(cx: &CheckContext) -> CheckResult<Vec<Value>> {
    let list = cx.status("GET /apis", 200, cx.api().get("/apis").await?)?;
    cx.expect_eq(
        "kind of /apis",
        "APIGroupList",
        list["kind"].as_str().unwrap_or_default(),
    )?;
    // Another check's temporary group may vanish while this one looks.
    let groups = list["groups"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|group| !temporary(group))
        .cloned()
        .collect::<Vec<_>>();
    cx.expect("at least one API group", !groups.is_empty(), || {
        list.to_string()
    })?;
    Ok(groups)
}

fn temporary(group: &Value) -> bool {
    group["name"]
        .as_str()
        .is_some_and(|name| name.ends_with(".example.com"))
}

async fn resources(cx: &CheckContext, group_version: &str) -> CheckResult<Vec<Value>> {
    let path = if group_version.contains('/') {
        format!("/apis/{group_version}")
    } else {
        format!("/api/{group_version}")
    };
    let list = cx.status(&path, 200, cx.api().get(&path).await?)?;
    cx.expect_eq(
        &format!("kind of {path}"),
        "APIResourceList",
        list["kind"].as_str().unwrap_or_default(),
    )?;
    cx.expect_eq(
        &format!("groupVersion of {path}"),
        group_version,
        list["groupVersion"].as_str().unwrap_or_default(),
    )?;
    Ok(list["resources"].as_array().cloned().unwrap_or_default())
}

async fn upstream_resources(cx: &CheckContext) -> CheckResult {
    for (group_version, plural) in UPSTREAM {
        let listed = resources(cx, group_version).await?;
        let found = listed.iter().any(|entry| entry["name"] == plural);
        cx.expect(&format!("{group_version} to list {plural}"), found, || {
            format!("{} resources", listed.len())
        })?;
    }
    Ok(())
}

async fn listed_is_served(cx: &CheckContext) -> CheckResult {
    let core = cx.status("GET /api", 200, cx.api().get("/api").await?)?;
    let mut versions = core["versions"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|version| version.as_str().map(str::to_owned))
        .collect::<Vec<_>>();
    cx.expect(
        "v1 among the core versions",
        versions.iter().any(|version| version == "v1"),
        || core.to_string(),
    )?;
    for group in groups(cx).await? {
        versions.extend(
            group["versions"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|version| version["groupVersion"].as_str().map(str::to_owned)),
        );
    }
    for group_version in versions {
        let listed = resources(cx, &group_version).await?;
        let main = listed
            .iter()
            .filter(|entry| {
                entry["name"]
                    .as_str()
                    .is_some_and(|name| !name.contains('/'))
            })
            .collect::<Vec<_>>();
        cx.expect(
            &format!("{group_version} to list a resource"),
            !main.is_empty(),
            || format!("{} subresources only", listed.len()),
        )?;
        for entry in main {
            let name = cx.text("a resource", entry, "/name")?;
            let kind = cx.text("a resource", entry, "/kind")?;
            let listable = entry["verbs"]
                .as_array()
                .into_iter()
                .flatten()
                .any(|verb| verb == "list");
            // componentstatuses asks components that need not be there.
            if !listable || name == "componentstatuses" {
                continue;
            }
            let root = if group_version.contains('/') {
                "/apis"
            } else {
                "/api"
            };
            let path = format!("{root}/{group_version}/{name}");
            let list = cx.status(&path, 200, cx.api().list(&path, &[("limit", "1")]).await?)?;
            cx.expect_eq(
                &format!("kind of {path}"),
                format!("{kind}List"),
                list["kind"].as_str().unwrap_or_default().to_owned(),
            )?;
            cx.expect_eq(
                &format!("apiVersion of {path}"),
                group_version.as_str(),
                list["apiVersion"].as_str().unwrap_or_default(),
            )?;
        }
    }
    // A group that is not listed is not served: otherwise a server that answers everything would pass.
    let answer = cx.api().get("/apis/none.assay.dev/v1").await?;
    cx.expect_eq("status of an unlisted group", 404, answer.status)
}

async fn webhooks(cx: &CheckContext) -> CheckResult {
    for (plural, kind) in [
        (
            "mutatingwebhookconfigurations",
            "MutatingWebhookConfiguration",
        ),
        (
            "validatingwebhookconfigurations",
            "ValidatingWebhookConfiguration",
        ),
    ] {
        discovered(
            cx,
            harness::api::Resource::cluster("admissionregistration.k8s.io/v1", plural, kind),
        )
        .await?;
    }
    Ok(())
}

async fn unknown(cx: &CheckContext) -> CheckResult {
    let namespace = cx.namespace().await?;
    for path in [
        "/apis/none.assay.dev",
        "/apis/none.assay.dev/v1",
        "/api/v0",
        "/api/v1/nones",
        "/none",
    ] {
        cx.expect_eq(
            &format!("status of {path}"),
            404,
            cx.api().get(path).await?.status,
        )?;
    }
    let answer = cx
        .api()
        .get(&format!("/api/v1/namespaces/{namespace}/configmaps/none"))
        .await?;
    cx.refused("an unknown ConfigMap", 404, "NotFound", &answer)?;
    cx.contains(
        "the details",
        &serde_json::json!({"name": "none", "kind": "configmaps"}),
        &answer.body["details"],
    )
}
