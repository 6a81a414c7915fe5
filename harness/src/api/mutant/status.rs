//! Defects of subresources: status and scale.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Asks, Defect, Mutant, Objects};
use crate::api::{Method, Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    STATUS_NOT_APPLIED,
    STATUS_WRITES_MAIN,
    STATUS_THROUGH_MAIN_RESOURCE,
    STATUS_MISSING,
    SCALE_NOT_APPLIED,
    SCALE_READS_ZERO,
    QUOTA_STATUS_FROZEN,
    QUOTA_NOT_ENFORCED,
];

/// A write to `/status` is answered as done, and is not.
pub const STATUS_NOT_APPLIED: Mutant = Mutant {
    name: "status-not-applied",
    about: "A write to /status is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, "/status"))),
};
/// A write to `/status` writes the main resource.
pub const STATUS_WRITES_MAIN: Mutant = Mutant {
    name: "status-writes-main",
    about: "A write to /status writes spec and metadata instead of the status.",
    make: || {
        Box::new(Asks(|request| {
            let main = request.path.strip_suffix("/status").map(str::to_owned);
            if let Some(main) = main.filter(|_| request.method != Method::GET) {
                request.path = main;
            }
        }))
    },
};
/// A write to the main resource changes the status.
pub const STATUS_THROUGH_MAIN_RESOURCE: Mutant = Mutant {
    name: "status-through-main-resource",
    about: "A write to the main resource changes the status too.",
    make: || Box::new(ThroughMain::default()),
};
/// Status is missing from what is read.
pub const STATUS_MISSING: Mutant = Mutant {
    name: "status-missing",
    about: "Objects are answered without their status.",
    make: || {
        Box::new(Objects(|_, object| {
            if object.get("metadata").is_some() {
                object.as_object_mut().map(|fields| fields.remove("status"));
            }
        }))
    },
};
/// A write to `/scale` is answered as done, and is not.
pub const SCALE_NOT_APPLIED: Mutant = Mutant {
    name: "scale-not-applied",
    about: "A write to /scale is answered as done and changes nothing.",
    make: || Box::new(Asks(|request| as_if(request, "/scale"))),
};
/// `/scale` always tells zero replicas.
pub const SCALE_READS_ZERO: Mutant = Mutant {
    name: "scale-reads-zero",
    about: "/scale always tells zero replicas.",
    make: || {
        Box::new(Objects(|_, object| {
            if object["kind"] == "Scale" {
                object["spec"]["replicas"] = json!(0);
            }
        }))
    },
};
/// A quota's `used` never moves.
pub const QUOTA_STATUS_FROZEN: Mutant = Mutant {
    name: "quota-status-frozen",
    about: "A ResourceQuota's status.used is always zero.",
    make: || {
        Box::new(Objects(|_, object| {
            if let Some(used) = object
                .pointer_mut("/status/used")
                .and_then(Value::as_object_mut)
            {
                used.values_mut().for_each(|count| *count = json!("0"));
            }
        }))
    },
};
/// What exceeds a quota is let in.
pub const QUOTA_NOT_ENFORCED: Mutant = Mutant {
    name: "quota-not-enforced",
    about: "What exceeds a quota is answered as created.",
    make: || Box::new(Unenforced),
};

fn as_if(request: &mut Request, subresource: &str) {
    if request.method != Method::GET && request.path.ends_with(subresource) {
        request.query.push(("dryRun".to_owned(), "All".to_owned()));
    }
}

/// Remembers the status that a write to the main resource carried, and shows it from then on.
#[derive(Default)]
struct ThroughMain {
    written: BTreeMap<String, Value>,
}

impl Defect for ThroughMain {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if !response.is_success() {
            return;
        }
        let main = asked.path.trim_end_matches("/status").to_owned();
        let main_written = asked.method == Method::PUT
            || asked.method == Method::PATCH
            || asked.method == Method::POST;
        if main_written && asked.path.ends_with("/status") {
            self.written.remove(&main);
        } else if main_written {
            let name = response.body["metadata"]["name"]
                .as_str()
                .unwrap_or_default();
            let path = if asked.method == Method::POST {
                format!("{main}/{name}")
            } else {
                main.clone()
            };
            if let Some(status) = asked.body.as_ref().and_then(|body| body.get("status")) {
                self.written.insert(path, status.clone());
            }
        }
        if let Some(status) = self
            .written
            .get(&main)
            .filter(|status| **status != response.body["status"])
        {
            let mut body = response.body.clone();
            merge(&mut body["status"], status);
            response.set_body(body);
        }
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into.as_object_mut(), from.as_object()) {
        (Some(fields), Some(new)) => fields.extend(new.clone()),
        _ => *into = from.clone(),
    }
}

struct Unenforced;

impl Defect for Unenforced {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        if response.status == 403 && response.message().contains("exceeded quota") {
            response.status = 201;
            response.set_body(asked.body.clone().unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn the_main_resource_writes_the_status() {
        let mut defect = (STATUS_THROUGH_MAIN_RESOURCE.make)();
        let answer = || {
            Response::new(
                200,
                HeaderMap::new(),
                json!({"metadata": {"name": "a"}, "status": {"replicas": 0}})
                    .to_string()
                    .into_bytes(),
            )
        };
        let mut written = answer();
        defect.response(
            &Request::new(Method::PUT, "/x/a").body(json!({"status": {"replicas": 9}})),
            &mut written,
        );
        assert_eq!(written.body["status"]["replicas"], 9);
        let mut read = answer();
        defect.response(&Request::get("/x/a"), &mut read);
        assert_eq!(read.body["status"]["replicas"], 9);
    }

    #[test]
    fn reading_status_is_left_alone() {
        let mut request = Request::get("/x/a/status");
        (STATUS_NOT_APPLIED.make)().request(&mut request);
        (STATUS_WRITES_MAIN.make)().request(&mut request);
        assert_eq!(request, Request::get("/x/a/status"));
    }
}
