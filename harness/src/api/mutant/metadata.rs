//! Defects of object metadata: lost labels, ignored finalizers, names that are not generated.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Asks, Defect, Mutant, Objects};
use crate::api::{Method, Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    LABELS_LOST,
    ANNOTATIONS_LOST,
    OWNERS_LOST,
    FINALIZER_IGNORED,
    GENERATE_NAME_CONSTANT,
    GENERATE_NAME_NOT_GENERATED,
    CREATION_TIME_MISSING,
    DELETION_TIME_MISSING,
    GENERATION_CONSTANT,
];

/// Labels are not stored, but for assay's own.
pub const LABELS_LOST: Mutant = Mutant {
    name: "labels-lost",
    about: "Labels are shown neither in answers nor in watches.",
    make: || Box::new(Objects(|_, object| remove(object, "labels"))),
};
/// Annotations are not stored.
pub const ANNOTATIONS_LOST: Mutant = Mutant {
    name: "annotations-lost",
    about: "Annotations are shown neither in answers nor in watches.",
    make: || Box::new(Objects(|_, object| remove(object, "annotations"))),
};
/// Owner references are not stored.
pub const OWNERS_LOST: Mutant = Mutant {
    name: "owners-lost",
    about: "Owner references are dropped on the way in.",
    make: || {
        Box::new(Asks(|request| {
            if let Some(body) = &mut request.body {
                remove(body, "ownerReferences");
            }
        }))
    },
};
/// An object with finalizers is gone at once.
pub const FINALIZER_IGNORED: Mutant = Mutant {
    name: "finalizer-ignored",
    about: "A deleted object is gone although a finalizer holds it.",
    make: || Box::new(FinalizerIgnored::default()),
};
/// Two generated names are the same.
pub const GENERATE_NAME_CONSTANT: Mutant = Mutant {
    name: "generate-name-constant",
    about: "Names generated from one prefix are all the same.",
    make: || Box::new(Asks(|request| named(request, "aaaaa"))),
};
/// The prefix alone becomes the name.
pub const GENERATE_NAME_NOT_GENERATED: Mutant = Mutant {
    name: "generate-name-not-generated",
    about: "generateName becomes the name without a random end.",
    make: || Box::new(Asks(|request| named(request, ""))),
};
/// `creationTimestamp` is missing.
pub const CREATION_TIME_MISSING: Mutant = Mutant {
    name: "creation-time-missing",
    about: "Objects carry no creationTimestamp.",
    make: || Box::new(Objects(|_, object| remove(object, "creationTimestamp"))),
};
/// `deletionTimestamp` is missing.
pub const DELETION_TIME_MISSING: Mutant = Mutant {
    name: "deletion-time-missing",
    about: "Objects under deletion carry no deletionTimestamp.",
    make: || Box::new(Objects(|_, object| remove(object, "deletionTimestamp"))),
};
/// `generation` never changes.
pub const GENERATION_CONSTANT: Mutant = Mutant {
    name: "generation-constant",
    about: "generation stays 1 through changes of the spec.",
    make: || {
        Box::new(Objects(|_, object| {
            if object["metadata"]["generation"].is_number() {
                object["metadata"]["generation"] = json!(1);
            }
        }))
    },
};

fn remove(object: &mut Value, field: &str) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove(field);
    }
}

fn named(request: &mut Request, end: &str) {
    let Some(meta) = request
        .body
        .as_mut()
        .and_then(|body| body.get_mut("metadata"))
    else {
        return;
    };
    if let Some(prefix) = meta["generateName"].as_str() {
        let name = if end.is_empty() {
            prefix.trim_end_matches('-').to_owned()
        } else {
            format!("{prefix}{end}")
        };
        meta["name"] = json!(name);
    }
}

/// Once an object is under deletion, it is answered as gone, though the server still holds it.
#[derive(Default)]
struct FinalizerIgnored {
    gone: BTreeSet<String>,
}

impl Defect for FinalizerIgnored {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if asked.method == Method::DELETE
            && response.body["metadata"]["deletionTimestamp"].is_string()
        {
            self.gone.insert(asked.path.clone());
        } else if asked.method != Method::DELETE && self.gone.contains(&asked.path) {
            response.status = 404;
            response.set_body(json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404, "message": "not found"}));
        }
    }

    fn line(&mut self, _: &Request, mut event: Value) -> Vec<Value> {
        if event["object"]["metadata"]["deletionTimestamp"].is_string() {
            event["type"] = json!("DELETED");
        }
        vec![event]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn a_held_object_is_answered_as_gone() {
        let mut defect = (FINALIZER_IGNORED.make)();
        let held = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["a/b"]}});
        let answer = || Response::new(200, HeaderMap::new(), held.to_string().into_bytes());
        let mut read = answer();
        defect.response(&Request::get("/x/a"), &mut read);
        assert_eq!(read.status, 200);
        defect.response(&Request::new(Method::DELETE, "/x/a"), &mut answer());
        defect.response(&Request::get("/x/a"), &mut read);
        assert_eq!(read.status, 404);
    }

    #[test]
    fn generated_names_collide() {
        let mut request =
            Request::new(Method::POST, "/x").body(json!({"metadata": {"generateName": "p-"}}));
        (GENERATE_NAME_CONSTANT.make)().request(&mut request);
        assert_eq!(
            request.body.unwrap_or_default()["metadata"]["name"],
            "p-aaaaa"
        );
    }
}
