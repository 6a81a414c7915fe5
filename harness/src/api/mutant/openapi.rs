//! Defects of what a server publishes about its types: OpenAPI of both versions, and aggregated discovery.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Answers, Asks, Defect, Mutant};
use crate::api::{Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    OPENAPI_STALE,
    OPENAPI_KEEPS_REMOVED,
    OPENAPI_SCHEMA_LOST,
    OPENAPI_EMPTY,
    OPENAPI_PATHS_MISSING,
    AGGREGATED_NOT_HONOURED,
    AGGREGATED_RESOURCES_MISSING,
    AGGREGATED_STALE,
];

/// The document is never built again.
pub const OPENAPI_STALE: Mutant = Mutant {
    name: "openapi-stale",
    about: "The published OpenAPI stays as it was when it was first asked for.",
    make: || Box::new(Stale::of(is_openapi)),
};
/// A definition that was published once stays.
pub const OPENAPI_KEEPS_REMOVED: Mutant = Mutant {
    name: "openapi-keeps-removed",
    about: "What OpenAPI published once it publishes for ever.",
    make: || Box::new(Keeps::default()),
};
/// Definitions tell no fields.
pub const OPENAPI_SCHEMA_LOST: Mutant = Mutant {
    name: "openapi-schema-lost",
    about: "OpenAPI publishes definitions without their properties.",
    make: || {
        Box::new(Answers(|asked, response| {
            definitions(asked, response, |all| {
                for definition in all.values_mut() {
                    definition
                        .as_object_mut()
                        .map(|fields| fields.remove("properties"));
                }
            });
        }))
    },
};
/// The document holds nothing. An empty body is an empty document in protobuf, which older kubectl asks for.
pub const OPENAPI_EMPTY: Mutant = Mutant {
    name: "openapi-empty",
    about: "The published OpenAPI holds no definition.",
    make: || {
        Box::new(Answers(|asked, response| {
            if is_openapi(asked) && response.status == 200 && response.body.is_null() {
                response.bytes.clear();
            }
            definitions(asked, response, Map::clear);
        }))
    },
};
/// Documents describe no path.
pub const OPENAPI_PATHS_MISSING: Mutant = Mutant {
    name: "openapi-paths-missing",
    about: "A published OpenAPI document describes no operation.",
    make: || {
        Box::new(Answers(|asked, response| {
            // The index of v3 has paths too, which are places of documents.
            let document = response.body.get("components").is_some();
            if is_openapi(asked) && document {
                let mut body = response.body.clone();
                body["paths"] = json!({});
                response.set_body(body);
            }
        }))
    },
};
/// Aggregated discovery is asked for, and the plain list comes.
pub const AGGREGATED_NOT_HONOURED: Mutant = Mutant {
    name: "aggregated-discovery-not-honoured",
    about: "Aggregated discovery is asked for and the plain list of groups comes.",
    make: || {
        Box::new(Asks(|request| {
            if request.accept.contains("APIGroupDiscoveryList") {
                request.accept = "application/json".to_owned();
            }
        }))
    },
};
/// Aggregated discovery lists versions without resources.
pub const AGGREGATED_RESOURCES_MISSING: Mutant = Mutant {
    name: "aggregated-discovery-resources-missing",
    about: "Aggregated discovery lists versions without their resources.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.body["kind"] != "APIGroupDiscoveryList" {
                return;
            }
            let mut body = response.body.clone();
            for group in body["items"].as_array_mut().into_iter().flatten() {
                for version in group["versions"].as_array_mut().into_iter().flatten() {
                    version["resources"] = json!([]);
                }
            }
            response.set_body(body);
        }))
    },
};
/// Aggregated discovery is never built again.
pub const AGGREGATED_STALE: Mutant = Mutant {
    name: "aggregated-discovery-stale",
    about: "Aggregated discovery stays as it was when it was first asked for.",
    make: || {
        Box::new(Stale::of(|asked| {
            asked.accept.contains("APIGroupDiscoveryList")
        }))
    },
};

fn is_openapi(asked: &Request) -> bool {
    asked.path.starts_with("/openapi/")
}

/// The first good answer of each path, for ever.
struct Stale {
    concerns: fn(&Request) -> bool,
    first: BTreeMap<String, Response>,
}

impl Stale {
    fn of(concerns: fn(&Request) -> bool) -> Self {
        Self {
            concerns,
            first: BTreeMap::new(),
        }
    }
}

impl Defect for Stale {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if (self.concerns)(asked) && response.status == 200 {
            let first = self
                .first
                .entry(asked.path.clone())
                .or_insert_with(|| response.clone());
            *response = first.clone();
        }
    }
}

/// Every definition that each path ever published.
#[derive(Default)]
struct Keeps(BTreeMap<String, Map<String, Value>>);

impl Defect for Keeps {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        let seen = self.0.entry(asked.path.clone()).or_default();
        definitions(asked, response, |all| {
            for (name, definition) in all.iter() {
                seen.insert(name.clone(), definition.clone());
            }
            *all = seen.clone();
        });
    }
}

/// Changes the definitions of a document of OpenAPI v2 or v3.
fn definitions(
    asked: &Request,
    response: &mut Response,
    change: impl FnOnce(&mut Map<String, Value>),
) {
    if !is_openapi(asked) || response.status != 200 {
        return;
    }
    let place = if response.body.get("definitions").is_some() {
        "/definitions"
    } else {
        "/components/schemas"
    };
    let mut body = response.body.clone();
    if let Some(all) = body.pointer_mut(place).and_then(Value::as_object_mut) {
        change(all);
        response.set_body(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn document(definitions: &Value) -> Response {
        let body = json!({"swagger": "2.0", "definitions": definitions});
        Response::new(200, HeaderMap::new(), body.to_string().into_bytes())
    }

    #[test]
    fn what_was_published_stays_or_never_comes() {
        let asked = Request::get("/openapi/v2");
        for (mutant, expected) in [
            (OPENAPI_KEEPS_REMOVED, json!({"a": 1, "b": 2})),
            (OPENAPI_STALE, json!({"a": 1})),
        ] {
            let mut defect = (mutant.make)();
            defect.response(&asked, &mut document(&json!({"a": 1})));
            let mut second = document(&json!({"b": 2}));
            defect.response(&asked, &mut second);
            assert_eq!(second.body["definitions"], expected, "{}", mutant.name);
        }
    }

    #[test]
    fn both_versions_and_both_encodings_are_emptied() {
        let empty = |body: &str| {
            let mut answer = Response::new(200, HeaderMap::new(), body.as_bytes().to_vec());
            (OPENAPI_EMPTY.make)().response(&Request::get("/openapi/v3/api/v1"), &mut answer);
            answer.text()
        };
        assert_eq!(
            empty(r#"{"components":{"schemas":{"a":{}}}}"#),
            r#"{"components":{"schemas":{}}}"#
        );
        assert_eq!(
            empty(r#"{"definitions":{"a":{}}}"#),
            r#"{"definitions":{}}"#
        );
        assert_eq!(empty("\u{1}protobuf"), "");
    }
}
