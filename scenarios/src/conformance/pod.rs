//! Pods as data, which no kubelet runs: what the API server itself adds and refuses. And the classes of their priority.

use harness::api::PatchKind;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement, name};
use serde_json::{Value, json};

use super::kinds::{PRIORITY_CLASSES, SERVICE_ACCOUNTS};
use super::steps::{create, delete, newer, pod_spec, read, update};

const ADMISSION: &[Requirement] = &[
    Requirement::Resource("v1", "pods"),
    Requirement::Behaviour("pod-admission"),
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "pod/equal-requests-and-limits-are-guaranteed",
        title: "A pod whose requests equal its limits is of the QoS class Guaranteed from its creation.",
        official: &[
            "[sig-node] Pods Extended Pods Set QOS Class should be set on Pods with matching resource requests and limits for memory and cpu",
        ],
        requires: ADMISSION,
        kills: &[mutant::STATUS_MISSING, mutant::CREATE_NOT_STORED],
        run: |cx| Box::pin(guaranteed(cx)),
        ..Check::BASE
    },
    Check {
        id: "pod/invalid-sysctls-are-refused",
        title: "A pod with malformed sysctl names is refused, and the refusal names each of them and no valid one.",
        official: &["[sig-node] Sysctls should reject invalid sysctls"],
        requires: &[
            Requirement::Resource("v1", "pods"),
            Requirement::Behaviour("pod-validation"),
        ],
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(sysctls(cx)),
        ..Check::BASE
    },
    Check {
        id: "pod/token-is-mounted-unless-opted-out",
        title: "The token volume is in a pod exactly where pod and ServiceAccount together say so: nine combinations.",
        official: &["[sig-auth] ServiceAccounts should allow opting out of API token automount"],
        requires: &[
            Requirement::Resource("v1", "pods"),
            Requirement::Behaviour("token-mounts"),
        ],
        kills: &[mutant::SPEC_LOST, mutant::CREATE_NOT_STORED],
        run: |cx| Box::pin(automount(cx)),
        ..Check::BASE
    },
    Check {
        id: "pod/priority-class-value-is-for-ever",
        title: "A PriorityClass's description is patched and updated; a change of its value is refused.",
        official: &[
            "[sig-scheduling] SchedulerPreemption PriorityClass endpoints verify PriorityClass endpoints can be operated with different HTTP methods",
        ],
        requires: &[
            Requirement::Resource("scheduling.k8s.io/v1", "priorityclasses"),
            Requirement::Behaviour("validation"),
            Requirement::Behaviour("strategic-merge"),
        ],
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::LIST_LOSES_ITEM,
            mutant::STALE_READ,
            mutant::DELETE_IGNORED,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(priority_class(cx)),
        ..Check::BASE
    },
];

async fn guaranteed(cx: &CheckContext) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let amounts = json!({"cpu": "100m", "memory": "100Mi"});
    for (name, resources, class) in [
        (
            "equal",
            json!({"requests": amounts, "limits": amounts}),
            "Guaranteed",
        ),
        (
            "less",
            json!({"requests": {"cpu": "50m"}, "limits": amounts}),
            "Burstable",
        ),
        ("none", json!({}), "BestEffort"),
    ] {
        let mut spec = pod_spec();
        spec["containers"][0]["resources"] = resources;
        create(cx, &pods, json!({"metadata": {"name": name}, "spec": spec})).await?;
        let stored = read(cx, &pods, name).await?;
        cx.expect_eq(
            &format!("QoS class of {name}"),
            class,
            stored["status"]["qosClass"].as_str().unwrap_or_default(),
        )?;
    }
    Ok(())
}

async fn sysctls(cx: &CheckContext) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let (bad, good) = (["foo-", "bar.."], ["kernel.shmmax", "safe-and-unsafe"]);
    let mut spec = pod_spec();
    let entries = bad
        .iter()
        .chain(&good)
        .map(|name| json!({"name": name, "value": "42"}))
        .collect::<Vec<Value>>();
    spec["securityContext"] = json!({"sysctls": entries});
    let answer = pods
        .create(json!({"metadata": {"name": "pod"}, "spec": spec}))
        .await?;
    cx.refused("a pod with malformed sysctls", 422, "Invalid", &answer)?;
    for name in bad {
        cx.expect(
            &format!("the refusal to name {name}"),
            answer
                .message()
                .contains(&format!("Invalid value: \"{name}\"")),
            || answer.message().to_owned(),
        )?;
    }
    for name in good {
        cx.expect(
            &format!("the refusal not to name {name}, which is well formed"),
            !answer.message().contains(name),
            || answer.message().to_owned(),
        )?;
    }
    cx.only("pods", &[], pods.list(&[]).await?)
}

/// The account's admission plugin needs a Secret of the account on old servers, which a controller makes: hence the wait.
async fn automount(cx: &CheckContext) -> CheckResult {
    let (accounts, pods) = (
        cx.collection(SERVICE_ACCOUNTS).await?,
        super::steps::pods(cx).await?,
    );
    // The account `default` is the namespace's own, which says nothing of it.
    let choices = [
        ("default", None),
        ("mount", Some(true)),
        ("nomount", Some(false)),
    ];
    for (name, choice) in &choices[1..] {
        let account = json!({"metadata": {"name": name}, "automountServiceAccountToken": choice});
        create(cx, &accounts, account).await?;
    }
    for (account, of_account) in choices {
        for (own, of_pod) in choices {
            let name = format!("pod-{account}-{own}");
            let mut spec = pod_spec();
            spec["serviceAccountName"] = json!(account);
            if let Some(choice) = of_pod {
                spec["automountServiceAccountToken"] = json!(choice);
            }
            let body = &json!({"metadata": {"name": name}, "spec": spec});
            let pods = &pods;
            cx.wait(&format!("{name} to be admitted"), || async move {
                let answer = pods.create(body.clone()).await?;
                Ok(harness::api::deadline::Seen::when(
                    answer.status == 201,
                    || answer.summary(),
                ))
            })
            .await?;
            let stored = read(cx, pods, &name).await?;
            let container = stored["spec"]["containers"][0].clone();
            cx.expect_eq(
                "the container",
                "main",
                container["name"].as_str().unwrap_or_default(),
            )?;
            let mounts = container["volumeMounts"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let mounted = mounts
                .iter()
                .any(|mount| mount["mountPath"] == "/var/run/secrets/kubernetes.io/serviceaccount");
            cx.expect_eq(
                &format!("token mounted in {name}"),
                of_pod.or(of_account).unwrap_or(true),
                mounted,
            )?;
        }
    }
    Ok(())
}

/// Each way of changing each class: what changes its value is refused, and its description may change.
async fn priority_class(cx: &CheckContext) -> CheckResult {
    let (all, pair) = (cx.collection(PRIORITY_CLASSES).await?, unique("pair"));
    let mut made = Vec::new();
    for value in [1, 2] {
        let metadata = json!({"name": unique("class"), "labels": {"pair": pair}});
        made.push(create(cx, &all, json!({"metadata": metadata, "value": value})).await?);
    }
    for class in &made {
        let name = name(class);
        let tenfold = json!(class["value"].as_i64().unwrap_or_default() * 10);
        for value in [&tenfold, &json!(0)] {
            let patch = json!({"value": value});
            let answer = all.patch(name, PatchKind::Merge, patch).await?;
            cx.refused("a patch of the value", 422, "Invalid", &answer)?;
        }
        let mut wanted = class.clone();
        wanted["value"] = tenfold;
        let answer = all.replace(name, wanted).await?;
        cx.refused("an update of the value", 422, "Invalid", &answer)?;

        let patch = json!({"description": "patched"});
        let answer = all.patch(name, PatchKind::Strategic, patch).await?;
        cx.status("patch of the description", 200, answer)?;
        let patched = read(cx, &all, name).await?;
        let expected = json!({"description": "patched", "value": class["value"]});
        cx.contains("the patched class", &expected, &patched)?;
        newer(cx, "the patched class", class, &patched)?;
        update(cx, &all, name, |object| {
            object["description"] = json!("updated")
        })
        .await?;
        let updated = read(cx, &all, name).await?;
        let expected = json!({"description": "updated", "value": class["value"]});
        cx.contains("the updated class", &expected, &updated)?;
        newer(cx, "the updated class", &patched, &updated)?;
    }
    let names = made.iter().map(name).collect::<Vec<_>>();
    cx.only(
        "list",
        &names,
        all.list(&[("labelSelector", &format!("pair={pair}"))])
            .await?,
    )?;
    delete(cx, &all, names[0]).await
}
