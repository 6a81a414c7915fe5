//! Defects of what extends an API server: webhooks, admission policies, conversion, aggregated groups.
//!
//! Most change what is registered on its way in. A server that never heard of a rule behaves like one that ignores it.

use serde_json::{Value, json};

use super::{Answers, Asks, Mutant, Objects};
use crate::api::Request;
use crate::callback::IGNORED;

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    WEBHOOK_NOT_CALLED,
    WEBHOOK_ANSWER_IGNORED,
    WEBHOOK_FAILURE_ADMITS,
    WEBHOOK_FAILURE_REFUSES,
    WEBHOOK_TIMEOUT_IGNORED,
    WEBHOOK_TIMEOUT_CUT,
    WEBHOOK_EXEMPTION_IGNORED,
    MATCH_CONDITIONS_IGNORED,
    WEBHOOKS_OUT_OF_ORDER,
    CONFIGURATION_MUTATED,
    WEBHOOK_PATCH_NOT_DEFAULTED,
    PRUNING_SKIPPED,
    CONVERSION_SKIPPED,
    STORAGE_VERSION_KEPT,
    POLICY_NOT_ENFORCED,
    POLICY_REFUSES_ALL,
    POLICY_VARIABLE_IGNORED,
    FAULT_BECOMES_SUCCESS,
];

/// The first webhook of a configuration matches nothing.
pub const WEBHOOK_NOT_CALLED: Mutant = Mutant {
    name: "webhook-not-called",
    about: "The first webhook of a configuration is never called.",
    make: || {
        Box::new(Asks(|request| {
            first(request, |hook| {
                for rule in hook["rules"].as_array_mut().into_iter().flatten() {
                    rule["resources"] = json!(["assay-none"]);
                }
            });
        }))
    },
};
/// The first webhook is called, and what it answers is forgotten.
pub const WEBHOOK_ANSWER_IGNORED: Mutant = Mutant {
    name: "webhook-answer-ignored",
    about: "The first webhook of a configuration is called, and its denial or patch has no effect.",
    make: || {
        Box::new(Asks(|request| {
            first(request, |hook| {
                if let Some(url) = hook["clientConfig"]["url"].as_str() {
                    hook["clientConfig"]["url"] = json!(format!("{url}{IGNORED}"));
                }
            });
        }))
    },
};
/// `failurePolicy` is always Ignore.
pub const WEBHOOK_FAILURE_ADMITS: Mutant = Mutant {
    name: "webhook-failure-admits",
    about: "A request is admitted although a webhook that must not fail did.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| hook["failurePolicy"] = json!("Ignore"))
        }))
    },
};
/// `failurePolicy` is always Fail.
pub const WEBHOOK_FAILURE_REFUSES: Mutant = Mutant {
    name: "webhook-failure-refuses",
    about: "A request is refused because of a webhook that may fail.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| hook["failurePolicy"] = json!("Fail"))
        }))
    },
};
/// `timeoutSeconds` is ignored.
pub const WEBHOOK_TIMEOUT_IGNORED: Mutant = Mutant {
    name: "webhook-timeout-ignored",
    about: "A webhook's own timeout is ignored.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| {
                if let Some(fields) = hook.as_object_mut() {
                    fields.remove("timeoutSeconds");
                }
            });
        }))
    },
};
/// Every webhook has one second.
pub const WEBHOOK_TIMEOUT_CUT: Mutant = Mutant {
    name: "webhook-timeout-cut",
    about: "Every webhook is given one second only.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| hook["timeoutSeconds"] = json!(1))
        }))
    },
};
/// Only the labels of a namespaceSelector count. Without those, too, it would reach other people's namespaces.
pub const WEBHOOK_EXEMPTION_IGNORED: Mutant = Mutant {
    name: "webhook-exemption-ignored",
    about: "The expressions of a webhook's namespaceSelector are ignored.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| {
                if let Some(selector) = hook["namespaceSelector"].as_object_mut() {
                    selector.remove("matchExpressions");
                }
            });
        }))
    },
};
/// `matchConditions` are dropped.
pub const MATCH_CONDITIONS_IGNORED: Mutant = Mutant {
    name: "match-conditions-ignored",
    about: "The matchConditions of a webhook are dropped.",
    make: || {
        Box::new(Asks(|request| {
            hooks(request, |hook| {
                if let Some(fields) = hook.as_object_mut() {
                    fields.remove("matchConditions");
                }
            });
        }))
    },
};
/// The second webhook comes before the first.
pub const WEBHOOKS_OUT_OF_ORDER: Mutant = Mutant {
    name: "webhooks-out-of-order",
    about: "The second webhook of a configuration is called before the first.",
    make: || {
        Box::new(Asks(|request| {
            let body = request.body.as_mut();
            let hooks = body.and_then(|body| body.get_mut("webhooks")?.as_array_mut());
            if let Some(hooks) = hooks.filter(|hooks| hooks.len() > 1) {
                hooks.swap(0, 1);
            }
        }))
    },
};
/// A webhook's patch reaches configurations.
pub const CONFIGURATION_MUTATED: Mutant = Mutant {
    name: "webhook-configuration-mutated",
    about: "A configuration of webhooks is stored with a label that a webhook adds.",
    make: || {
        Box::new(Objects(|_, object| {
            let configuration = object["kind"]
                .as_str()
                .is_some_and(|kind| kind.ends_with("WebhookConfiguration"));
            if configuration {
                object["metadata"]["labels"]["added"] = json!("yes");
            }
        }))
    },
};
/// What a webhook adds gets no defaults.
pub const WEBHOOK_PATCH_NOT_DEFAULTED: Mutant = Mutant {
    name: "webhook-patch-not-defaulted",
    about: "A container that a webhook adds to a pod gets no defaults.",
    make: || {
        Box::new(Objects(|_, object| {
            let list = object["spec"]["initContainers"].as_array_mut();
            for container in list.into_iter().flatten() {
                if let Some(fields) = container.as_object_mut() {
                    fields.remove("terminationMessagePolicy");
                }
            }
        }))
    },
};
/// What no schema knows is kept.
pub const PRUNING_SKIPPED: Mutant = Mutant {
    name: "pruning-skipped",
    about: "Fields of custom resources that their schema does not know are kept.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(spec) = definition(request) {
                for version in spec["versions"].as_array_mut().into_iter().flatten() {
                    preserve(&mut version["schema"]["openAPIV3Schema"]);
                }
            }
        }))
    },
};
/// Custom resources change their apiVersion only.
pub const CONVERSION_SKIPPED: Mutant = Mutant {
    name: "conversion-skipped",
    about: "Custom resources are shown in another version without their webhook's conversion.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(spec) = definition(request)
                && spec.get("conversion").is_some()
            {
                spec["conversion"] = json!({"strategy": "None"});
            }
        }))
    },
};
/// The version in which a definition's resources are stored never moves.
pub const STORAGE_VERSION_KEPT: Mutant = Mutant {
    name: "storage-version-kept",
    about: "A patch of a definition moves no storage version.",
    make: || {
        Box::new(Asks(|request| {
            if !request.path.contains("/customresourcedefinitions/") {
                return;
            }
            let operations = request.body.as_mut().and_then(Value::as_array_mut);
            if let Some(operations) = operations {
                let moves = |one: &Value| {
                    let path = one["path"].as_str();
                    path.is_some_and(|path| path.ends_with("/storage"))
                };
                operations.retain(|one| !moves(one));
            }
        }))
    },
};
/// A policy matches nothing.
pub const POLICY_NOT_ENFORCED: Mutant = Mutant {
    name: "policy-not-enforced",
    about: "An admission policy is stored and has no effect.",
    make: || {
        Box::new(Asks(|request| {
            policy(request, |spec| {
                let rules = spec["matchConstraints"]["resourceRules"].as_array_mut();
                for rule in rules.into_iter().flatten() {
                    rule["resources"] = json!(["assay-none"]);
                }
            });
        }))
    },
};
/// A policy refuses everything that it matches.
pub const POLICY_REFUSES_ALL: Mutant = Mutant {
    name: "policy-refuses-all",
    about: "An admission policy refuses what satisfies it.",
    make: || {
        Box::new(Asks(|request| {
            policy(request, |spec| {
                for validation in spec["validations"].as_array_mut().into_iter().flatten() {
                    validation["expression"] = json!("false");
                }
            });
        }))
    },
};
/// A policy's last variable is always true.
pub const POLICY_VARIABLE_IGNORED: Mutant = Mutant {
    name: "policy-variable-ignored",
    about: "The last variable of an admission policy is true whatever its expression says.",
    make: || {
        Box::new(Asks(|request| {
            policy(request, |spec| {
                let variables = spec.get_mut("variables").and_then(Value::as_array_mut);
                if let Some(variable) = variables.and_then(|list| list.last_mut()) {
                    variable["expression"] = json!("true");
                }
            });
        }))
    },
};
/// A refusal for the server's own inability is answered as success.
pub const FAULT_BECOMES_SUCCESS: Mutant = Mutant {
    name: "fault-becomes-success",
    about: "A 5xx is answered as 201.",
    make: || {
        Box::new(Answers(|asked, response| {
            if response.status >= 500
                && let Some(body) = &asked.body
            {
                response.status = 201;
                response.set_body(body.clone());
            }
        }))
    },
};

fn hooks(request: &mut Request, change: impl FnMut(&mut Value)) {
    let body = request.body.as_mut();
    let hooks = body.and_then(|body| body.get_mut("webhooks")?.as_array_mut());
    hooks.into_iter().flatten().for_each(change);
}

fn first(request: &mut Request, change: impl FnOnce(&mut Value)) {
    let body = request.body.as_mut();
    if let Some(hook) = body.and_then(|body| body.get_mut("webhooks")?.get_mut(0)) {
        change(hook);
    }
}

/// The spec of a definition of custom resources that is being made.
fn definition(request: &mut Request) -> Option<&mut Value> {
    let named = request.path.ends_with("/customresourcedefinitions");
    request
        .body
        .as_mut()
        .filter(|_| named)
        .and_then(|body| body.get_mut("spec"))
}

fn policy(request: &mut Request, change: impl FnOnce(&mut Value)) {
    let named = request.path.ends_with("admissionpolicies");
    let body = request.body.as_mut().filter(|_| named);
    if let Some(spec) = body.and_then(|body| body.get_mut("spec")) {
        change(spec);
    }
}

fn preserve(schema: &mut Value) {
    schema["x-kubernetes-preserve-unknown-fields"] = json!(true);
    let properties = schema.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(|map| map.values_mut()) {
        if property["type"] == "object" {
            preserve(property);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Method;

    fn asked(mutant: Mutant, path: &str, body: Value) -> Value {
        let mut request = Request::new(Method::POST, path).body(body);
        (mutant.make)().request(&mut request);
        request.body.unwrap_or_default()
    }

    #[test]
    fn only_the_first_webhook_is_never_called() {
        let hook =
            json!({"rules": [{"resources": ["pods"]}], "clientConfig": {"url": "https://a/b"}});
        let body = json!({"webhooks": [hook, hook]});
        let path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations";
        let changed = asked(WEBHOOK_NOT_CALLED, path, body.clone());
        assert_eq!(
            changed["webhooks"][0]["rules"][0]["resources"],
            json!(["assay-none"])
        );
        assert_eq!(changed["webhooks"][1], hook);
        let changed = asked(WEBHOOK_ANSWER_IGNORED, path, body);
        assert_eq!(
            changed["webhooks"][0]["clientConfig"]["url"],
            "https://a/b/ignored"
        );
    }

    #[test]
    fn an_exemption_goes_and_the_scope_stays() {
        let body = json!({"webhooks": [{"namespaceSelector": {
            "matchLabels": {"scope": "mine"}, "matchExpressions": [{"key": "skip"}]}}]});
        let changed = asked(WEBHOOK_EXEMPTION_IGNORED, "/x", body);
        assert_eq!(
            changed["webhooks"][0]["namespaceSelector"],
            json!({"matchLabels": {"scope": "mine"}})
        );
    }

    #[test]
    fn definitions_keep_unknown_fields_and_lose_their_conversion() {
        let body = json!({"spec": {"conversion": {"strategy": "Webhook"}, "versions": [{"schema": {
            "openAPIV3Schema": {"type": "object", "properties": {"data": {"type": "object"}, "a": {"type": "string"}}}}}]}});
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let changed = asked(PRUNING_SKIPPED, path, body.clone());
        let schema = &changed["spec"]["versions"][0]["schema"]["openAPIV3Schema"];
        assert_eq!(
            schema["properties"]["data"]["x-kubernetes-preserve-unknown-fields"],
            true
        );
        assert_eq!(schema["properties"]["a"], json!({"type": "string"}));
        let changed = asked(CONVERSION_SKIPPED, path, body);
        assert_eq!(changed["spec"]["conversion"], json!({"strategy": "None"}));
    }
}
