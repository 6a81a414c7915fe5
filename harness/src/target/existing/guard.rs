//! The guard: is this a cluster to be tested, or one that people rely on?

use std::time::Duration;

use crate::api::{Api, RUN_LABEL};

/// What a fresh Kubernetes has by itself; `kube-flannel`, `local-path-storage` and the like come with distributions.
const SYSTEM: &[&str] = &[
    "default",
    "kube-flannel",
    "kube-node-lease",
    "kube-public",
    "kube-system",
    "local-path-storage",
];
/// Foreign names shown at most.
const SHOWN: usize = 5;
const WITHIN: Duration = Duration::from_secs(30);

/// The server's version, which also tells that it can be reached and lets us in.
///
/// # Errors
/// A sentence for the user.
pub(super) async fn version(api: &Api) -> Result<String, String> {
    let answer = tokio::time::timeout(WITHIN, api.get("/version")).await;
    let answer = answer
        .map_err(|_| {
            format!("the cluster did not answer within {WITHIN:?}; is it the right context?")
        })?
        .map_err(|error| format!("the cluster cannot be reached: {error}"))?;
    match answer.body["gitVersion"].as_str() {
        Some(version) if answer.is_success() => Ok(crate::text::tame(version)),
        _ => Err(format!(
            "the cluster does not tell its version ({}); check the kubeconfig's credentials",
            answer.summary()
        )),
    }
}

/// Refuses a cluster with namespaces that are not the system's, or with more than one node.
///
/// # Errors
/// A sentence for the user.
pub(super) async fn refuse_production(api: &Api) -> Result<(), String> {
    let names = async |path: &str| {
        let list = api.get(path).await.map_err(|error| error.to_string())?;
        let items = list.body["items"].as_array().cloned();
        let items = items.ok_or_else(|| format!("{path} answered {}", list.summary()))?;
        Ok::<_, String>(items)
    };
    let namespaces = names("/api/v1/namespaces").await;
    let nodes = names("/api/v1/nodes").await;
    let (namespaces, nodes) = match (namespaces, nodes) {
        (Ok(namespaces), Ok(nodes)) => (namespaces, nodes),
        (Err(why), _) | (_, Err(why)) => {
            return Err(format!(
                "the cluster's namespaces and nodes cannot be listed ({why}), so it cannot be told whether people use \
                 it; give --yes-this-cluster if none do"
            ));
        }
    };
    let foreign: Vec<String> = namespaces
        .iter()
        .filter(|namespace| namespace["metadata"]["labels"].get(RUN_LABEL).is_none())
        .filter_map(|namespace| namespace["metadata"]["name"].as_str())
        .filter(|name| !SYSTEM.contains(name))
        .map(crate::text::tame)
        .collect();
    let mut in_default = Vec::new();
    for kind in IN_DEFAULT {
        let items = names(kind).await.map_err(|why| {
            format!("it cannot be told whether people use the cluster ({why}); give --yes-this-cluster if none do")
        })?;
        let plural = kind.rsplit('/').next().unwrap_or_default();
        in_default.extend(
            items
                .iter()
                .filter(|item| is_somebodys(item))
                .filter_map(|item| item["metadata"]["name"].as_str())
                .map(|name| format!("{plural}/{}", crate::text::tame(name))),
        );
    }
    judge(&foreign, &in_default, nodes.len())
}

/// What people keep in the namespace `default`.
const IN_DEFAULT: &[&str] = &[
    "/api/v1/namespaces/default/pods",
    "/api/v1/namespaces/default/services",
    "/api/v1/namespaces/default/configmaps",
    "/api/v1/namespaces/default/secrets",
    "/api/v1/namespaces/default/persistentvolumeclaims",
];

/// Whether an object in `default` is neither the system's nor a run's.
fn is_somebodys(item: &serde_json::Value) -> bool {
    let name = item["metadata"]["name"].as_str().unwrap_or_default();
    let token = item["type"] == "kubernetes.io/service-account-token";
    let system = ["kubernetes", "kube-root-ca.crt"].contains(&name) || token;
    !system && item["metadata"]["labels"].get(RUN_LABEL).is_none()
}

fn judge(foreign: &[String], in_default: &[String], nodes: usize) -> Result<(), String> {
    let mut signs = Vec::new();
    for (what, names) in [
        ("the namespaces", foreign),
        ("in its namespace default", in_default),
    ] {
        if !names.is_empty() {
            let more = names.len().saturating_sub(SHOWN);
            let more = if more > 0 {
                format!(" and {more} more")
            } else {
                String::new()
            };
            let shown = names[..names.len().min(SHOWN)].join(", ");
            signs.push(format!("{what} {shown}{more}"));
        }
    }
    if nodes > 1 {
        signs.push(format!("{nodes} nodes"));
    }
    if signs.is_empty() {
        return Ok(());
    }
    Err(format!(
        "this cluster looks as if people used it: it has {}. Suites put load on it and make objects of every kind; if \
         that is wanted, give --yes-this-cluster",
        signs.join(" and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_peoples_namespaces_and_several_nodes_are_refused() {
        assert_eq!(judge(&[], &[], 0), Ok(()));
        assert_eq!(judge(&[], &[], 1), Ok(()));
        let many: Vec<String> = (0..7).map(|n| format!("shop-{n}")).collect();
        let why = judge(&many, &[], 3).unwrap_err();
        assert!(why.contains("shop-4 and 2 more and 3 nodes"), "{why}");
        assert!(why.contains("--yes-this-cluster"));
        assert!(judge(&[], &[], 2).is_err());
        let kept = judge(&[], &["pods/shop".to_owned()], 1).unwrap_err();
        assert!(
            kept.contains("in its namespace default pods/shop"),
            "{kept}"
        );
    }
}
