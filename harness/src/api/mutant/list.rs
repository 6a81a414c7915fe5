//! Defects of lists: lost and repeated items, ignored selectors, broken chunks.

use serde_json::{Value, json};

use super::{Answers, Asks, Mutant};
use crate::api::{Method, Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    LIST_LOSES_ITEM,
    LIST_REPEATS_ITEM,
    LABEL_SELECTOR_IGNORED,
    FIELD_SELECTOR_IGNORED,
    LIMIT_IGNORED,
    CONTINUE_IGNORED,
    CONTINUE_MISSING,
    WRONG_REMAINING_COUNT,
    LIST_VERSION_MISSING,
    CHUNK_CHANGES_VERSION,
    LIST_OF_ONE,
    SERVICES_NOT_LISTED,
];

/// The last item of a list is lost.
pub const LIST_LOSES_ITEM: Mutant = Mutant {
    name: "list-loses-item",
    about: "A list lacks its last item.",
    make: || {
        Box::new(Answers(|_, response| {
            items(response, |items| _ = items.pop())
        }))
    },
};
/// The first item of a list comes twice.
pub const LIST_REPEATS_ITEM: Mutant = Mutant {
    name: "list-repeats-item",
    about: "A list holds its first item twice.",
    make: || {
        Box::new(Answers(|_, response| {
            items(response, |items| items.extend(items.first().cloned()))
        }))
    },
};
/// `labelSelector` of a list is ignored.
pub const LABEL_SELECTOR_IGNORED: Mutant = Mutant {
    name: "list-ignores-label-selector",
    about: "A list ignores its label selector.",
    make: || Box::new(Asks(|request| forget(request, "labelSelector"))),
};
/// `fieldSelector` of a list is ignored.
pub const FIELD_SELECTOR_IGNORED: Mutant = Mutant {
    name: "list-ignores-field-selector",
    about: "A list ignores its field selector.",
    make: || Box::new(Asks(|request| forget(request, "fieldSelector"))),
};
/// `limit` is ignored.
pub const LIMIT_IGNORED: Mutant = Mutant {
    name: "list-ignores-limit",
    about: "A list ignores its limit.",
    make: || Box::new(Asks(|request| forget(request, "limit"))),
};
/// `continue` is ignored: each chunk is the first.
pub const CONTINUE_IGNORED: Mutant = Mutant {
    name: "chunk-continue-ignored",
    about: "A list ignores its continue token and starts again.",
    make: || Box::new(Asks(|request| forget(request, "continue"))),
};
/// The first chunk passes for the whole.
pub const CONTINUE_MISSING: Mutant = Mutant {
    name: "chunk-continue-missing",
    about: "A chunk carries no continue token although items remain.",
    make: || {
        Box::new(Answers(|_, response| {
            metadata(response, |meta| meta["continue"] = json!(""))
        }))
    },
};
/// `remainingItemCount` is one too great.
pub const WRONG_REMAINING_COUNT: Mutant = Mutant {
    name: "chunk-wrong-remaining-count",
    about: "A chunk's remainingItemCount is one too great.",
    make: || {
        Box::new(Answers(|_, response| {
            metadata(response, |meta| {
                if let Some(count) = meta["remainingItemCount"].as_i64() {
                    meta["remainingItemCount"] = json!(count + 1);
                }
            });
        }))
    },
};
/// A list without resourceVersion.
pub const LIST_VERSION_MISSING: Mutant = Mutant {
    name: "list-version-missing",
    about: "A list carries no resourceVersion.",
    make: || {
        Box::new(Answers(|_, response| {
            metadata(response, |meta| meta["resourceVersion"] = json!(""))
        }))
    },
};
/// Each chunk is of another moment.
pub const CHUNK_CHANGES_VERSION: Mutant = Mutant {
    name: "chunk-changes-version",
    about: "A continued chunk carries another resourceVersion than the first.",
    make: || {
        Box::new(Answers(|asked, response| {
            if asked.parameter("continue").is_some() {
                metadata(response, |meta| {
                    let version = meta["resourceVersion"]
                        .as_str()
                        .and_then(|text| text.parse::<u64>().ok())
                        .unwrap_or(0);
                    meta["resourceVersion"] = json!((version + 1).to_string());
                });
            }
        }))
    },
};

/// A list stops after its first item.
pub const LIST_OF_ONE: Mutant = Mutant {
    name: "list-of-one",
    about: "A list holds its first item alone.",
    make: || {
        Box::new(Answers(|_, response| {
            items(response, |items| items.truncate(1))
        }))
    },
};
/// Services cannot be listed.
pub const SERVICES_NOT_LISTED: Mutant = Mutant {
    name: "services-not-listed",
    about: "A list of Services is asked for, and answered as a resource that there is not.",
    make: || {
        Box::new(Asks(|request| {
            if request.method == Method::GET && request.path.ends_with("/services") {
                request.path.push_str("-assay-none");
            }
        }))
    },
};

fn forget(request: &mut Request, parameter: &str) {
    if request.method == Method::GET && !request.is_watch() {
        request.query.retain(|(name, _)| name != parameter);
    }
}

fn items(response: &mut Response, change: impl FnOnce(&mut Vec<Value>)) {
    let mut body = response.body.clone();
    if let Some(items) = body
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .filter(|items| !items.is_empty())
    {
        change(items);
        response.set_body(body);
    }
}

fn metadata(response: &mut Response, change: impl FnOnce(&mut Value)) {
    if response.body.get("items").is_some() {
        let mut body = response.body.clone();
        change(&mut body["metadata"]);
        response.set_body(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn answer(mutant: Mutant, asked: &Request) -> Value {
        let healthy = json!({"kind": "List", "metadata": {"resourceVersion": "7", "continue": "x", "remainingItemCount": 3}, "items": [1, 2]});
        let mut response = Response::new(200, HeaderMap::new(), healthy.to_string().into_bytes());
        (mutant.make)().response(asked, &mut response);
        assert_eq!(response.bytes, response.body.to_string().into_bytes());
        response.body
    }

    #[test]
    fn items_and_chunks_are_falsified() {
        let asked = Request::get("/x").query(&[("continue", "x")]);
        assert_eq!(answer(LIST_LOSES_ITEM, &asked)["items"], json!([1]));
        assert_eq!(answer(LIST_REPEATS_ITEM, &asked)["items"], json!([1, 2, 1]));
        assert_eq!(
            answer(WRONG_REMAINING_COUNT, &asked)["metadata"]["remainingItemCount"],
            4
        );
        assert_eq!(
            answer(CHUNK_CHANGES_VERSION, &asked)["metadata"]["resourceVersion"],
            "8"
        );
        assert_eq!(
            answer(CHUNK_CHANGES_VERSION, &Request::get("/x"))["metadata"]["resourceVersion"],
            "7"
        );
        assert_eq!(answer(CONTINUE_MISSING, &asked)["metadata"]["continue"], "");
    }

    #[test]
    fn a_deletion_keeps_its_selector() {
        let mut request = Request::new(Method::DELETE, "/x").query(&[("labelSelector", "a")]);
        (LABEL_SELECTOR_IGNORED.make)().request(&mut request);
        assert_eq!(request.parameter("labelSelector"), Some("a"));
    }
}
