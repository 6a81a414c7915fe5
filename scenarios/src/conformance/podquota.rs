//! ResourceQuotas that count pods and what they ask for. No kubelet has to run the pods: admission counts them, and the
//! quota controller counts them again.

use harness::api::Collection;
use harness::api::mutant::{Mutant, families as mutant};
use harness::check::{Check, CheckContext, CheckResult, Requirement};
use serde_json::{Value, json};

use super::counted::{counted_anew, quota, used};
use super::kinds::QUOTAS;
use super::steps::{create, delete, pod_spec, pods, read};

const COUNTED: &[Requirement] = &[
    Requirement::Resource("v1", "resourcequotas"),
    Requirement::Resource("v1", "pods"),
    Requirement::Behaviour("quota"),
    Requirement::Behaviour("quota-compute"),
];
const SCOPED: &[Mutant] = &[
    mutant::QUOTA_SCOPES_IGNORED,
    mutant::QUOTA_STATUS_FROZEN,
    mutant::QUOTA_NEVER_TAKES,
    mutant::QUOTA_NEVER_RELEASES,
    mutant::DELETE_IGNORED,
    mutant::CREATE_NOT_STORED,
];

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "podquota/counts-what-pods-ask-for",
        title: "A pod and its requests are counted and released; one over any limit is refused, and requests cannot be changed.",
        official: &[
            "[sig-api-machinery] ResourceQuota should create a ResourceQuota and capture the life of a pod.",
        ],
        requires: COUNTED,
        kills: &[
            mutant::QUOTA_STATUS_FROZEN,
            mutant::QUOTA_NEVER_TAKES,
            mutant::QUOTA_NEVER_RELEASES,
            mutant::QUOTA_NOT_ENFORCED,
            mutant::ERROR_BECOMES_SUCCESS,
            mutant::CREATE_NOT_STORED,
            mutant::DELETE_IGNORED,
        ],
        run: |cx| Box::pin(life(cx)),
        ..Check::BASE
    },
    Check {
        id: "podquota/best-effort-scope-is-heeded",
        title: "A quota of best-effort pods counts those alone, and its opposite all others.",
        official: &[
            "[sig-api-machinery] ResourceQuota should verify ResourceQuota with best effort scope.",
        ],
        requires: COUNTED,
        kills: SCOPED,
        run: |cx| Box::pin(best_effort(cx)),
        ..Check::BASE
    },
    Check {
        id: "podquota/terminating-scope-is-heeded",
        title: "A quota of pods with a deadline counts those alone, and its opposite all others.",
        official: &[
            "[sig-api-machinery] ResourceQuota should verify ResourceQuota with terminating scopes.",
        ],
        requires: COUNTED,
        kills: SCOPED,
        run: |cx| Box::pin(terminating(cx)),
        ..Check::BASE
    },
];

/// An extended resource that no node has.
const DONGLE: &str = "example.com/dongle";

/// A pod that no scheduler places.
fn pod(name: &str, requests: &Value, limits: &Value) -> Value {
    let mut spec = pod_spec();
    spec["nodeSelector"] = json!({"assay.dev/none": "none"});
    spec["containers"][0]["resources"] = json!({"requests": requests, "limits": limits});
    json!({"metadata": {"name": name}, "spec": spec})
}

fn asked(cpu: &str, memory: &str, storage: &str, dongles: &str) -> Value {
    json!({"cpu": cpu, "memory": memory, "ephemeral-storage": storage, DONGLE: dongles})
}

async fn life(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let counted = format!("requests.{DONGLE}");
    let hard = json!({
        "resourcequotas": "1", "pods": "5", "cpu": "1", "memory": "500Mi", "ephemeral-storage": "50Gi", &counted: "3",
    });
    let quotas = quota(cx, hard.clone()).await?;
    let requests = asked("500m", "252Mi", "30Gi", "2");
    create(cx, &pods, pod("pod", &requests, &json!({DONGLE: "2"}))).await?;
    let taken = json!({
        "resourcequotas": "1", "pods": "1", "cpu": "500m", "memory": "252Mi", "ephemeral-storage": "30Gi", &counted: "2",
    });
    used(cx, &quotas, "quota", &hard, &taken).await?;

    // Each is over one limit only, so that the refusal is for that.
    for (over, requests) in [
        ("cpu", asked("600m", "100Mi", "1Gi", "1")),
        ("memory", asked("100m", "300Mi", "1Gi", "1")),
        ("ephemeral-storage", asked("100m", "100Mi", "30Gi", "1")),
        (&counted, asked("100m", "100Mi", "1Gi", "2")),
    ] {
        let limits = json!({DONGLE: requests[DONGLE]});
        let answer = pods.create(pod("more", &requests, &limits)).await?;
        cx.refused(
            &format!("a pod over the limit of {over}"),
            403,
            "Forbidden",
            &answer,
        )?;
        let told = answer.message();
        cx.expect(
            &format!("the refusal to name the quota and {over}"),
            told.contains("exceeded quota") && told.contains(over),
            || told.to_owned(),
        )?;
    }
    cx.only("pods", &["pod"], pods.list(&[]).await?)?;

    let mut less = read(cx, &pods, "pod").await?;
    // What a scheduler says of it meanwhile is no conflict: an update without a version is one of whatever is there.
    less["metadata"]["resourceVersion"].take();
    less["spec"]["containers"][0]["resources"]["requests"] =
        json!({"cpu": "100m", "memory": "100Mi", "ephemeral-storage": "10Gi", DONGLE: "2"});
    cx.refused(
        "an update of the requests",
        422,
        "Invalid",
        &pods.replace("pod", less).await?,
    )?;
    used(cx, &quotas, "quota", &hard, &taken).await?;
    delete(cx, &pods, "pod").await?;
    let none = json!({
        "resourcequotas": "1", "pods": "0", "cpu": "0", "memory": "0", "ephemeral-storage": "0", &counted: "0",
    });
    used(cx, &quotas, "quota", &hard, &none).await
}

/// Two quotas that share all pods among them.
struct Halves {
    quotas: Collection,
    hard: Value,
    names: [&'static str; 2],
}

impl Halves {
    async fn make(cx: &CheckContext, hard: Value, scopes: [&'static str; 2]) -> CheckResult<Self> {
        let halves = Self {
            quotas: cx.collection(QUOTAS).await?,
            hard,
            names: ["inside", "outside"],
        };
        for (name, scope) in halves.names.into_iter().zip(scopes) {
            let spec = json!({"hard": halves.hard, "scopes": [scope]});
            let body = json!({"metadata": {"name": name}, "spec": spec});
            create(cx, &halves.quotas, body).await?;
        }
        halves.count(cx, [&json!({"pods": "0"}); 2]).await?;
        Ok(halves)
    }

    async fn count(&self, cx: &CheckContext, counts: [&Value; 2]) -> CheckResult {
        for (name, counts) in self.names.into_iter().zip(counts) {
            used(cx, &self.quotas, name, &self.hard, counts).await?;
        }
        Ok(())
    }

    /// Upstream watches for ten seconds that a count stays. Here a limit is raised: a controller that shows the new limit has
    /// counted everything anew.
    async fn count_anew(&mut self, cx: &CheckContext, counts: [&Value; 2]) -> CheckResult {
        let limit = self.hard["pods"].as_str().unwrap_or_default();
        let more = limit.parse::<u64>().unwrap_or(0) + 1;
        self.hard["pods"] = json!(more.to_string());
        for name in self.names {
            counted_anew(cx, &self.quotas, name, &self.hard).await?;
        }
        self.count(cx, counts).await
    }
}

async fn best_effort(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let scopes = ["BestEffort", "NotBestEffort"];
    let mut halves = Halves::make(cx, json!({"pods": "5"}), scopes).await?;
    let (one, none) = (json!({"pods": "1"}), json!({"pods": "0"}));
    let requests = json!({"cpu": "500m", "memory": "200Mi"});
    let limits = json!({"cpu": "1", "memory": "400Mi"});
    for (pod, counts) in [
        (pod("best-effort", &json!({}), &json!({})), [&one, &none]),
        (pod("burstable", &requests, &limits), [&none, &one]),
    ] {
        let made = create(cx, &pods, pod).await?;
        halves.count(cx, counts).await?;
        halves.count_anew(cx, counts).await?;
        delete(cx, &pods, harness::check::name(&made)).await?;
        halves.count(cx, [&none, &none]).await?;
        // One half shows nothing of the deletion; it must be done with it before the next pod comes.
        halves.count_anew(cx, [&none, &none]).await?;
    }
    Ok(())
}

async fn terminating(cx: &CheckContext) -> CheckResult {
    let pods = pods(cx).await?;
    let hard = json!({
        "pods": "5", "requests.cpu": "1", "requests.memory": "500Mi", "limits.cpu": "2", "limits.memory": "1Gi",
    });
    let scopes = ["Terminating", "NotTerminating"];
    let mut halves = Halves::make(cx, hard, scopes).await?;
    let one = json!({
        "pods": "1", "requests.cpu": "500m", "requests.memory": "200Mi", "limits.cpu": "1", "limits.memory": "400Mi",
    });
    let none = json!({
        "pods": "0", "requests.cpu": "0", "requests.memory": "0", "limits.cpu": "0", "limits.memory": "0",
    });
    let requests = json!({"cpu": "500m", "memory": "200Mi"});
    let limits = json!({"cpu": "1", "memory": "400Mi"});
    for (name, deadline, counts) in [
        ("endless", None, [&none, &one]),
        ("terminating", Some(3600), [&one, &none]),
    ] {
        let mut pod = pod(name, &requests, &limits);
        if let Some(seconds) = deadline {
            pod["spec"]["activeDeadlineSeconds"] = json!(seconds);
        }
        create(cx, &pods, pod).await?;
        halves.count(cx, counts).await?;
        halves.count_anew(cx, counts).await?;
        delete(cx, &pods, name).await?;
        halves.count(cx, [&none, &none]).await?;
        // One half shows nothing of the deletion; it must be done with it before the next pod comes.
        halves.count_anew(cx, [&none, &none]).await?;
    }
    Ok(())
}
