//! Defects of what controllers do: schedules, scopes of quotas, conditions.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Asks, Defect, Mutant, Objects};
use crate::api::{Request, Response};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    SUSPENSION_IGNORED,
    CONCURRENCY_ALWAYS_ALLOWED,
    CONCURRENCY_ALWAYS_FORBIDDEN,
    QUOTA_SCOPES_IGNORED,
    QUOTA_NEVER_TAKES,
    QUOTA_NEVER_RELEASES,
    CONDITIONS_MISSING,
    CONDITIONS_STAY,
    OUTLIVES_NAMESPACE,
];

/// What is suspended runs.
pub const SUSPENSION_IGNORED: Mutant = Mutant {
    name: "suspension-ignored",
    about: "What is to be suspended runs all the same.",
    make: || Box::new(Asks(|request| spec(request, "suspend", Some(json!(false))))),
};
/// Jobs of one CronJob overlap.
pub const CONCURRENCY_ALWAYS_ALLOWED: Mutant = Mutant {
    name: "concurrency-always-allowed",
    about: "A CronJob's jobs overlap whatever its concurrency policy.",
    make: || {
        Box::new(Asks(|request| {
            spec(request, "concurrencyPolicy", Some(json!("Allow")));
        }))
    },
};
/// Jobs of one CronJob never overlap.
pub const CONCURRENCY_ALWAYS_FORBIDDEN: Mutant = Mutant {
    name: "concurrency-always-forbidden",
    about: "A CronJob starts no job while another is active, whatever its concurrency policy.",
    make: || {
        Box::new(Asks(|request| {
            spec(request, "concurrencyPolicy", Some(json!("Forbid")));
        }))
    },
};
/// A quota counts what is outside of its scopes.
pub const QUOTA_SCOPES_IGNORED: Mutant = Mutant {
    name: "quota-scopes-ignored",
    about: "A ResourceQuota counts what its scopes leave out.",
    make: || Box::new(Asks(|request| spec(request, "scopes", None))),
};
/// A quota's use never rises: what was there first is counted, and nothing that comes.
pub const QUOTA_NEVER_TAKES: Mutant = Mutant {
    name: "quota-use-never-rises",
    about: "A ResourceQuota's use never rises above what it first counted.",
    make: || Box::new(OneWay::new(|new, old| new > old)),
};
/// A quota's use never falls: what is deleted stays counted.
pub const QUOTA_NEVER_RELEASES: Mutant = Mutant {
    name: "quota-use-never-falls",
    about: "A ResourceQuota's use never falls below what it once counted.",
    make: || Box::new(OneWay::new(|new, old| new < old)),
};
/// Conditions are missing.
pub const CONDITIONS_MISSING: Mutant = Mutant {
    name: "conditions-missing",
    about: "Objects are answered without the conditions of their status.",
    make: || {
        Box::new(Objects(|_, object| {
            if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
                status.remove("conditions");
            }
        }))
    },
};
/// A condition that was once there is there for ever.
pub const CONDITIONS_STAY: Mutant = Mutant {
    name: "conditions-stay",
    about: "A condition that an object once had is shown for ever.",
    make: || Box::new(Stay::default()),
};

/// What was in a namespace is in the next one of that name.
pub const OUTLIVES_NAMESPACE: Mutant = Mutant {
    name: "object-outlives-namespace",
    about: "An object outlives its namespace, and is there again in the next one of that name.",
    make: || Box::new(Outlives::default()),
};

/// Sets or removes a field of a spec that is being written and has it.
fn spec(request: &mut Request, field: &str, value: Option<Value>) {
    let Some(spec) = request
        .body
        .as_mut()
        .and_then(|body| body.get_mut("spec"))
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    match (spec.contains_key(field), value) {
        (true, Some(value)) => _ = spec.insert(field.to_owned(), value),
        (true, None) => _ = spec.remove(field),
        (false, _) => {}
    }
}

/// The use of each quota as last shown, by the quota's uid and the name of what is counted. What would move the wrong way
/// is shown as before.
struct OneWay {
    wrong: fn(u64, u64) -> bool,
    shown: BTreeMap<(String, String), Value>,
}

impl OneWay {
    fn new(wrong: fn(u64, u64) -> bool) -> Self {
        Self {
            wrong,
            shown: BTreeMap::new(),
        }
    }
}

impl Defect for OneWay {
    fn response(&mut self, _: &Request, response: &mut Response) {
        let mut body = response.body.clone();
        let Some(uid) = body["metadata"]["uid"].as_str().map(str::to_owned) else {
            return;
        };
        let used = body.pointer_mut("/status/used");
        for (name, count) in used.and_then(Value::as_object_mut).into_iter().flatten() {
            let shown = self
                .shown
                .entry((uid.clone(), name.clone()))
                .or_insert_with(|| count.clone());
            match (digits(count), digits(shown)) {
                (Some(new), Some(old)) if (self.wrong)(new, old) => *count = shown.clone(),
                _ => *shown = count.clone(),
            }
        }
        if body != response.body {
            response.set_body(body);
        }
    }
}

/// The number before a quantity's unit. Nothing is counted in two units here, apart from zero, which has none.
fn digits(quantity: &Value) -> Option<u64> {
    let text = quantity.as_str()?;
    let end = text.find(|c: char| !c.is_ascii_digit());
    text[..end.unwrap_or(text.len())].parse().ok()
}

/// What was read in namespaces, by its path, and the paths of the namespaces that were deleted.
#[derive(Default)]
struct Outlives {
    read: BTreeMap<String, Value>,
    deleted: Vec<String>,
}

impl Defect for Outlives {
    fn response(&mut self, asked: &Request, response: &mut Response) {
        let lives = |namespace: &String| asked.path.starts_with(&format!("{namespace}/"));
        match (asked.method.as_str(), response.status) {
            ("DELETE", 200 | 202) if asked.path.starts_with("/api/v1/namespaces/") => {
                self.deleted.push(asked.path.clone());
            }
            ("GET", 200) if response.body["metadata"]["namespace"].is_string() => {
                self.read.insert(asked.path.clone(), response.body.clone());
            }
            ("GET", 404) if self.deleted.iter().any(lives) => {
                if let Some(object) = self.read.get(&asked.path) {
                    response.status = 200;
                    response.set_body(object.clone());
                }
            }
            _ => {}
        }
    }
}

/// The conditions seen so far, by the object's uid and their type.
#[derive(Default)]
struct Stay {
    seen: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Defect for Stay {
    fn response(&mut self, _: &Request, response: &mut Response) {
        let mut body = response.body.clone();
        let Some(uid) = body["metadata"]["uid"].as_str().map(str::to_owned) else {
            return;
        };
        let known = self.seen.entry(uid).or_default();
        for condition in body["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let kind = condition["type"].as_str().unwrap_or_default();
            known.insert(kind.to_owned(), condition.clone());
        }
        if body["status"].is_object() && !known.is_empty() {
            body["status"]["conditions"] = known.values().cloned().collect();
            response.set_body(body);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Method;
    use http::HeaderMap;

    #[test]
    fn only_what_is_written_is_rewritten() {
        let sent = |body: Value| {
            let mut request = Request::new(Method::POST, "/x").body(body);
            (SUSPENSION_IGNORED.make)().request(&mut request);
            (QUOTA_SCOPES_IGNORED.make)().request(&mut request);
            request.body
        };
        assert_eq!(
            sent(json!({"spec": {"suspend": true, "scopes": ["BestEffort"]}})),
            Some(json!({"spec": {"suspend": false}}))
        );
        assert_eq!(
            sent(json!({"spec": {"hard": {}}})),
            Some(json!({"spec": {"hard": {}}}))
        );
    }

    #[test]
    fn a_condition_outlives_its_cause() {
        let mut defect = (CONDITIONS_STAY.make)();
        let mut answer = |conditions: Value| {
            let body = json!({"metadata": {"uid": "u"}, "status": {"conditions": conditions}});
            let mut response = Response::new(200, HeaderMap::new(), body.to_string().into_bytes());
            defect.response(&Request::get("/x/a"), &mut response);
            response.body["status"]["conditions"].clone()
        };
        let failed = json!([{"type": "ReplicaFailure", "status": "True"}]);
        assert_eq!(answer(json!([])), json!([]));
        assert_eq!(answer(failed.clone()), failed);
        assert_eq!(answer(json!([])), failed);
    }

    #[test]
    fn a_use_moves_one_way_only() {
        let shown = |mutant: Mutant, counts: [&str; 3]| {
            let mut defect = (mutant.make)();
            counts.map(|count| {
                let body = json!({"metadata": {"uid": "u"}, "status": {"used": {"cpu": count}}});
                let bytes = body.to_string().into_bytes();
                let mut response = Response::new(200, HeaderMap::new(), bytes);
                defect.response(&Request::get("/x/a"), &mut response);
                let used = response.body["status"]["used"]["cpu"].as_str();
                used.unwrap_or_default().to_owned()
            })
        };
        let counts = ["0", "500m", "0"];
        assert_eq!(shown(QUOTA_NEVER_TAKES, counts), ["0", "0", "0"]);
        assert_eq!(shown(QUOTA_NEVER_RELEASES, counts), ["0", "500m", "500m"]);
    }
}
