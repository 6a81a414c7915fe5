//! Webhooks of admission: what they deny and what they change.

use std::time::Duration;

use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::api::{Collection, PatchKind};
use harness::callback::Verdict;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::admitting::{CALLED, MUTATING, Rule, Scope, VALIDATING, adding, denied, refusing};
use super::kinds::CONFIG_MAPS;
use super::steps::{create, delete, pod_spec, pods, read};

const PODS_TOO: &[Requirement] = &[
    Requirement::WEBHOOKS,
    Requirement::Callback,
    Requirement::Resource("v1", "pods"),
];
const CONDITIONS: &[Requirement] = &[
    Requirement::WEBHOOKS,
    Requirement::Callback,
    Requirement::Since(28),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "webhook/denies-pods-and-configmaps",
        title: "A webhook denies creation, update and patch with its own message, a hanging one denies by its timeout, and an exempt namespace is not asked about.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should be able to deny pod and configmap creation",
        ],
        requires: PODS_TOO,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::WEBHOOK_FAILURE_ADMITS,
            mutant::WEBHOOK_FAILURE_REFUSES,
            mutant::WEBHOOK_EXEMPTION_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::ERROR_WRONG_REASON,
        ],
        run: |cx| Box::pin(denies(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhook/honours-its-timeout",
        title: "A webhook that is slower than its timeout fails the request or is passed over, as its policy says; one that is faster is awaited, by default for 10 s.",
        official: &["[sig-api-machinery] AdmissionWebhook should honor timeout"],
        requires: CALLED,
        kills: &[
            mutant::WEBHOOK_TIMEOUT_IGNORED,
            mutant::WEBHOOK_TIMEOUT_CUT,
            mutant::WEBHOOK_FAILURE_ADMITS,
            mutant::WEBHOOK_FAILURE_REFUSES,
            mutant::WEBHOOK_NOT_CALLED,
        ],
        run: |cx| Box::pin(timeout(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhook/mutates-in-order",
        title: "Two mutating webhooks change a ConfigMap one after the other, the second on the first one's result, and that is stored.",
        official: &["[sig-api-machinery] AdmissionWebhook should mutate configmap"],
        requires: CALLED,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::WEBHOOKS_OUT_OF_ORDER,
            mutant::CREATE_NOT_STORED,
            mutant::DATA_LOST,
        ],
        run: |cx| Box::pin(ordered(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhook/mutated-pods-are-defaulted",
        title: "An init container that a webhook adds to a pod gets the API's defaults.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should mutate pod and apply defaults after mutation",
        ],
        requires: PODS_TOO,
        kills: &[
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
            mutant::SPEC_LOST,
            mutant::WEBHOOK_PATCH_NOT_DEFAULTED,
        ],
        run: |cx| Box::pin(defaulted(cx)),
        ..Check::BASE
    },
    Check {
        id: "webhook/match-conditions-exempt-objects",
        title: "A webhook whose condition excludes one name mutates every other ConfigMap and not that one.",
        official: &[
            "[sig-api-machinery] AdmissionWebhook should mutate everything except 'skip-me' configmaps",
        ],
        requires: CONDITIONS,
        kills: &[
            mutant::MATCH_CONDITIONS_IGNORED,
            mutant::WEBHOOK_NOT_CALLED,
            mutant::WEBHOOK_ANSWER_IGNORED,
        ],
        run: |cx| Box::pin(skips(cx)),
        ..Check::BASE
    },
];

const UNWANTED: &str = "the ConfigMap holds what is not wanted";

async fn denies(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/maps", refusing(UNWANTED));
    server.admit("/pods", |request| {
        let pod = &request["object"];
        match pod["spec"]["containers"][0]["name"].as_str() {
            Some("refuse") if pod["metadata"]["labels"]["unwanted"] == "yes" => {
                Verdict::Deny("neither the container's name nor the label is wanted".to_owned())
            }
            _ => Verdict::Allow,
        }
    });
    let changes = Rule {
        operations: &["CREATE", "UPDATE", "DELETE"],
        ..Rule::CONFIG_MAPS
    };
    let created = Rule {
        resource: "pods",
        ..Rule::CONFIG_MAPS
    };
    let mut of_maps = scope.webhook("maps", server.client_config("/maps"), &changes);
    of_maps["namespaceSelector"]["matchExpressions"] =
        json!([{"key": "exempt", "operator": "NotIn", "values": ["yes"]}]);
    let of_pods = scope.webhook("pods", server.client_config("/pods"), &created);
    // The least timeout there is, for the pod that is to wait it out and for no other: a slow host must not fail them.
    server.admit("/hang", |_| Verdict::Hang);
    let mut hanging = scope.webhook("hang", server.client_config("/hang"), &created);
    hanging["objectSelector"] = json!({"matchLabels": {"case": "hang"}});
    hanging["timeoutSeconds"] = json!(1);
    // One that cannot be called, for its server shows no certificate that is trusted, and need not be.
    let mut open = scope.webhook("open", server.client_config("/maps"), &Rule::CONFIG_MAPS);
    open["clientConfig"] = json!({"url": open["clientConfig"]["url"]});
    open["failurePolicy"] = json!("Ignore");
    scope
        .register(
            cx,
            VALIDATING,
            &unique("denies"),
            vec![of_maps, of_pods, hanging, open],
        )
        .await?;
    pods_are_denied(cx).await?;

    let maps = cx.collection(CONFIG_MAPS).await?;
    let refused = json!({"metadata": {"name": "refused"}, "data": {"unwanted": "refuse"}});
    let answer = maps.create(refused.clone()).await?;
    denied(cx, "creation of a ConfigMap", "maps", UNWANTED, &answer)?;
    let absent = maps.get("refused").await?;
    cx.refused("get of what was denied", 404, "NotFound", &absent)?;

    let allowed = json!({"metadata": {"name": "allowed"}, "data": {"wanted": "yes"}});
    let mut object = create(cx, &maps, allowed).await?;
    object["data"]["unwanted"] = json!("refuse");
    let answer = maps.replace("allowed", object).await?;
    denied(cx, "update of a ConfigMap", "maps", UNWANTED, &answer)?;
    let patch = json!({"data": {"unwanted": "refuse"}});
    let answer = maps.patch("allowed", PatchKind::Strategic, patch).await?;
    denied(cx, "patch of a ConfigMap", "maps", UNWANTED, &answer)?;
    let stored = read(cx, &maps, "allowed").await?;
    cx.expect_eq(
        "what the denied changes left",
        json!({"wanted": "yes"}),
        stored["data"].clone(),
    )?;

    let exempt = cx.another_namespace().await?;
    scope.extend(cx, &exempt, json!({"exempt": "yes"})).await?;
    let elsewhere = Collection::new(cx.api(), CONFIG_MAPS, Some(&exempt));
    create(cx, &elsewhere, refused).await.map(drop)
}

async fn pods_are_denied(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let pod = |container: &str| {
        let mut spec = pod_spec();
        spec["containers"][0]["name"] = json!(container);
        json!({"metadata": {"name": container, "labels": {"unwanted": "yes", "case": container}}, "spec": spec})
    };
    let answer = pods.create(pod("refuse")).await?;
    let message = "neither the container's name nor the label is wanted";
    denied(cx, "creation of a pod", "pods", message, &answer)?;

    let answer = pods.create(pod("hang")).await?;
    cx.refused(
        "creation while the webhook hangs",
        500,
        "InternalError",
        &answer,
    )?;
    for part in ["hang.assay.dev", "deadline"] {
        cx.expect(
            &format!("the refusal to name {part}"),
            answer.message().contains(part),
            || answer.message().to_owned(),
        )?;
    }
    let absent = pods.get("hang").await?;
    cx.refused("get of the pod that hung", 404, "NotFound", &absent)?;
    create(cx, &pods, pod("wanted")).await.map(drop)
}

/// How long the slow webhook takes: between the timeouts of 1 s and 10 s.
const SLOW: Duration = Duration::from_secs(5);

async fn timeout(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit_after("/slow", SLOW, |_| Verdict::Allow);
    let maps = cx.collection(CONFIG_MAPS).await?;
    // One configuration a case, each for its own objects, so that all the cases wait at once.
    let case = async |name: &'static str, policy: &'static str, seconds: Option<u64>| {
        let mut slow = scope.webhook("slow", server.client_config("/slow"), &Rule::CONFIG_MAPS);
        slow["objectSelector"] = json!({"matchLabels": {"case": name}});
        slow["failurePolicy"] = json!(policy);
        if let Some(seconds) = seconds {
            slow["timeoutSeconds"] = json!(seconds);
        }
        let configuration = unique(name);
        let made = scope
            .register(cx, VALIDATING, &configuration, vec![slow])
            .await?;
        if seconds.is_none() {
            cx.expect_eq(
                "default timeout",
                json!(10),
                made["webhooks"][0]["timeoutSeconds"].clone(),
            )?;
        }
        CheckResult::Ok((
            maps.create(json!({"metadata": {"name": name, "labels": {"case": name}}}))
                .await?,
            name,
        ))
    };
    let (early, passed, awaited, by_default) = tokio::try_join!(
        case("early", "Fail", Some(1)),
        case("passed", "Ignore", Some(1)),
        case("awaited", "Fail", Some(10)),
        case("by-default", "Fail", None),
    )?;
    let (early, _) = early;
    cx.refused(
        "a timeout shorter than the webhook takes",
        500,
        "InternalError",
        &early,
    )?;
    let late = early.message().contains("deadline exceeded") || early.message().contains("imeout");
    cx.expect(
        "the refusal to tell of a timeout in the call of /slow?timeout=1s",
        late && early.message().contains("/slow?timeout=1s"),
        || early.message().to_owned(),
    )?;
    for (answer, name) in [passed, awaited, by_default] {
        cx.status(&format!("creation in the case {name}"), 201, answer)?;
        delete(cx, &maps, name).await?;
    }
    let calls = server.calls("/slow").len();
    cx.expect(
        "each of four requests to reach the webhook",
        calls >= 4,
        || calls.to_string(),
    )
}

async fn ordered(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/one", adding("start", "one"));
    server.admit("/two", adding("one", "two"));
    let hooks = ["one", "two"].map(|name| {
        let client = server.client_config(&format!("/{name}"));
        scope.webhook(name, client, &Rule::CONFIG_MAPS)
    });
    scope
        .register(cx, MUTATING, &unique("ordered"), hooks.to_vec())
        .await?;
    let maps = cx.collection(CONFIG_MAPS).await?;
    let object = json!({"metadata": {"name": "map"}, "data": {"start": "yes"}});
    let made = create(cx, &maps, object).await?;
    let expected = json!({"start": "yes", "one": "yes", "two": "yes"});
    cx.expect_eq("data as answered", expected.clone(), made["data"].clone())?;
    let stored = read(cx, &maps, "map").await?;
    cx.expect_eq("data as stored", expected, stored["data"].clone())
}

async fn defaulted(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/pods", |_| {
        Verdict::Patch(
            json!([{"op": "add", "path": "/spec/initContainers", "value": [
            {"name": "added", "image": "registry.invalid/assay:none"}]}]),
        )
    });
    let rule = Rule {
        resource: "pods",
        ..Rule::CONFIG_MAPS
    };
    let hook = scope.webhook("pods", server.client_config("/pods"), &rule);
    scope
        .register(cx, MUTATING, &unique("defaulted"), vec![hook])
        .await?;
    let pods = pods(cx).await?;
    let object = json!({"metadata": {"name": "pod"}, "spec": pod_spec()});
    let made = create(cx, &pods, object).await?;
    let expected = json!([{
        "name": "added", "image": "registry.invalid/assay:none",
        "terminationMessagePolicy": "File", "terminationMessagePath": "/dev/termination-log",
    }]);
    for (what, pod) in [
        ("as answered", &made),
        ("as stored", &read(cx, &pods, "pod").await?),
    ] {
        let what = format!("the init container {what}");
        cx.contains(&what, &expected, &pod["spec"]["initContainers"])?;
    }
    Ok(())
}

async fn skips(cx: &CheckContext) -> CheckResult {
    let (scope, server) = (Scope::own(cx).await?, cx.callback().await?);
    server.admit("/one", adding("start", "one"));
    let mut hook = scope.webhook("one", server.client_config("/one"), &Rule::CONFIG_MAPS);
    hook["matchConditions"] =
        json!([{"name": "skip-me", "expression": "object.metadata.name != 'skip-me'"}]);
    scope
        .register(cx, MUTATING, &unique("skips"), vec![hook])
        .await?;
    let maps = cx.collection(CONFIG_MAPS).await?;
    let object = |name: &str| json!({"metadata": {"name": name}, "data": {"start": "yes"}});
    let changed = create(cx, &maps, object("any-other")).await?;
    let expected: Value = json!({"start": "yes", "one": "yes"});
    cx.expect_eq("data of any other", expected, changed["data"].clone())?;
    let skipped = create(cx, &maps, object("skip-me")).await?;
    let expected: Value = json!({"start": "yes"});
    cx.expect_eq(
        "data of the one excluded",
        expected,
        skipped["data"].clone(),
    )
}
