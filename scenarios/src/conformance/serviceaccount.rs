//! ServiceAccounts and their tokens.

use harness::api::PatchKind;
use harness::api::deadline::Seen;
use harness::api::mutant::families as mutant;
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::json;

use super::kinds::{CONFIG_MAPS, SERVICE_ACCOUNTS};
use super::steps::{create, newer, read, update};

const SERVED: &[Requirement] = &[Requirement::Resource("v1", "serviceaccounts")];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "serviceaccount/lives-through-its-lifecycle",
        title: "A ServiceAccount is created, patched, listed everywhere and deleted by collection, and a watch sees each.",
        official: &[
            "[sig-auth] ServiceAccounts should run through the lifecycle of a ServiceAccount",
        ],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::LIST_LOSES_ITEM,
            mutant::DROPS_ADDED,
            mutant::DROPS_DELETED,
            mutant::WATCH_STALE_OBJECT,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::UID_CHANGES,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "serviceaccount/update-is-stored",
        title: "automountServiceAccountToken changed by an update is read back.",
        official: &["[sig-auth] ServiceAccounts should update a ServiceAccount"],
        requires: SERVED,
        kills: &[mutant::UPDATE_NOT_APPLIED, mutant::STALE_READ],
        run: |cx| Box::pin(updated(cx)),
        ..Check::BASE
    },
    Check {
        id: "serviceaccount/token-is-reviewed",
        title: "A requested token is authenticated by a TokenReview as its ServiceAccount; a forged one is not.",
        official: &[
            "[sig-auth] ServiceAccounts should create a serviceAccountToken and ensure a successful TokenReview",
        ],
        requires: &[
            Requirement::Resource("v1", "serviceaccounts/token"),
            Requirement::Resource("authentication.k8s.io/v1", "tokenreviews"),
        ],
        kills: &[
            mutant::REVIEW_DENIES,
            mutant::REVIEW_ALLOWS,
            mutant::STATUS_MISSING,
        ],
        run: |cx| Box::pin(token(cx)),
        ..Check::BASE
    },
    Check {
        id: "serviceaccount/root-ca-is-in-every-namespace",
        title: "A new namespace gets the ConfigMap kube-root-ca.crt; deleted it comes back, changed it is set right.",
        official: &[
            "[sig-auth] ServiceAccounts should guarantee kube-root-ca.crt exist in any namespace",
        ],
        requires: &[
            Requirement::Resource("v1", "configmaps"),
            Requirement::Behaviour("root-ca"),
        ],
        kills: &[
            mutant::DELETE_IGNORED,
            mutant::UPDATE_NOT_APPLIED,
            mutant::DATA_LOST,
        ],
        run: |cx| Box::pin(root_ca(cx)),
        ..Check::BASE
    },
];

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (own, name, mark) = (
        cx.collection(SERVICE_ACCOUNTS).await?,
        "account",
        unique("account"),
    );
    let selector = format!("static={mark}");
    let selected = [("labelSelector", selector.as_str())];
    let mut watch = cx.watch(&own, &selected).await?;
    let made = create(
        cx,
        &own,
        json!({"metadata": {"name": name, "labels": {"static": mark}}}),
    )
    .await?;
    cx.expect_eq(
        "uid",
        made["metadata"]["uid"].clone(),
        read(cx, &own, name).await?["metadata"]["uid"].clone(),
    )?;
    watch.until("ADDED", name, &["DELETED"], |_| true).await?;
    // A controller may add a token Secret to the account in between: the patch must survive that.
    let patch = json!({"automountServiceAccountToken": false});
    let patched = cx.status(
        "patch",
        200,
        own.patch(name, PatchKind::Strategic, patch.clone()).await?,
    )?;
    newer(cx, "the patched account", &made, &patched)?;
    watch
        .until("MODIFIED", name, &["DELETED"], |object| {
            object["automountServiceAccountToken"] == false
        })
        .await?;
    cx.contains("the patched account", &patch, &read(cx, &own, name).await?)?;
    let listed = cx.everywhere(SERVICE_ACCOUNTS).list(&selected).await?;
    let listed = cx.items("list in all namespaces", listed)?;
    cx.expect_eq("accounts in the list", 1, listed.len())?;
    let expected = json!({"metadata": {"name": name, "namespace": cx.namespace().await?}, "automountServiceAccountToken": false});
    cx.contains("the account in the list", &expected, &listed[0])?;
    // Without a selector: the namespace's own account goes as well, and a controller makes it anew.
    cx.status("deletecollection", 200, own.delete_collection(&[]).await?)?;
    watch.until("DELETED", name, &["ADDED"], |_| true).await?;
    cx.gone(&own, name).await
}

async fn updated(cx: &CheckContext) -> CheckResult {
    let own = cx.collection(SERVICE_ACCOUNTS).await?;
    let body = json!({"metadata": {"name": "account"}, "automountServiceAccountToken": false});
    let made = create(cx, &own, body).await?;
    let same = |what: &str, value: bool, object: &serde_json::Value| {
        let seen = object["automountServiceAccountToken"].clone();
        cx.expect_eq(what, json!(value), seen)
    };
    same("automount in the answer", false, &made)?;
    same("automount", false, &read(cx, &own, "account").await?)?;
    let answer = update(cx, &own, "account", |object| {
        object["automountServiceAccountToken"] = json!(true)
    })
    .await?;
    same("automount in the answer to the update", true, &answer)?;
    same(
        "automount after the update",
        true,
        &read(cx, &own, "account").await?,
    )
}

async fn token(cx: &CheckContext) -> CheckResult {
    let (own, namespace) = (
        cx.collection(SERVICE_ACCOUNTS).await?,
        cx.namespace().await?,
    );
    let made = create(cx, &own, json!({"metadata": {"name": "account"}})).await?;
    let request =
        json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let answer = cx.api().create(&own.item("account/token"), request).await?;
    let answer = cx.status("TokenRequest", 201, answer)?;
    let token = cx.text("TokenRequest", &answer, "/status/token")?;
    let review = |token: String| async move {
        let body = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": token}});
        let answer = cx
            .api()
            .create("/apis/authentication.k8s.io/v1/tokenreviews", body)
            .await?;
        cx.status("TokenReview", 201, answer)
    };
    let good = review(token.to_owned()).await?;
    let user = json!({"authenticated": true, "user": {"username": format!("system:serviceaccount:{namespace}:account"), "uid": made["metadata"]["uid"]}});
    cx.contains("the review", &user, &good["status"])?;
    cx.expect(
        "no error in the review",
        good["status"]["error"]
            .as_str()
            .unwrap_or_default()
            .is_empty(),
        || good["status"].to_string(),
    )?;
    // The signature's last character may hold spare bits; one in its middle does not.
    let at = token.len() - 20;
    let forged = format!(
        "{}{}{}",
        &token[..at],
        if token.as_bytes()[at] == b'A' {
            'B'
        } else {
            'A'
        },
        &token[at + 1..]
    );
    let bad = review(forged).await?;
    cx.expect(
        "a forged token not to be authenticated",
        bad["status"]["authenticated"] != true,
        || "authenticated".to_owned(),
    )
}

async fn root_ca(cx: &CheckContext) -> CheckResult {
    const NAME: &str = "kube-root-ca.crt";
    let all = cx.collection(CONFIG_MAPS).await?;
    let holds = |what: &'static str, not: serde_json::Value| {
        let all = &all;
        async move {
            let not = &not;
            cx.wait(what, || async move {
                let answer = all.get(NAME).await?;
                let certificate = answer.body["data"]["ca.crt"].as_str().unwrap_or_default();
                let good = answer.status == 200
                    && certificate.contains("BEGIN CERTIFICATE")
                    && answer.body["metadata"]["uid"] != *not;
                Ok(if good {
                    Seen::Done(answer.body)
                } else {
                    Seen::Not(answer.summary())
                })
            })
            .await
        }
    };
    let first = holds("kube-root-ca.crt in the new namespace", json!("")).await?;
    let options = json!({"gracePeriodSeconds": 0});
    cx.status("delete", 200, all.delete_with(NAME, options).await?)?;
    let second = holds(
        "kube-root-ca.crt again after its deletion",
        first["metadata"]["uid"].clone(),
    )
    .await?;
    // Without a resourceVersion: whatever is there is replaced.
    let wrong = json!({"metadata": {"name": NAME}, "data": {"ca.crt": ""}});
    let answer = all.replace(NAME, all.labelled(wrong)).await?;
    let wrong = cx.status("update", 200, answer)?;
    cx.expect_eq(
        "the answer to the update",
        json!({"ca.crt": ""}),
        wrong["data"].clone(),
    )?;
    let expected = &second["data"];
    let version = &wrong["metadata"]["resourceVersion"];
    cx.wait("kube-root-ca.crt set right after the change", || async {
        let now = read(cx, &all, NAME).await?;
        let right = now["data"] == *expected
            && now["metadata"]["resourceVersion"] != *version
            && now["metadata"]["uid"] == second["metadata"]["uid"];
        Ok(Seen::when(right, || now["data"].to_string()))
    })
    .await?;
    // The version rises with the wrong write and with the right one: otherwise the wrong one was never stored.
    let versions = [&second, &wrong].map(|object| object["metadata"]["resourceVersion"].clone());
    cx.expect(
        "the wrong write to have another resourceVersion",
        versions[0] != versions[1],
        || versions[0].to_string(),
    )
}
