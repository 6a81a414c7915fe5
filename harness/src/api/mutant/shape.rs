//! Defects of the form of answers: media types, Tables, defaults, kinds, and what the server says of itself.

use http::HeaderValue;
use serde_json::{Value, json};

use super::{Answers, Asks, Mutant, Objects};
use crate::api::Method;

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    WRONG_CONTENT_TYPE,
    KIND_MISSING,
    TABLE_NOT_HONOURED,
    TABLE_COLUMNS_MISSING,
    TABLE_ROWS_MISSING,
    DEFAULTING_SKIPPED,
    DATA_LOST,
    SPEC_LOST,
    HEALTH_ALWAYS_OK,
    HEALTH_NOT_OK,
    HEALTH_EXCLUDE_IGNORED,
    SERVER_VERSION_MISSING,
    SERVER_VERSION_WRONG,
];

/// JSON is called plain text.
pub const WRONG_CONTENT_TYPE: Mutant = Mutant {
    name: "wrong-content-type",
    about: "JSON is answered as text/plain.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.content_type().contains("json") {
                response
                    .headers
                    .insert("content-type", HeaderValue::from_static("text/plain"));
            }
        }))
    },
};
/// Answers carry no kind.
pub const KIND_MISSING: Mutant = Mutant {
    name: "kind-missing",
    about: "Answers carry neither kind nor apiVersion.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.body.get("kind").is_some() {
                let mut body = response.body.clone();
                body.as_object_mut()
                    .map(|fields| (fields.remove("kind"), fields.remove("apiVersion")));
                response.set_body(body);
            }
        }))
    },
};
/// A Table is asked for, and the plain list comes.
pub const TABLE_NOT_HONOURED: Mutant = Mutant {
    name: "table-not-honoured",
    about: "A Table is asked for and the plain object comes.",
    make: || {
        Box::new(Asks(|request| {
            if request.accept.contains("as=Table") {
                request.accept = "application/json".to_owned();
            }
        }))
    },
};
/// A Table without columns.
pub const TABLE_COLUMNS_MISSING: Mutant = Mutant {
    name: "table-columns-missing",
    about: "A Table has no column definitions.",
    make: || Box::new(Answers(|_, response| table(response, "columnDefinitions"))),
};
/// A Table without rows.
pub const TABLE_ROWS_MISSING: Mutant = Mutant {
    name: "table-rows-missing",
    about: "A Table has no rows.",
    make: || Box::new(Answers(|_, response| table(response, "rows"))),
};
/// Defaults are not filled in.
pub const DEFAULTING_SKIPPED: Mutant = Mutant {
    name: "defaulting-skipped",
    about: "Fields that the server must default are missing from what it answers.",
    make: || {
        Box::new(Objects(|asked, object| {
            // What the client itself wrote is no default.
            if asked.method != Method::DELETE {
                strip_defaults(object);
            }
        }))
    },
};
/// `data` is missing from what is read.
pub const DATA_LOST: Mutant = Mutant {
    name: "data-lost",
    about: "ConfigMaps and Secrets are answered without their data.",
    make: || {
        Box::new(Objects(|_, object| {
            _ = object.as_object_mut().map(|fields| fields.remove("data"))
        }))
    },
};
/// `spec` is missing from what is read.
pub const SPEC_LOST: Mutant = Mutant {
    name: "spec-lost",
    about: "Objects are answered without their spec.",
    make: || {
        Box::new(Objects(|_, object| {
            _ = object.as_object_mut().map(|fields| fields.remove("spec"))
        }))
    },
};
/// Health is `ok` whatever is asked.
pub const HEALTH_ALWAYS_OK: Mutant = Mutant {
    name: "health-always-ok",
    about: "Health endpoints answer 200 ok, whatever is asked of them.",
    make: || {
        Box::new(Answers(|asked, response| {
            if is_health(&asked.path) {
                response.status = 200;
                response.bytes = b"ok".to_vec();
            }
        }))
    },
};
/// Health is never `ok`.
pub const HEALTH_NOT_OK: Mutant = Mutant {
    name: "health-not-ok",
    about: "Health endpoints answer 200 with a failing component.",
    make: || {
        Box::new(Answers(|asked, response| {
            if is_health(&asked.path) && response.status == 200 {
                response.bytes = b"[-]etcd failed: reason withheld".to_vec();
            }
        }))
    },
};
/// `exclude` is ignored.
pub const HEALTH_EXCLUDE_IGNORED: Mutant = Mutant {
    name: "health-exclude-ignored",
    about: "Health endpoints ask every part, also one that is excluded.",
    make: || {
        Box::new(Asks(|request| {
            if is_health(&request.path) {
                request.query.retain(|(name, _)| name != "exclude");
            }
        }))
    },
};
/// `/version` lacks the numbers.
pub const SERVER_VERSION_MISSING: Mutant = Mutant {
    name: "version-missing",
    about: "/version tells no major and minor numbers.",
    make: || {
        Box::new(Answers(|asked, response| {
            if asked.path == "/version" && response.body.is_object() {
                let mut body = response.body.clone();
                body["major"] = json!("");
                body["minor"] = json!("");
                response.set_body(body);
            }
        }))
    },
};
/// `/version` tells another version.
pub const SERVER_VERSION_WRONG: Mutant = Mutant {
    name: "version-wrong",
    about: "/version tells the version of another server.",
    make: || {
        Box::new(Answers(|asked, response| {
            if asked.path == "/version" && response.body.is_object() {
                let mut body = response.body.clone();
                body["gitVersion"] = json!("v1.0.0");
                response.set_body(body);
            }
        }))
    },
};

fn is_health(path: &str) -> bool {
    ["/livez", "/readyz", "/healthz"]
        .iter()
        .any(|root| path.starts_with(root))
}

fn table(response: &mut crate::api::Response, field: &str) {
    if response.body["kind"] == "Table" {
        let mut body = response.body.clone();
        body[field] = json!([]);
        response.set_body(body);
    }
}

/// Fields that no check of assay writes itself in an object whose defaulting it examines.
fn strip_defaults(object: &mut Value) {
    const DEFAULTS: [(&str, &[&str]); 3] = [
        (
            "/spec",
            &[
                "type",
                "clusterIP",
                "clusterIPs",
                "sessionAffinity",
                "ipFamilies",
                "replicas",
                "strategy",
                "suspend",
                "concurrencyPolicy",
                "backoffLimit",
                "finalizers",
            ],
        ),
        (
            "/spec/template/spec",
            &[
                "restartPolicy",
                "dnsPolicy",
                "terminationGracePeriodSeconds",
                "securityContext",
                "schedulerName",
            ],
        ),
        (
            "/template/spec",
            &[
                "restartPolicy",
                "dnsPolicy",
                "terminationGracePeriodSeconds",
                "securityContext",
                "schedulerName",
            ],
        ),
    ];
    for (place, fields) in DEFAULTS {
        if let Some(spec) = object.pointer_mut(place).and_then(Value::as_object_mut) {
            for field in fields {
                spec.remove(*field);
            }
        }
    }
    if let Some(fields) = object.as_object_mut() {
        for field in ["type", "reclaimPolicy", "volumeBindingMode", "immutable"] {
            // `type` at the root is a Secret's or an Event's; the server fills in a Secret's.
            if field != "type" || fields.get("type").is_some_and(|value| value == "Opaque") {
                fields.remove(field);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{Request, Response};
    use http::HeaderMap;

    #[test]
    fn a_service_loses_its_defaults() {
        let body = json!({"kind": "Service", "spec": {"type": "ClusterIP", "clusterIP": "10.43.0.9", "ports": [{"port": 80}]}});
        let mut response = Response::new(200, HeaderMap::new(), body.to_string().into_bytes());
        (DEFAULTING_SKIPPED.make)().response(&Request::get("/x"), &mut response);
        assert_eq!(response.body["spec"], json!({"ports": [{"port": 80}]}));
    }

    #[test]
    fn a_table_loses_its_columns_only() {
        let body = json!({"kind": "Table", "columnDefinitions": [1], "rows": [2]});
        let mut response = Response::new(200, HeaderMap::new(), body.to_string().into_bytes());
        (TABLE_COLUMNS_MISSING.make)().response(&Request::get("/x"), &mut response);
        assert_eq!(
            response.body,
            json!({"kind": "Table", "columnDefinitions": [], "rows": [2]})
        );
    }
}
