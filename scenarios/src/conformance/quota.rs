//! ResourceQuotas: their API, their counting and their enforcement.

use harness::api::deadline::Seen;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::api::{PatchKind, Resource};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::counted::{counted_anew, quota, used};
use super::kinds::{CONFIG_MAPS, QUOTAS, REPLICA_SETS, REPLICATION_CONTROLLERS, SECRETS, SERVICES};
use super::steps::{create, delete, left, newer, read, template};

const SERVED: &[Requirement] = &[Requirement::Resource("v1", "resourcequotas")];
const COUNTED: &[Requirement] = &[
    Requirement::Resource("v1", "resourcequotas"),
    Requirement::Behaviour("quota"),
];
const COUNTING: &[Mutant] = &[
    mutant::QUOTA_STATUS_FROZEN,
    mutant::QUOTA_NEVER_TAKES,
    mutant::QUOTA_NEVER_RELEASES,
    mutant::DELETE_IGNORED,
    mutant::CREATE_NOT_STORED,
    mutant::STATUS_MISSING,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "quota/update-and-delete-are-stored",
        title: "A quota's new limits are read back after an update, and it is gone after a deletion.",
        official: &[
            "[sig-api-machinery] ResourceQuota should be able to update and delete ResourceQuota.",
        ],
        requires: SERVED,
        kills: &[
            mutant::UPDATE_NOT_APPLIED,
            mutant::DELETE_IGNORED,
            mutant::STALE_READ,
            mutant::SPEC_LOST,
        ],
        run: |cx| Box::pin(update_and_delete(cx)),
        ..Check::BASE
    },
    Check {
        id: "quota/lifecycle-is-managed",
        title: "A quota is created, found by label in all namespaces, patched and deleted by collection.",
        official: &[
            "[sig-api-machinery] ResourceQuota should manage the lifecycle of a ResourceQuota",
        ],
        requires: SERVED,
        kills: &[
            mutant::CREATE_NOT_STORED,
            mutant::PATCH_NOT_APPLIED,
            mutant::LIST_LOSES_ITEM,
            mutant::DELETE_COLLECTION_DELETES_NOTHING,
            mutant::DELETE_COLLECTION_DELETES_ALL,
            mutant::STALE_READ,
            mutant::VERSION_CONSTANT,
        ],
        run: |cx| Box::pin(lifecycle(cx)),
        ..Check::BASE
    },
    Check {
        id: "quota/status-is-calculated",
        title: "A new quota's status shows its limits and counts itself.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and ensure its status is promptly calculated.",
        ],
        requires: COUNTED,
        kills: &[
            mutant::QUOTA_STATUS_FROZEN,
            mutant::STATUS_MISSING,
            mutant::CREATE_NOT_STORED,
        ],
        run: |cx| Box::pin(calculated(cx)),
        ..Check::BASE
    },
    Check {
        id: "quota/counts-configmaps",
        title: "A ConfigMap is counted when created and released when deleted.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a configMap.",
        ],
        requires: COUNTED,
        kills: COUNTING,
        run: |cx| {
            Box::pin(counts(
                cx,
                CONFIG_MAPS,
                "configmaps",
                json!({"data": {"a": "b"}}),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "quota/counts-secrets",
        title: "A Secret is counted when created and released when deleted.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a secret.",
        ],
        requires: COUNTED,
        kills: COUNTING,
        run: |cx| {
            Box::pin(counts(
                cx,
                SECRETS,
                "secrets",
                json!({"data": {"a": "Yg=="}}),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "quota/counts-replication-controllers",
        title: "A ReplicationController is counted when created and released when deleted.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replication controller.",
        ],
        requires: COUNTED,
        kills: COUNTING,
        run: |cx| {
            Box::pin(counts(
                cx,
                REPLICATION_CONTROLLERS,
                "replicationcontrollers",
                json!({"spec": {"replicas": 0, "selector": {"app": "a"}, "template": template("a")}}),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "quota/counts-replica-sets",
        title: "A ReplicaSet is counted by its group's own key when created and released when deleted.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a replica set.",
        ],
        requires: &[
            Requirement::Resource("v1", "resourcequotas"),
            Requirement::Resource("apps/v1", "replicasets"),
            Requirement::Behaviour("quota"),
        ],
        kills: COUNTING,
        run: |cx| {
            Box::pin(counts(
                cx,
                REPLICA_SETS,
                "count/replicasets.apps",
                json!({"spec": {"replicas": 0, "selector": {"matchLabels": {"app": "a"}}, "template": template("a")}}),
            ))
        },
        ..Check::BASE
    },
    Check {
        id: "quota/counts-services",
        title: "Services and their node ports are counted and released; a Service over the limit is refused.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a service.",
        ],
        requires: COUNTED,
        kills: &[
            mutant::QUOTA_STATUS_FROZEN,
            mutant::QUOTA_NEVER_TAKES,
            mutant::QUOTA_NEVER_RELEASES,
            mutant::QUOTA_NOT_ENFORCED,
            mutant::DELETE_IGNORED,
            mutant::ERROR_BECOMES_SUCCESS,
        ],
        run: |cx| Box::pin(services(cx)),
        ..Check::BASE
    },
    super::quota_status::PROMPTED,
    super::quota_status::BY_ITSELF,
];

async fn update_and_delete(cx: &CheckContext) -> CheckResult {
    let all = cx.collection(QUOTAS).await?;
    create(
        cx,
        &all,
        json!({"metadata": {"name": "quota"}, "spec": {"hard": {"cpu": "1", "memory": "500Mi"}}}),
    )
    .await?;
    cx.expect_eq(
        "limits",
        json!({"cpu": "1", "memory": "500Mi"}),
        read(cx, &all, "quota").await?["spec"]["hard"].clone(),
    )?;
    let new = json!({"cpu": "2", "memory": "1Gi"});
    // Without a resourceVersion: whatever is there is replaced.
    let whole = all.labelled(json!({"metadata": {"name": "quota"}, "spec": {"hard": new}}));
    let answer = cx.status("update", 200, all.replace("quota", whole).await?)?;
    cx.expect_eq(
        "limits in the answer",
        new.clone(),
        answer["spec"]["hard"].clone(),
    )?;
    cx.expect_eq(
        "limits after the update",
        new.clone(),
        read(cx, &all, "quota").await?["spec"]["hard"].clone(),
    )?;
    delete(cx, &all, "quota").await
}

async fn lifecycle(cx: &CheckContext) -> CheckResult {
    let (all, mark) = (cx.collection(QUOTAS).await?, unique("quota"));
    for (name, label) in [("quota", mark.as_str()), ("other", "other")] {
        create(cx, &all, json!({"metadata": {"name": name, "labels": {"set": label}}, "spec": {"hard": {"cpu": "1", "memory": "500Mi"}}})).await?;
    }
    let made = read(cx, &all, "quota").await?;
    cx.expect_eq(
        "limits",
        json!({"cpu": "1", "memory": "500Mi"}),
        made["spec"]["hard"].clone(),
    )?;
    let selector = format!("set={mark}");
    let selected = [("labelSelector", selector.as_str())];
    cx.only(
        "list in all namespaces",
        &["quota"],
        cx.everywhere(QUOTAS).list(&selected).await?,
    )?;
    let patch =
        json!({"metadata": {"labels": {"patched": "yes"}}, "spec": {"hard": {"memory": "750Mi"}}});
    let patched = cx.status(
        "patch",
        200,
        all.patch("quota", PatchKind::Strategic, patch.clone())
            .await?,
    )?;
    cx.contains("the answer to the patch", &patch, &patched)?;
    newer(cx, "the patched quota", &made, &patched)?;
    let stored = read(cx, &all, "quota").await?;
    cx.contains("the patched quota", &patch, &stored)?;
    cx.expect_eq(
        "the other limit",
        json!("1"),
        stored["spec"]["hard"]["cpu"].clone(),
    )?;
    cx.status(
        "deletecollection",
        200,
        all.delete_collection(&[("labelSelector", "patched=yes")])
            .await?,
    )?;
    left(cx, &all, &selector, &[]).await?;
    read(cx, &all, "other").await.map(drop)
}

async fn calculated(cx: &CheckContext) -> CheckResult {
    quota(
        cx,
        json!({"resourcequotas": "3", "services": "10", "secrets": "10"}),
    )
    .await
    .map(drop)
}

/// Counts what is there first, since controllers put Secrets and ConfigMaps into a new namespace. A count that raced with such a
/// write stands until the quota controller's next resync, minutes later: upstream waits for the number to stand still
/// before it makes the quota; here the quota is made anew until its count is that of the objects.
async fn counts(
    cx: &CheckContext,
    resource: Resource,
    name: &str,
    mut object: Value,
) -> CheckResult {
    let (objects, quotas) = (cx.collection(resource).await?, cx.collection(QUOTAS).await?);
    let offer = cx.offer();
    let awaited = match name {
        "configmaps" => offer.minor >= 20 && offer.meets(Requirement::Behaviour("root-ca")),
        // Token Secrets are made for accounts up to v1.23.
        "secrets" => {
            (1..24).contains(&offer.minor) && offer.meets(Requirement::Behaviour("token-secrets"))
        }
        _ => false,
    };
    cx.wait(&format!("the {name} that a new namespace gets"), || async {
        let there = cx.items("list", objects.list(&[]).await?)?.len();
        Ok(Seen::when(!awaited || there > 0, || "none".to_owned()))
    })
    .await?;
    let limits = |own: &str| json!({"resourcequotas": own, name: "40"});
    let (first, hard) = (&limits("1"), &limits("2"));
    let own = [("labelSelector", "own=yes")];
    let there = cx
        .wait("a new quota's count to be that of the objects", || async {
            create(
                cx,
                &quotas,
                json!({"metadata": {"name": "quota"}, "spec": {"hard": first}}),
            )
            .await?;
            let itself = json!({"resourcequotas": "1"});
            used(cx, &quotas, "quota", first, &itself).await?;
            let counted = counted_anew(cx, &quotas, "quota", hard).await?["used"][name].clone();
            let there = cx.items("list", objects.list(&[]).await?)?.len();
            if counted == json!(there.to_string()) {
                return Ok(Seen::Done(there));
            }
            cx.api().clean().delete(&quotas.item("quota"), &[]).await?;
            Ok(Seen::Not(format!("{counted} counted, {there} there")))
        })
        .await?;
    object["metadata"] = json!({"name": "object", "labels": {"own": "yes"}});
    create(cx, &objects, object).await?;
    cx.only("the created object", &["object"], objects.list(&own).await?)?;
    used(
        cx,
        &quotas,
        "quota",
        hard,
        &json!({name: (there + 1).to_string()}),
    )
    .await?;
    delete(cx, &objects, "object").await?;
    used(
        cx,
        &quotas,
        "quota",
        hard,
        &json!({name: there.to_string()}),
    )
    .await
}

async fn services(cx: &CheckContext) -> CheckResult {
    let hard = json!({"resourcequotas": "1", "services": "3", "services.nodeports": "1", "services.loadbalancers": "1"});
    let (quotas, all) = (
        quota(cx, hard.clone()).await?,
        cx.collection(SERVICES).await?,
    );
    let service = |name: &str, kind: &str| json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}});
    create(cx, &all, service("plain", "ClusterIP")).await?;
    create(cx, &all, service("node-port", "NodePort")).await?;
    let counted = json!({"services": "2", "services.nodeports": "1"});
    used(cx, &quotas, "quota", &hard, &counted).await?;
    // A load balancer needs a node port, and there is none left.
    let answer = all.create(service("balancer", "LoadBalancer")).await?;
    cx.refused(
        "a Service over the limit of node ports",
        403,
        "Forbidden",
        &answer,
    )?;
    cx.expect(
        "the refusal to name the quota",
        answer.message().contains("exceeded quota"),
        || answer.message().to_owned(),
    )?;
    cx.only("Services", &["plain", "node-port"], all.list(&[]).await?)?;
    used(cx, &quotas, "quota", &hard, &counted).await?;
    for name in ["plain", "node-port"] {
        delete(cx, &all, name).await?;
    }
    used(
        cx,
        &quotas,
        "quota",
        &hard,
        &json!({"services": "0", "services.nodeports": "0"}),
    )
    .await
}
