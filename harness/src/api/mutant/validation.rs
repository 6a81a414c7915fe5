//! Defects of field validation: unknown and repeated fields that pass unnoticed.

use super::{Answers, Asks, Mutant};
use crate::api::{Method, Request};

/// All of this file.
pub(super) const ALL: &[Mutant] = &[
    FIELD_VALIDATION_IGNORED,
    DUPLICATE_FIELDS_ACCEPTED,
    REFUSAL_NAMES_NO_FIELD,
    EXPIRED_WITHOUT_CONTINUE,
];

/// `fieldValidation` is ignored.
pub const FIELD_VALIDATION_IGNORED: Mutant = Mutant {
    name: "field-validation-ignored",
    about: "A write with fieldValidation=Strict is validated no more strictly than any other.",
    make: || {
        Box::new(Asks(|request| {
            for (name, value) in &mut request.query {
                if name == "fieldValidation" {
                    *value = "Ignore".to_owned();
                }
            }
        }))
    },
};
/// The last of equal keys wins, silently.
pub const DUPLICATE_FIELDS_ACCEPTED: Mutant = Mutant {
    name: "duplicate-fields-accepted",
    about: "Of a field that is given twice the last is taken, whatever fieldValidation says.",
    make: || Box::new(Asks(merge_duplicates)),
};
/// A refusal does not say which field it is about.
pub const REFUSAL_NAMES_NO_FIELD: Mutant = Mutant {
    name: "refusal-names-no-field",
    about: "A refusal has its status and reason, and its message names no field.",
    make: || {
        Box::new(Answers(|asked, response| {
            let write = asked.method == Method::POST || asked.method == Method::PATCH;
            if write && response.status >= 400 && response.body["kind"] == "Status" {
                let mut body = response.body.clone();
                body["message"] = "the object is not valid".into();
                body.as_object_mut().map(|status| status.remove("details"));
                response.set_body(body);
            }
        }))
    },
};
/// An expired token leads nowhere.
pub const EXPIRED_WITHOUT_CONTINUE: Mutant = Mutant {
    name: "chunk-expired-without-continue",
    about: "The refusal of an expired continue token carries no token to go on with.",
    make: || {
        Box::new(Answers(|_, response| {
            if response.status == 410 && response.body["metadata"]["continue"].is_string() {
                let mut body = response.body.clone();
                body["metadata"]["continue"] = "".into();
                response.set_body(body);
            }
        }))
    },
};

/// Drops each line of YAML that is followed by one with the same key and indentation, or rewrites JSON from its values.
fn merge_duplicates(request: &mut Request) {
    let Some(raw) = &request.raw_body else {
        return;
    };
    let merged = match serde_json::from_str::<serde_json::Value>(raw) {
        Ok(value) => value.to_string(),
        Err(_) => {
            let lines = raw.lines().collect::<Vec<_>>();
            let key = |line: &str| line.split_once(':').map(|(key, _)| key.to_owned());
            let kept = lines.iter().enumerate().filter(|(at, line)| {
                let next = lines.get(at + 1).and_then(|next| key(next));
                next.is_none() || next != key(line)
            });
            kept.map(|(_, line)| *line).collect::<Vec<_>>().join("\n")
        }
    };
    request.raw_body = Some(merged);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_equal_keys_stays() {
        let merged = |raw: &str| {
            let mut request = Request::new(Method::POST, "/x").raw(raw, "application/json");
            merge_duplicates(&mut request);
            request.raw_body.unwrap_or_default()
        };
        assert_eq!(merged(r#"{"a":1,"a":2}"#), r#"{"a":2}"#);
        assert_eq!(
            merged("spec:\n  a: 1\n  a: 2\n  b: 3"),
            "spec:\n  a: 2\n  b: 3"
        );
    }
}
