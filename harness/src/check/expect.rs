//! Assertions: each counts one fact, and a failure says what was expected and what was seen.

use std::fmt::Debug;

use serde_json::Value;

use super::{CheckContext, CheckFault, CheckResult};
use crate::api::{RUN_LABEL, Response};

/// Characters of one value shown in a message; the rest is in the evidence.
const SHOWN: usize = 400;

impl CheckContext {
    /// `holds`, or Failed with what was seen instead.
    ///
    /// # Errors
    /// Failed when it does not hold.
    pub fn expect(&self, what: &str, holds: bool, seen: impl FnOnce() -> String) -> CheckResult {
        self.count();
        if holds {
            Ok(())
        } else {
            Err(CheckFault::Failed(format!(
                "expected {what}; seen: {}",
                short(&seen())
            )))
        }
    }

    /// `seen` equals `expected`.
    ///
    /// # Errors
    /// Failed when it does not.
    pub fn expect_eq<E, S>(&self, what: &str, expected: E, seen: S) -> CheckResult
    where
        E: Debug,
        S: PartialEq<E> + Debug,
    {
        self.count();
        if seen == expected {
            return Ok(());
        }
        Err(CheckFault::Failed(format!(
            "{what}: expected {}; seen: {}",
            short(&format!("{expected:?}")),
            short(&format!("{seen:?}"))
        )))
    }

    /// The answer has this status. Gives its body.
    ///
    /// # Errors
    /// Failed when it has another.
    pub fn status(&self, what: &str, expected: u16, answer: Response) -> CheckResult<Value> {
        self.count();
        if answer.status == expected {
            return Ok(answer.body);
        }
        Err(CheckFault::Failed(format!(
            "{what}: expected status {expected}; seen: {}",
            short(&answer.summary())
        )))
    }

    /// The answer is a refusal with this status and reason, in the form of a Status object.
    ///
    /// # Errors
    /// Failed when it is anything else.
    pub fn refused(&self, what: &str, status: u16, reason: &str, answer: &Response) -> CheckResult {
        self.expect_eq(&format!("{what}: status"), status, answer.status)?;
        self.expect_eq(
            &format!("{what}: kind"),
            "Status",
            answer.body["kind"].as_str().unwrap_or_default(),
        )?;
        self.expect_eq(&format!("{what}: reason"), reason, answer.reason())
    }

    /// Everything in `part` is in `whole` too, with the same value; `whole` may hold more. Lists must be equal in length.
    ///
    /// # Errors
    /// Failed with the first difference's place.
    pub fn contains(&self, what: &str, part: &Value, whole: &Value) -> CheckResult {
        self.count();
        match difference("", part, whole) {
            None => Ok(()),
            Some((place, expected, seen)) => Err(CheckFault::Failed(format!(
                "{what}: at {place} expected {}; seen: {}",
                short(&expected.to_string()),
                short(&seen.to_string())
            ))),
        }
    }

    /// A non-empty text at this JSON pointer.
    ///
    /// # Errors
    /// Failed when there is none.
    pub fn text<'v>(&self, what: &str, value: &'v Value, pointer: &str) -> CheckResult<&'v str> {
        self.count();
        let found = value.pointer(pointer);
        found
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| {
                CheckFault::Failed(format!(
                    "{what}: expected a text at {pointer}; seen: {}",
                    short(&format!("{found:?}"))
                ))
            })
    }

    /// The items of a list answer.
    ///
    /// # Errors
    /// Failed when it is not 200 or has none.
    pub fn items(&self, what: &str, answer: Response) -> CheckResult<Vec<Value>> {
        let body = self.status(what, 200, answer)?;
        match body.get("items") {
            Some(Value::Array(items)) => Ok(items.clone()),
            // A Go server may write an empty list as null.
            Some(Value::Null) => Ok(Vec::new()),
            _ => Err(CheckFault::Failed(format!(
                "{what}: expected a list with items; seen: {}",
                short(&body.to_string())
            ))),
        }
    }

    /// The names in a list answer, sorted.
    ///
    /// # Errors
    /// As [`CheckContext::items`].
    pub fn names(&self, what: &str, answer: Response) -> CheckResult<Vec<String>> {
        let mut names = self
            .items(what, answer)?
            .iter()
            .map(|item| name(item).to_owned())
            .collect::<Vec<_>>();
        names.sort();
        Ok(names)
    }

    /// A list answer holds exactly these names, in any order.
    ///
    /// # Errors
    /// Failed when it does not.
    pub fn only(&self, what: &str, expected: &[&str], answer: Response) -> CheckResult {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let names = self.names(what, answer)?;
        self.expect_eq(what, expected, names)
    }

    /// The selector for everything that this run made.
    #[must_use]
    pub fn run_selector(&self) -> String {
        format!("{RUN_LABEL}={}", self.api().run())
    }
}

/// An object's name; empty where it has none.
#[must_use]
pub fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

fn difference(place: &str, part: &Value, whole: &Value) -> Option<(String, Value, Value)> {
    match (part, whole) {
        (Value::Object(fields), Value::Object(seen)) => fields.iter().find_map(|(field, value)| {
            difference(
                &format!("{place}/{field}"),
                value,
                seen.get(field).unwrap_or(&Value::Null),
            )
        }),
        (Value::Array(items), Value::Array(seen)) if items.len() == seen.len() => items
            .iter()
            .zip(seen)
            .enumerate()
            .find_map(|(at, (item, seen))| difference(&format!("{place}/{at}"), item, seen)),
        _ if part == whole => None,
        _ => Some((place.to_owned(), part.clone(), whole.clone())),
    }
}

fn short(text: &str) -> String {
    let shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        format!("{shown} [cut]")
    } else {
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_part_must_be_in_the_whole() {
        let whole = json!({"spec": {"a": 1, "b": [{"c": 2, "d": 3}]}, "status": {}});
        assert_eq!(
            difference("", &json!({"spec": {"b": [{"c": 2}]}}), &whole),
            None
        );
        let (place, ..) =
            difference("", &json!({"spec": {"b": [{"c": 9}]}}), &whole).unwrap_or_default();
        assert_eq!(place, "/spec/b/0/c");
        let (place, ..) = difference("", &json!({"spec": {"e": 1}}), &whole).unwrap_or_default();
        assert_eq!(place, "/spec/e");
        assert!(difference("", &json!({"spec": {"b": []}}), &whole).is_some());
        assert!(difference("", &json!({"spec": {"a": {}}}), &whole).is_some());
    }
}
