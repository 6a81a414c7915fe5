//! Certificates of pods and bundles of trust, as API objects: from Kubernetes 1.37 on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use harness::api::mutant::{Mutant, families as mutant};
use harness::api::namespace::unique;
use harness::check::{Check, CheckContext, CheckFault, CheckResult, Requirement};
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};
use serde_json::{Value, json};

use super::crud::{self, Crud, crud};
use super::kinds::{CLUSTER_TRUST_BUNDLES, POD_CERTIFICATE_REQUESTS};
use super::steps::pod_spec;

const GROUP: &str = "certificates.k8s.io/v1";
const REQUESTS: Requirement = Requirement::Resource(GROUP, "podcertificaterequests");

/// The area's checks.
pub const CHECKS: &[Check] = &[
    Check {
        id: "certificates/trust-bundle-serves-every-verb",
        title: "ClusterTrustBundles are discovered and serve every verb and every kind of patch.",
        official: &["[sig-auth] CRUD Tests certificates.k8s.io/v1 ClusterTrustBundles"],
        requires: &[Requirement::Resource(GROUP, "clustertrustbundles")],
        kills: crud::KILLS,
        run: |cx| Box::pin(trust_bundle(cx)),
        ..Check::BASE
    },
    Check {
        id: "certificates/pod-request-serves-every-verb",
        title: "PodCertificateRequests are discovered, serve every verb and every kind of patch, and are issued through their status.",
        official: &[
            "[sig-auth] PodCertificateRequest API should support PodCertificateRequest API operations",
        ],
        requires: &[
            REQUESTS,
            Requirement::Resource(GROUP, "podcertificaterequests/status"),
        ],
        kills: REQUEST_KILLS,
        run: |cx| Box::pin(pod_request(cx)),
        ..Check::BASE
    },
    Check {
        id: "certificates/too-long-a-life-is-refused",
        title: "A pod that asks for a certificate of more than 91 days is refused as invalid, and one of 91 days is not.",
        official: &[
            "[sig-auth] Projected PodCertificate MaxExpirationSeconds validations should reject pod creation when MaxExpirationSeconds exceeds maximum (91d)",
        ],
        requires: PODS,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(life(cx, 91 * 24 * 3600, 91 * 24 * 3600 + 1, "<= 7862400")),
        ..Check::BASE
    },
    Check {
        id: "certificates/too-short-a-life-is-refused",
        title: "A pod that asks for a certificate of less than an hour is refused as invalid, and one of an hour is not.",
        official: &[
            "[sig-auth] Projected PodCertificate MaxExpirationSeconds validations should reject pod creation when MaxExpirationSeconds is less than minimum (1h)",
        ],
        requires: PODS,
        kills: &[mutant::ERROR_BECOMES_SUCCESS, mutant::ERROR_WRONG_REASON],
        run: |cx| Box::pin(life(cx, 3600, 3599, ">= 3600")),
        ..Check::BASE
    },
];

const PODS: &[Requirement] = &[
    REQUESTS,
    Requirement::Resource("v1", "pods"),
    Requirement::Behaviour("pod-validation"),
];

const REQUEST_KILLS: &[Mutant] = &[
    mutant::RESOURCES_MISSING,
    mutant::SUBRESOURCES_MISSING,
    mutant::CREATE_NOT_STORED,
    mutant::UPDATE_NOT_APPLIED,
    mutant::APPLY_NOT_APPLIED,
    mutant::MERGE_PATCH_NOT_APPLIED,
    mutant::JSON_PATCH_NOT_APPLIED,
    mutant::STRATEGIC_PATCH_NOT_APPLIED,
    mutant::STATUS_PATCH_NOT_APPLIED,
    mutant::STATUS_UPDATE_NOT_APPLIED,
    mutant::STATUS_WRITES_MAIN,
    mutant::STATUS_MISSING,
    mutant::DELETE_COLLECTION_DELETES_NOTHING,
    mutant::DROPS_ADDED,
    mutant::DROPS_DELETED,
];

async fn trust_bundle(cx: &CheckContext) -> CheckResult {
    let bundle = || -> Result<Value, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let anchor = params.self_signed(&KeyPair::generate()?)?;
        Ok(json!({"spec": {"trustBundle": anchor.pem()}}))
    };
    let (first, second) = (bundle().map_err(unmade)?, bundle().map_err(unmade)?);
    crud(cx, Crud::of(CLUSTER_TRUST_BUNDLES, first).changing(second)).await
}

async fn pod_request(cx: &CheckContext) -> CheckResult {
    let (body, status) = issued().map_err(unmade)?;
    crud(
        cx,
        Crud::of(POD_CERTIFICATE_REQUESTS, body).with_status(status),
    )
    .await
}

/// A request of a pod that there is not, and its issuing: the server demands that the certificate is of the key that was
/// asked for, begins within five minutes of now, and that its times are those told beside it.
fn issued() -> Result<(Value, Value), rcgen::Error> {
    let key = KeyPair::generate()?;
    let request = CertificateParams::default().serialize_request(&key)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let begins = now.unwrap_or_default().as_secs().saturating_sub(60);
    let ends = begins + 3600;
    let mut params = CertificateParams::default();
    params.not_before = (UNIX_EPOCH + Duration::from_secs(begins)).into();
    params.not_after = (UNIX_EPOCH + Duration::from_secs(ends)).into();
    let body = json!({"spec": {
        "signerName": format!("assay.dev/{}", unique("signer")),
        "podName": "assay-none",
        "podUID": "00000000-0000-4000-8000-000000000001",
        "serviceAccountName": "default",
        "serviceAccountUID": "00000000-0000-4000-8000-000000000002",
        "nodeName": "assay-none",
        "nodeUID": "00000000-0000-4000-8000-000000000003",
        "maxExpirationSeconds": 86400,
        "stubPKCS10Request": STANDARD.encode(request.der()),
    }});
    let status = json!({
        "certificateChain": params.self_signed(&key)?.pem(),
        "notBefore": told(begins),
        "notAfter": told(ends),
        "beginRefreshAt": told(begins + 900),
        "conditions": [
            {"type": "Issued", "status": "True", "reason": "Assay", "message": "issued by a check", "lastTransitionTime": told(begins)},
        ],
    });
    Ok((body, status))
}

/// Seconds since 1970 as the API writes times.
fn told(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or_default();
    jiff::Timestamp::from_second(seconds)
        .unwrap_or_default()
        .to_string()
}

fn unmade(error: rcgen::Error) -> CheckFault {
    CheckFault::Errored(format!(
        "failed to make the certificates of the check: {error}"
    ))
}

/// Upstream looks at the refusal alone; that the bound itself is let in shows what was refused.
async fn life(cx: &CheckContext, good: u32, bad: u32, bound: &str) -> CheckResult {
    let pods = super::steps::pods(cx).await?;
    let pod = |name: &str, seconds: u32| {
        let mut spec = pod_spec();
        spec["volumes"] = json!([{"name": "certificate", "projected": {"sources": [{"podCertificate": {
            "signerName": "assay.dev/none", "keyType": "ECDSAP256", "credentialBundlePath": "bundle.pem",
            "maxExpirationSeconds": seconds,
        }}]}}]);
        spec["containers"][0]["volumeMounts"] =
            json!([{"name": "certificate", "mountPath": "/certificate"}]);
        json!({"metadata": {"name": name}, "spec": spec})
    };
    let answer = pods
        .create_with(pod("good", good), &[("dryRun", "All")])
        .await?;
    cx.status("create of a pod at the bound", 201, answer)?;
    let answer = pods.create(pod("bad", bad)).await?;
    cx.refused("create of a pod beyond the bound", 422, "Invalid", &answer)?;
    let wanted = format!("maxExpirationSeconds must be {bound}");
    cx.expect(
        &format!("the refusal to say: {wanted}"),
        answer.message().contains(&wanted),
        || answer.message().to_owned(),
    )?;
    let found = pods.get("bad").await?;
    cx.refused("get of what was refused", 404, "NotFound", &found)
}
