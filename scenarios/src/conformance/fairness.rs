//! API Priority and Fairness: each answer names the FlowSchema and the priority level under which it was served. Upstream's
//! conformance tests see to the two resources, and not to what they do.

use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, Request, Resource, Response};
use harness::check::{Check, CheckContext, CheckFault, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::steps::create;

const NEEDS: &[Requirement] = &[Requirement::Behaviour("priority-and-fairness")];
const FLOW: &str = "x-kubernetes-pf-flowschema-uid";
const LEVEL: &str = "x-kubernetes-pf-prioritylevel-uid";

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "fairness/answers-name-flow-and-level",
        title: "An answer names an existing FlowSchema and the priority level that this FlowSchema gives.",
        requires: NEEDS,
        kills: &[
            mutant::FLOW_HEADERS_MISSING,
            mutant::FLOW_HEADERS_WRONG,
            mutant::FLOW_LEVEL_OF_ANOTHER,
        ],
        run: |cx| Box::pin(named(cx)),
        ..Check::BASE
    },
    Check {
        id: "fairness/flowschemas-take-effect",
        title: "A new FlowSchema takes the requests of its user, as their answers say, until it is deleted.",
        requires: NEEDS,
        kills: &[
            mutant::FLOW_HEADERS_MISSING,
            mutant::FLOW_HEADERS_WRONG,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(effect(cx)),
        ..Check::BASE
    },
];

/// The versions of the group, newest first.
const FLOWS: [Resource; 5] = [
    flows("flowcontrol.apiserver.k8s.io/v1"),
    flows("flowcontrol.apiserver.k8s.io/v1beta3"),
    flows("flowcontrol.apiserver.k8s.io/v1beta2"),
    flows("flowcontrol.apiserver.k8s.io/v1beta1"),
    flows("flowcontrol.apiserver.k8s.io/v1alpha1"),
];

const fn flows(group_version: &'static str) -> Resource {
    Resource::cluster(group_version, "flowschemas", "FlowSchema")
}

/// FlowSchemas and priority levels in the newest version that is served.
fn served(cx: &CheckContext) -> CheckResult<(Collection, Collection)> {
    let offered = FLOWS.into_iter().find(|one| {
        cx.offer()
            .meets(Requirement::Resource(one.group_version, one.plural))
    });
    let Some(flows) = offered else {
        let any = FLOWS.map(|one| Requirement::Resource(one.group_version, one.plural));
        if let Some(unknown) = cx.offer().unknown(&any) {
            return Err(CheckFault::Errored(unknown));
        }
        return Err(CheckFault::Skipped(
            "the server does not offer: resource flowschemas".to_owned(),
        ));
    };
    let levels = Resource {
        plural: "prioritylevelconfigurations",
        kind: "PriorityLevelConfiguration",
        ..flows
    };
    Ok((cx.everywhere(flows), cx.everywhere(levels)))
}

/// The object whose uid a header tells.
async fn by_uid(
    cx: &CheckContext,
    all: &Collection,
    header: &str,
    answer: &Response,
) -> CheckResult<Value> {
    let uid = answer.header(header).to_owned();
    cx.expect(&format!("the header {header}"), !uid.is_empty(), || {
        "no such header".to_owned()
    })?;
    let items = cx.items(all.path(), all.list(&[]).await?)?;
    let found = items.into_iter().find(|one| one["metadata"]["uid"] == uid);
    found.ok_or_else(|| {
        CheckFault::Failed(format!(
            "{header}: expected the uid of an object of {}; seen: {uid}",
            all.path()
        ))
    })
}

async fn named(cx: &CheckContext) -> CheckResult {
    let (flows, levels) = served(cx)?;
    let path = format!("/api/v1/namespaces/{}/configmaps", cx.namespace().await?);
    // With a single level any header would be right.
    let known = cx.items(levels.path(), levels.list(&[]).await?)?;
    cx.expect("two priority levels at least", known.len() >= 2, || {
        known.len().to_string()
    })?;
    let answer = cx.api().get(&path).await?;
    let flow = by_uid(cx, &flows, FLOW, &answer).await?;
    let level = by_uid(cx, &levels, LEVEL, &answer).await?;
    cx.expect_eq(
        &format!("the priority level of {}", name(&flow)),
        flow["spec"]["priorityLevelConfiguration"]["name"].clone(),
        json!(name(&level)),
    )
}

/// The user need not be allowed anything: requests are queued before they are authorised.
async fn effect(cx: &CheckContext) -> CheckResult {
    let (flows, levels) = served(cx)?;
    let (own, user) = (unique("flow"), unique("user"));
    let made = create(
        cx,
        &flows,
        json!({
            "metadata": {"name": own},
            "spec": {
                "priorityLevelConfiguration": {"name": "catch-all"},
                "matchingPrecedence": 400,
                "rules": [{
                    "subjects": [{"kind": "User", "user": {"name": user}}],
                    "resourceRules": [{
                        "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                        "namespaces": ["*"], "clusterScope": true,
                    }],
                }],
            },
        }),
    )
    .await?;
    let uid = cx.text("the FlowSchema", &made, "/metadata/uid")?;
    let path = format!("/api/v1/namespaces/{}/configmaps", cx.namespace().await?);
    let ask = async || {
        let request = Request::get(&path).header("impersonate-user", &user);
        let answer = cx.api().send(request).await?;
        Ok::<_, CheckFault>(answer)
    };
    let answer = cx
        .wait(
            &format!("a request of {user} to be served under {own}"),
            || async {
                let answer = ask().await?;
                let told = answer.header(FLOW).to_owned();
                Ok(if told == uid {
                    Seen::Done(answer)
                } else {
                    Seen::Not(format!("{FLOW}: {told:?}, status {}", answer.status))
                })
            },
        )
        .await?;
    let level = by_uid(cx, &levels, LEVEL, &answer).await?;
    cx.expect_eq("its priority level", "catch-all", name(&level))?;
    super::steps::delete(cx, &flows, &own).await?;
    cx.wait(&format!("{own} to serve requests no longer"), || async {
        let told = ask().await?.header(FLOW).to_owned();
        Ok(Seen::when(told != uid && !told.is_empty(), || told.clone()))
    })
    .await
}
