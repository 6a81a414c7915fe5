//! Defects of discovery.

use serde_json::{Value, json};

use super::{Answers, Mutant};
use crate::api::Response;

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    RESOURCES_MISSING,
    SUBRESOURCES_MISSING,
    VERBS_MISSING,
    WRONG_KIND,
    WRONG_GROUP,
    GROUPS_MISSING,
    CORE_VERSIONS_MISSING,
    PREFERRED_VERSION_UNLISTED,
    WRONG_SCOPE,
];

/// Resource lists hold only subresources.
pub const RESOURCES_MISSING: Mutant = Mutant {
    name: "discovery-entry-missing",
    about: "A group's resource list lacks its resources.",
    make: || {
        Box::new(Answers(|_, response| {
            resources(response, |list| {
                list.retain(|entry| name(entry).contains('/'))
            })
        }))
    },
};
/// Resource lists hold no subresources.
pub const SUBRESOURCES_MISSING: Mutant = Mutant {
    name: "discovery-subresource-missing",
    about: "A group's resource list lacks the subresources.",
    make: || {
        Box::new(Answers(|_, response| {
            resources(response, |list| {
                list.retain(|entry| !name(entry).contains('/'))
            })
        }))
    },
};
/// Verbs are missing.
pub const VERBS_MISSING: Mutant = Mutant {
    name: "discovery-verbs-missing",
    about: "A group's resource list tells only the verb get.",
    make: || {
        Box::new(Answers(|_, response| {
            resources(response, |list| {
                list.iter_mut()
                    .for_each(|entry| entry["verbs"] = json!(["get"]))
            })
        }))
    },
};
/// Kinds are wrong.
pub const WRONG_KIND: Mutant = Mutant {
    name: "discovery-wrong-kind",
    about: "A group's resource list tells the wrong kinds.",
    make: || {
        Box::new(Answers(|_, response| {
            resources(response, |list| {
                list.iter_mut()
                    .for_each(|entry| entry["kind"] = json!("Thing"))
            })
        }))
    },
};
/// Scope is turned round.
pub const WRONG_SCOPE: Mutant = Mutant {
    name: "discovery-wrong-scope",
    about: "A group's resource list calls namespaced resources cluster-wide and the other way round.",
    make: || {
        Box::new(Answers(|_, response| {
            resources(response, |list| {
                for entry in list {
                    entry["namespaced"] = json!(!entry["namespaced"].as_bool().unwrap_or_default());
                }
            });
        }))
    },
};
/// A resource list says that it is of another group.
pub const WRONG_GROUP: Mutant = Mutant {
    name: "discovery-wrong-group",
    about: "A group's resource list names another groupVersion than was asked for.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.body["kind"] == "APIResourceList" {
                let mut body = response.body.clone();
                body["groupVersion"] = json!("wrong.example.com/v1");
                response.set_body(body);
            }
        }))
    },
};
/// The list of groups is empty.
pub const GROUPS_MISSING: Mutant = Mutant {
    name: "discovery-groups-missing",
    about: "The list of groups is empty.",
    make: || {
        Box::new(Answers(|_, response| {
            groups(response, Vec::clear);
            // The aggregated form of the same list.
            change_list(response, "APIGroupDiscoveryList", "items", Vec::clear);
        }))
    },
};
/// The core group has no version.
pub const CORE_VERSIONS_MISSING: Mutant = Mutant {
    name: "discovery-core-versions-missing",
    about: "/api lists no version of the core group.",
    make: || {
        Box::new(Answers(|asked, response| {
            if asked.path.trim_end_matches('/') == "/api" {
                change_list(response, "APIVersions", "versions", Vec::clear);
                change_list(response, "APIGroupDiscoveryList", "items", Vec::clear);
            }
        }))
    },
};
/// A preferred version is none of the group's.
pub const PREFERRED_VERSION_UNLISTED: Mutant = Mutant {
    name: "discovery-preferred-unlisted",
    about: "A group prefers a version that it does not list.",
    make: || {
        Box::new(Answers(|_, response| {
            groups(response, |list| {
                if let Some(group) = list.last_mut() {
                    let wrong = format!("{}/v0", group["name"].as_str().unwrap_or_default());
                    group["preferredVersion"] = json!({"groupVersion": wrong, "version": "v0"});
                }
            });
        }))
    },
};

fn name(entry: &Value) -> &str {
    entry["name"].as_str().unwrap_or_default()
}

fn resources(response: &mut Response, change: impl FnOnce(&mut Vec<Value>)) {
    change_list(response, "APIResourceList", "resources", change);
}

fn groups(response: &mut Response, change: impl FnOnce(&mut Vec<Value>)) {
    change_list(response, "APIGroupList", "groups", change);
}

fn change_list(
    response: &mut Response,
    kind: &str,
    field: &str,
    change: impl FnOnce(&mut Vec<Value>),
) {
    if response.body["kind"] == kind {
        let mut body = response.body.clone();
        if let Some(list) = body.get_mut(field).and_then(Value::as_array_mut) {
            change(list);
        }
        response.set_body(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Request;
    use http::HeaderMap;

    #[test]
    fn entries_vanish_and_subresources_stay_or_the_other_way_round() {
        let body = json!({"kind": "APIResourceList", "groupVersion": "v1", "resources": [{"name": "pods"}, {"name": "pods/status"}]});
        let left = |mutant: Mutant| {
            let mut response = Response::new(200, HeaderMap::new(), body.to_string().into_bytes());
            (mutant.make)().response(&Request::get("/api/v1"), &mut response);
            response.body["resources"].clone()
        };
        assert_eq!(left(RESOURCES_MISSING), json!([{"name": "pods/status"}]));
        assert_eq!(left(SUBRESOURCES_MISSING), json!([{"name": "pods"}]));
    }
}
