//! Whether a server really reaches what assay serves: a firewall, an address translation or another network namespace
//! may be in between, and what those do must not read as the product's failure.

use std::time::Duration;

use serde_json::json;

use super::{Callback, CallbackOptions, CallbackServer, Place, Verdict};
use crate::api::deadline::{Seen, WaitError, wait_for};
use crate::api::namespace::unique;
use crate::api::{Api, ApiError, Collection, Resource};

const CONFIGURATIONS: Resource = Resource::cluster(
    "admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations",
    "ValidatingWebhookConfiguration",
);
const CONFIG_MAPS: Resource = Resource::namespaced("v1", "configmaps", "ConfigMap");
/// What the server names when it says that it could not call it.
const WEBHOOK: &str = "probe.assay.dev";
/// How long a server may take until it honours a new configuration.
const HONOURED_WITHIN: Duration = Duration::from_secs(15);

/// Lets the server call a webhook at the place. Only a call that the server says it could not make, while no connection
/// came in, makes it `Nowhere`: a server that does not call at all is the checks' finding, not a reason to skip them.
pub(crate) async fn probe(api: &Api, place: Place, patience: u32) -> Callback {
    let api = api.apart(None);
    let found = call(&api, place, patience).await;
    let made = api.remove_made().await;
    api.await_gone(made, HONOURED_WITHIN * patience).await;
    match found {
        Ok(()) => Callback::At(place),
        Err(why) => Callback::Nowhere(why),
    }
}

async fn call(api: &Api, place: Place, patience: u32) -> Result<(), String> {
    let server = CallbackServer::start(place, &CallbackOptions::default())
        .await
        .map_err(|error| format!("{error:#}"))?;
    server.admit("/probe", |_| Verdict::Allow);
    let mark = unique("probe");
    let configuration = json!({
        "metadata": {"name": mark},
        "webhooks": [{
            "name": WEBHOOK,
            "rules": [{"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}],
            "clientConfig": server.client_config("/probe"),
            // Nothing but the probe's own object.
            "objectSelector": {"matchLabels": {"assay.dev/probe": mark}},
            "failurePolicy": "Fail", "sideEffects": "None", "timeoutSeconds": 5,
            "admissionReviewVersions": ["v1"],
        }],
    });
    let configurations = Collection::new(api, CONFIGURATIONS, None);
    let made = configurations
        .create(configuration)
        .await
        .map_err(|error| error.to_string())?;
    if made.status != 201 {
        // A server that takes no webhook has a fault of its own, which the checks are to find.
        return Ok(());
    }
    let maps = Collection::new(api, CONFIG_MAPS, Some("default"));
    let object = json!({"metadata": {"name": mark, "labels": {"assay.dev/probe": mark}}});
    let waited: Result<_, WaitError<ApiError>> = wait_for(
        "a call of the server",
        HONOURED_WITHIN * patience,
        || async {
            let answer = match maps.create_with(object.clone(), &[("dryRun", "All")]).await {
                Ok(answer) => answer,
                Err(error) => return Ok(Seen::Not(error.to_string())),
            };
            Ok(if server.connections() > 0 {
                Seen::Done(None)
            } else if answer.status >= 500 && answer.body.to_string().contains(WEBHOOK) {
                Seen::Done(Some(answer.summary()))
            } else {
                // Whatever else went wrong says nothing of the way to this host.
                Seen::Not(answer.summary())
            })
        },
    )
    .await;
    match waited {
        Ok(Some(refusal)) => Err(format!(
            "the server does not reach {}: {}",
            server.address(),
            crate::text::tame(&refusal)
        )),
        Err(WaitError::Look(error)) => Err(error.to_string()),
        // Never called, and nothing refused: the checks will say so.
        Ok(None) | Err(WaitError::Late { .. }) => Ok(()),
    }
}
