//! The ways of writing an object: an update and the four kinds of patch.

use harness::api::{Collection, Method, PatchKind, Request};
use harness::check::{CheckContext, CheckResult};
use serde_json::{Value, json};

use super::steps::update;

/// A way of writing.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Update,
    Patch(PatchKind),
}

impl Way {
    /// All of them.
    pub(crate) const ALL: [Self; 5] = [
        Self::Update,
        Self::Patch(PatchKind::Strategic),
        Self::Patch(PatchKind::Apply),
        Self::Patch(PatchKind::Merge),
        Self::Patch(PatchKind::Json),
    ];

    /// For labels and messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Update => "update",
            Self::Patch(PatchKind::Strategic) => "strategic-patch",
            Self::Patch(PatchKind::Apply) => "apply",
            Self::Patch(PatchKind::Merge) => "merge-patch",
            Self::Patch(PatchKind::Json) => "json-patch",
        }
    }
}

/// One write, of the main resource or of `name/status`.
pub(crate) async fn write(
    cx: &CheckContext,
    all: &Collection,
    target: &str,
    way: Way,
    part: &Value,
) -> CheckResult<Value> {
    let Way::Patch(kind) = way else {
        return update(cx, all, target, |object| merge(object, part)).await;
    };
    let mut query = vec![("fieldValidation", "Strict")];
    let body = match kind {
        PatchKind::Json => Value::Array(operations("", part)),
        PatchKind::Merge | PatchKind::Strategic => part.clone(),
        PatchKind::Apply => {
            query.extend([("fieldManager", "assay-crud"), ("force", "true")]);
            let mut applied = part.clone();
            applied["apiVersion"] = json!(all.resource().group_version);
            applied["kind"] = json!(all.resource().kind);
            applied["metadata"]["name"] = json!(target.trim_end_matches("/status"));
            applied
        }
    };
    let request = Request::new(Method::PATCH, all.item(target))
        .content_type(kind.content_type())
        .query(&query)
        .body(body);
    let answer = cx.api().send(request).await?;
    cx.status(&format!("{} of {target}", way.name()), 200, answer)
}

/// RFC 7386, without removals.
fn merge(into: &mut Value, part: &Value) {
    match (into, part) {
        (Value::Object(fields), Value::Object(new)) => {
            for (name, value) in new {
                merge(fields.entry(name).or_insert(Value::Null), value);
            }
        }
        (into, part) => *into = part.clone(),
    }
}

/// The same change as a JSON patch: one operation for each value that is no further object. What holds the value must exist.
fn operations(place: &str, part: &Value) -> Vec<Value> {
    match part.as_object().filter(|fields| !fields.is_empty()) {
        Some(fields) => fields
            .iter()
            .flat_map(|(name, value)| operations(&format!("{place}/{name}"), value))
            .collect(),
        None => vec![json!({"op": "add", "path": place, "value": part})],
    }
}

/// The object's status has all of this; among its conditions may be others, which controllers set.
pub(crate) fn holds(cx: &CheckContext, what: &str, status: &Value, object: &Value) -> CheckResult {
    for (field, value) in status.as_object().into_iter().flatten() {
        let seen = &object["status"][field];
        let Some(conditions) = value.as_array().filter(|_| field == "conditions") else {
            cx.contains(what, value, seen)?;
            continue;
        };
        for condition in conditions {
            let same = seen
                .as_array()
                .into_iter()
                .flatten()
                .find(|other| other["type"] == condition["type"]);
            cx.contains(what, condition, same.unwrap_or(&Value::Null))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_operation_for_each_value() {
        let part = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"list": [{"c": 1}]}, "status": {"allocation": {}}});
        assert_eq!(
            operations("", &part),
            [
                json!({"op": "add", "path": "/metadata/labels/a", "value": "b"}),
                json!({"op": "add", "path": "/spec/list", "value": [{"c": 1}]}),
                json!({"op": "add", "path": "/status/allocation", "value": {}}),
            ]
        );
    }

    #[test]
    fn merging_keeps_what_is_not_named() {
        let mut object = json!({"spec": {"a": 1, "b": [1]}});
        merge(&mut object, &json!({"spec": {"b": [2]}, "status": {}}));
        assert_eq!(object, json!({"spec": {"a": 1, "b": [2]}, "status": {}}));
    }
}
