//! Defects of versions and identity: stale reads, resourceVersions that stand still or run back, changing uids.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Defect, Mutant, Objects};
use crate::api::{Method, Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    STALE_READ,
    STALE_LIST,
    VERSION_CONSTANT,
    VERSION_DECREASING,
    VERSION_MISSING,
    UID_CHANGES,
    UID_MISSING,
];

/// An object is always read as it was first seen.
pub const STALE_READ: Mutant = Mutant {
    name: "stale-read",
    about: "An object is always read as it was when first created or read.",
    make: || Box::new(StaleRead::default()),
};
/// A list is always the first one.
pub const STALE_LIST: Mutant = Mutant {
    name: "stale-list",
    about: "A list is always answered as it was first answered.",
    make: || Box::new(StaleList::default()),
};
/// resourceVersion never changes.
pub const VERSION_CONSTANT: Mutant = Mutant {
    name: "rv-constant",
    about: "resourceVersion never changes.",
    make: || Box::new(Objects(|_, object| version(object, |_| 1))),
};
/// resourceVersion runs back.
pub const VERSION_DECREASING: Mutant = Mutant {
    name: "rv-decreasing",
    about: "resourceVersion decreases with every write.",
    make: || {
        Box::new(Objects(|_, object| {
            version(object, |now| 1_000_000_000 - now.min(999_999_999))
        }))
    },
};
/// Objects have no resourceVersion.
pub const VERSION_MISSING: Mutant = Mutant {
    name: "rv-missing",
    about: "Objects carry no resourceVersion.",
    make: || Box::new(Objects(|_, object| remove(object, "resourceVersion"))),
};
/// Each answer has another uid.
pub const UID_CHANGES: Mutant = Mutant {
    name: "uid-changes",
    about: "An object has another uid each time it is read.",
    make: || {
        Box::new(Objects(|_, object| {
            if object["metadata"]["uid"].is_string() {
                object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
            }
        }))
    },
};
/// Objects have no uid.
pub const UID_MISSING: Mutant = Mutant {
    name: "uid-missing",
    about: "Objects carry no uid.",
    make: || Box::new(Objects(|_, object| remove(object, "uid"))),
};

fn version(object: &mut Value, change: fn(u64) -> u64) {
    if let Some(now) = object["metadata"]["resourceVersion"]
        .as_str()
        .and_then(|text| text.parse::<u64>().ok())
    {
        object["metadata"]["resourceVersion"] = json!(change(now).to_string());
    }
}

fn remove(object: &mut Value, field: &str) {
    if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove(field);
    }
}

#[derive(Default)]
struct StaleRead {
    first: BTreeMap<String, Value>,
}

impl Defect for StaleRead {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        let Some(name) = response.body["metadata"]["name"]
            .as_str()
            .filter(|_| response.is_success())
        else {
            return;
        };
        let path = if asked.method == Method::POST {
            format!("{}/{name}", asked.path)
        } else {
            asked.path.clone()
        };
        if asked.method == Method::GET {
            let first = self
                .first
                .entry(path)
                .or_insert_with(|| response.body.clone())
                .clone();
            if first != response.body {
                response.set_body(first);
            }
        } else {
            self.first
                .entry(path)
                .or_insert_with(|| response.body.clone());
        }
    }
}

#[derive(Default)]
struct StaleList {
    first: BTreeMap<String, Value>,
}

impl Defect for StaleList {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if asked.method == Method::GET && response.body.get("items").is_some() {
            let first = self
                .first
                .entry(asked.target())
                .or_insert_with(|| response.body.clone())
                .clone();
            if first != response.body {
                response.set_body(first);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    fn object(version: &str) -> Response {
        let body = json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": version}});
        Response::new(200, HeaderMap::new(), body.to_string().into_bytes())
    }

    #[test]
    fn what_was_created_is_what_is_read_for_ever() {
        let mut defect = (STALE_READ.make)();
        defect.response(&Request::new(Method::POST, "/x"), &mut object("1"));
        let mut read = object("2");
        defect.response(&Request::get("/x/a"), &mut read);
        assert_eq!(read.body["metadata"]["resourceVersion"], "1");
    }

    #[test]
    fn versions_stand_still_or_run_back() {
        let read = |mutant: Mutant, version| {
            let mut response = object(version);
            (mutant.make)().response(&Request::get("/x/a"), &mut response);
            response.body["metadata"]["resourceVersion"].clone()
        };
        assert_eq!(read(VERSION_CONSTANT, "5"), read(VERSION_CONSTANT, "9"));
        assert!(read(VERSION_DECREASING, "5").as_str() > read(VERSION_DECREASING, "9").as_str());
        assert!(read(VERSION_MISSING, "5").is_null());
    }
}
