//! Defects of server-side apply and of field ownership, and of the headers of API Priority and Fairness.

use std::collections::BTreeSet;

use http::HeaderValue;
use serde_json::Value;

use super::{Answers, Asks, Defect, Mutant, Objects};
use crate::api::{Method, Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    APPLY_ALWAYS_FORCED,
    APPLY_FORCE_IGNORED,
    APPLY_AS_MERGE,
    APPLY_MANAGERS_MERGED,
    MANAGED_FIELDS_LOST,
    CONFLICT_WITHOUT_CAUSES,
    FLOW_HEADERS_MISSING,
    FLOW_HEADERS_WRONG,
    FLOW_LEVEL_OF_ANOTHER,
];

/// The media type of server-side apply.
const APPLY: &str = "application/apply-patch+yaml";
const FLOW_HEADERS: [&str; 2] = [
    "x-kubernetes-pf-flowschema-uid",
    "x-kubernetes-pf-prioritylevel-uid",
];

/// Nobody's ownership is respected.
pub const APPLY_ALWAYS_FORCED: Mutant = Mutant {
    name: "apply-always-forced",
    about: "A server-side apply takes fields of others over without being told to.",
    make: || {
        Box::new(Asks(|request| {
            if is_apply(request) && request.parameter("force").is_none() {
                request.query.push(("force".to_owned(), "true".to_owned()));
            }
        }))
    },
};
/// `force` is ignored.
pub const APPLY_FORCE_IGNORED: Mutant = Mutant {
    name: "apply-force-ignored",
    about: "A forced server-side apply is refused as a conflict.",
    make: || {
        Box::new(Asks(|request| {
            if is_apply(request) {
                request.query.retain(|(name, _)| name != "force");
            }
        }))
    },
};
/// Apply is a plain merge.
pub const APPLY_AS_MERGE: Mutant = Mutant {
    name: "apply-as-merge",
    about: "A server-side apply is carried out as a merge patch: what is no longer applied stays.",
    make: || Box::new(AsMerge::default()),
};
/// All managers are one.
pub const APPLY_MANAGERS_MERGED: Mutant = Mutant {
    name: "apply-managers-merged",
    about: "The name of the field manager is ignored: all managers are one.",
    make: || {
        Box::new(Asks(|request| {
            for (name, value) in &mut request.query {
                if name == "fieldManager" {
                    *value = "everybody".to_owned();
                }
            }
        }))
    },
};
/// Ownership is not told.
pub const MANAGED_FIELDS_LOST: Mutant = Mutant {
    name: "managed-fields-lost",
    about: "Objects are answered without their managedFields.",
    make: || {
        Box::new(Objects(|_, object| {
            object
                .get_mut("metadata")
                .and_then(Value::as_object_mut)
                .map(|meta| meta.remove("managedFields"));
        }))
    },
};
/// A conflict does not say between whom, nor about what.
pub const CONFLICT_WITHOUT_CAUSES: Mutant = Mutant {
    name: "conflict-without-causes",
    about: "A conflict of field managers names neither the field nor the other manager.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.status == 409 && response.body["details"]["causes"].is_array() {
                let mut body = response.body.clone();
                body["details"]["causes"] = Value::Array(Vec::new());
                response.set_body(body);
            }
        }))
    },
};
/// Answers do not say how they were queued.
pub const FLOW_HEADERS_MISSING: Mutant = Mutant {
    name: "flow-headers-missing",
    about: "Answers name neither their FlowSchema nor their priority level.",
    make: || {
        Box::new(Answers(|_, response| {
            for name in FLOW_HEADERS {
                response.headers.remove(name);
            }
        }))
    },
};
/// Answers say that they were queued as nothing that there is.
pub const FLOW_HEADERS_WRONG: Mutant = Mutant {
    name: "flow-headers-wrong",
    about: "Answers name a FlowSchema and a priority level that do not exist.",
    make: || {
        Box::new(Answers(|_, response| {
            for name in FLOW_HEADERS {
                if response.headers.contains_key(name) {
                    let nobody = HeaderValue::from_static("00000000-0000-0000-0000-000000000000");
                    response.headers.insert(name, nobody);
                }
            }
        }))
    },
};

/// Answers say that they were queued under a level that their FlowSchema does not give.
pub const FLOW_LEVEL_OF_ANOTHER: Mutant = Mutant {
    name: "flow-level-of-another",
    about: "Answers name an existing priority level other than their own.",
    make: || Box::new(Levels::default()),
};

/// The uids of the priority levels, once they were listed.
#[derive(Default)]
struct Levels(Vec<String>);

impl Defect for Levels {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if asked.path.ends_with("/prioritylevelconfigurations") {
            let items = response.body["items"].as_array().into_iter().flatten();
            let uids = items.filter_map(|one| one["metadata"]["uid"].as_str());
            self.0 = uids.map(str::to_owned).collect();
        }
        let own = response.header(FLOW_HEADERS[1]);
        let other = self.0.iter().find(|uid| *uid != own);
        if let Some(other) = other.filter(|_| !own.is_empty())
            && let Ok(value) = HeaderValue::from_str(other)
        {
            response.headers.insert(FLOW_HEADERS[1], value);
        }
    }
}

/// The first apply of each object makes it, which a merge patch cannot.
#[derive(Default)]
struct AsMerge(BTreeSet<String>);

impl Defect for AsMerge {
    fn request(&mut self, request: &mut Request) {
        if is_apply(request) && !self.0.insert(request.path.clone()) {
            request.content_type = "application/merge-patch+json".to_owned();
            request.query.retain(|(name, _)| name != "force");
        }
    }
}

fn is_apply(request: &Request) -> bool {
    request.method == Method::PATCH && request.content_type == APPLY
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_applies_are_forced() {
        for (content_type, forced) in [(APPLY, true), ("application/merge-patch+json", false)] {
            let mut request = Request::new(Method::PATCH, "/x").content_type(content_type);
            (APPLY_ALWAYS_FORCED.make)().request(&mut request);
            assert_eq!(
                request.parameter("force").is_some(),
                forced,
                "{content_type}"
            );
        }
    }

    #[test]
    fn the_first_apply_makes_and_the_second_merges() {
        let mut defect = (APPLY_AS_MERGE.make)();
        let mut sent = || {
            let mut request = Request::new(Method::PATCH, "/x").content_type(APPLY);
            defect.request(&mut request);
            request.content_type
        };
        assert_eq!(sent(), APPLY);
        assert_eq!(sent(), "application/merge-patch+json");
    }
}
