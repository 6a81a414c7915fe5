//! Defects of writing: what is answered as done and is not, and what is done and should not be.

use super::{Answers, Asks, Mutant};
use crate::api::{Method, Request};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    CREATE_NOT_STORED,
    UPDATE_NOT_APPLIED,
    PATCH_NOT_APPLIED,
    DELETE_IGNORED,
    DELETE_COLLECTION_DELETES_NOTHING,
    DELETE_COLLECTION_DELETES_ALL,
    CONFLICT_OVERWRITES,
    CONFLICT_BECOMES_SUCCESS,
    ERROR_BECOMES_SUCCESS,
    ERROR_WRONG_REASON,
    DRY_RUN_PERSISTS,
    DRY_RUN_REFUSED,
    STRATEGIC_AS_MERGE,
    JSON_PATCH_TEST_IGNORED,
    PRECONDITIONS_IGNORED,
    PROPAGATION_BECOMES_ORPHAN,
    PROPAGATION_BECOMES_BACKGROUND,
];

/// An object is answered as made, and is not there.
pub const CREATE_NOT_STORED: Mutant = Mutant {
    name: "create-not-stored",
    about: "A create is answered as done and stores nothing.",
    make: || Box::new(Asks(|request| only_as_if(request, &Method::POST, |_| true))),
};
/// An update is answered as done, and is not.
pub const UPDATE_NOT_APPLIED: Mutant = Mutant {
    name: "update-not-applied",
    about: "An update is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| only_as_if(request, &Method::PUT, |_| true))),
};
/// A patch is answered as done, and is not.
pub const PATCH_NOT_APPLIED: Mutant = Mutant {
    name: "patch-not-applied",
    about: "A patch is answered as done and changes nothing.",
    make: || {
        Box::new(Asks(|request| {
            only_as_if(request, &Method::PATCH, |_| true)
        }))
    },
};
/// A deletion is answered as done, and is not.
pub const DELETE_IGNORED: Mutant = Mutant {
    name: "delete-ignored",
    about: "A deletion is answered as done and deletes nothing.",
    make: || {
        Box::new(Asks(|request| {
            only_as_if(request, &Method::DELETE, |request| !is_collection(request))
        }))
    },
};
/// deletecollection deletes nothing.
pub const DELETE_COLLECTION_DELETES_NOTHING: Mutant = Mutant {
    name: "deletecollection-deletes-nothing",
    about: "deletecollection is answered as done and deletes nothing.",
    make: || {
        Box::new(Asks(|request| {
            only_as_if(request, &Method::DELETE, is_collection)
        }))
    },
};
/// deletecollection ignores its selectors. Only in namespaces: elsewhere it would delete what is not assay's.
pub const DELETE_COLLECTION_DELETES_ALL: Mutant = Mutant {
    name: "deletecollection-deletes-all",
    about: "deletecollection in a namespace ignores its selectors.",
    make: || {
        Box::new(Asks(|request| {
            if request.method == Method::DELETE
                && is_collection(request)
                && request.path.contains("/namespaces/")
            {
                request
                    .query
                    .retain(|(name, _)| name != "labelSelector" && name != "fieldSelector");
            }
        }))
    },
};
/// The lost update: the stale writer wins.
pub const CONFLICT_OVERWRITES: Mutant = Mutant {
    name: "conflict-overwrites",
    about: "An update with a stale resourceVersion overwrites the newer object.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(meta) = request
                .body
                .as_mut()
                .and_then(|body| body.get_mut("metadata"))
                .and_then(|meta| meta.as_object_mut())
            {
                meta.remove("resourceVersion");
            }
        }))
    },
};
/// 409 is answered as 200.
pub const CONFLICT_BECOMES_SUCCESS: Mutant = Mutant {
    name: "conflict-becomes-success",
    about: "A conflict is answered as success.",
    make: || {
        Box::new(Answers(|asked, response| {
            pretend(asked, response, |status| status == 409)
        }))
    },
};
/// Any refusal is answered as 200.
pub const ERROR_BECOMES_SUCCESS: Mutant = Mutant {
    name: "error-becomes-success",
    about: "A 4xx is answered as 200.",
    make: || {
        Box::new(Answers(|asked, response| {
            pretend(asked, response, |status| (400..500).contains(&status))
        }))
    },
};
/// A refusal with the wrong reason.
pub const ERROR_WRONG_REASON: Mutant = Mutant {
    name: "error-wrong-reason",
    about: "A refusal is answered as 500 InternalError, whatever its reason.",
    make: || {
        Box::new(Answers(|_, response| {
            if (400..500).contains(&response.status) && response.body["kind"] == "Status" {
                let mut body = response.body.clone();
                body["reason"] = "InternalError".into();
                body["code"] = 500.into();
                response.status = 500;
                response.set_body(body);
            }
        }))
    },
};
/// `dryRun` is ignored.
pub const DRY_RUN_PERSISTS: Mutant = Mutant {
    name: "dry-run-persists",
    about: "A dry run is carried out.",
    make: || {
        Box::new(Asks(|request| {
            request.query.retain(|(name, _)| name != "dryRun")
        }))
    },
};
/// `dryRun` is answered with what is there instead of what would be.
pub const DRY_RUN_REFUSED: Mutant = Mutant {
    name: "dry-run-refused",
    about: "A dry run is refused as an unknown option.",
    make: || {
        Box::new(Asks(|request| {
            for (name, value) in &mut request.query {
                if name == "dryRun" {
                    *value = "Unknown".to_owned();
                }
            }
        }))
    },
};
/// Lists are replaced instead of merged by key.
pub const STRATEGIC_AS_MERGE: Mutant = Mutant {
    name: "strategic-patch-as-merge",
    about: "A strategic merge patch is applied as a plain merge patch: lists are replaced.",
    make: || {
        Box::new(Asks(|request| {
            if request.content_type == "application/strategic-merge-patch+json" {
                request.content_type = "application/merge-patch+json".to_owned();
            }
        }))
    },
};
/// `test` of a JSON patch is ignored.
pub const JSON_PATCH_TEST_IGNORED: Mutant = Mutant {
    name: "json-patch-test-ignored",
    about: "A JSON patch is applied although its test fails.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(operations) = request.body.as_mut().and_then(|body| body.as_array_mut()) {
                operations.retain(|operation| operation["op"] != "test");
            }
        }))
    },
};
/// Preconditions of a deletion are ignored.
pub const PRECONDITIONS_IGNORED: Mutant = Mutant {
    name: "delete-ignores-preconditions",
    about: "A deletion ignores its preconditions.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(options) = delete_options(request) {
                options.remove("preconditions");
            }
        }))
    },
};
/// Dependents are always orphaned.
pub const PROPAGATION_BECOMES_ORPHAN: Mutant = Mutant {
    name: "propagation-becomes-orphan",
    about: "A deletion orphans the dependents whatever its propagation policy.",
    make: || Box::new(Asks(|request| propagate(request, "Orphan"))),
};
/// Dependents are always deleted in the background.
pub const PROPAGATION_BECOMES_BACKGROUND: Mutant = Mutant {
    name: "propagation-becomes-background",
    about: "A deletion deletes the dependents in the background whatever its propagation policy.",
    make: || Box::new(Asks(|request| propagate(request, "Background"))),
};

/// The server's own dry run is the most faithful "answered as done": everything is checked and nothing is stored.
fn only_as_if(request: &mut Request, method: &Method, chosen: fn(&Request) -> bool) {
    // Reviews and token requests store nothing anyway, and refuse the parameter in places.
    let stored = !request.path.ends_with("reviews") && !request.path.ends_with("/token");
    if request.method != *method
        || !stored
        || !chosen(request)
        || request.parameter("dryRun").is_some()
    {
        return;
    }
    // A deletion's options in its body make the server ignore those in the query.
    match delete_options(request) {
        Some(options) => _ = options.insert("dryRun".to_owned(), serde_json::json!(["All"])),
        None => request.query.push(("dryRun".to_owned(), "All".to_owned())),
    }
}

/// Whether a path names a collection: group paths have an even number of parts up to the resource's name, and odd ones
/// with an object's name after it.
fn is_collection(request: &Request) -> bool {
    let parts = request
        .path
        .split('/')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>();
    let after_version = match parts.first() {
        Some(&"api") => parts.get(2..),
        _ => parts.get(3..),
    };
    match after_version.unwrap_or_default() {
        ["namespaces", _, rest @ ..] if !rest.is_empty() => rest.len() == 1,
        rest => rest.len() == 1,
    }
}

fn pretend(asked: &Request, response: &mut crate::api::Response, chosen: fn(u16) -> bool) {
    if chosen(response.status) {
        response.status = 200;
        if let Some(body) = &asked.body {
            response.set_body(body.clone());
        }
    }
}

fn delete_options(
    request: &mut Request,
) -> Option<&mut serde_json::Map<String, serde_json::Value>> {
    if request.method == Method::DELETE {
        request.body.as_mut()?.as_object_mut()
    } else {
        None
    }
}

fn propagate(request: &mut Request, policy: &str) {
    if let Some(options) = delete_options(request) {
        options.insert("propagationPolicy".to_owned(), policy.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn collections_and_objects_are_told_apart() {
        for (path, collection) in [
            ("/api/v1/namespaces/n/configmaps", true),
            ("/api/v1/namespaces/n/configmaps/a", false),
            ("/api/v1/namespaces", true),
            ("/api/v1/namespaces/n", false),
            ("/apis/batch/v1/namespaces/n/jobs", true),
            ("/apis/batch/v1/namespaces/n/jobs/j", false),
            ("/apis/node.k8s.io/v1/runtimeclasses", true),
            ("/apis/node.k8s.io/v1/runtimeclasses/r", false),
        ] {
            assert_eq!(
                is_collection(&Request::new(Method::DELETE, path)),
                collection,
                "{path}"
            );
        }
    }

    #[test]
    fn a_stale_version_is_taken_off() {
        let mut request = Request::new(Method::PUT, "/x")
            .body(json!({"metadata": {"name": "a", "resourceVersion": "1"}}));
        (CONFLICT_OVERWRITES.make)().request(&mut request);
        assert_eq!(request.body, Some(json!({"metadata": {"name": "a"}})));
    }

    #[test]
    fn deletecollection_of_the_cluster_keeps_its_selector() {
        let mut request = Request::new(Method::DELETE, "/apis/node.k8s.io/v1/runtimeclasses")
            .query(&[("labelSelector", "a")]);
        (DELETE_COLLECTION_DELETES_ALL.make)().request(&mut request);
        assert_eq!(request.parameter("labelSelector"), Some("a"));
    }
}
