//! The last exchanges of one check, kept as evidence for a failure: capped, escaped, secrets redacted.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

use super::{Request, Response};

/// Exchanges kept for one check.
const KEPT: usize = 12;
/// Bytes kept of one exchange's text.
const CAP: usize = 4096;
/// A longer answer is told by its length alone: to redact all of it for the few kilobytes that are kept would cost seconds,
/// as with an OpenAPI document of several megabytes.
const LONG: usize = 1 << 20;
/// What stands in place of a secret.
const REDACTED: &str = "[redacted]";
/// Fields whose text is a credential wherever they appear.
const SECRET_FIELDS: [&str; 9] = [
    "token",
    "access_token",
    "id_token",
    "authorization",
    "password",
    "client-key-data",
    "client-certificate-data",
    "bearertoken",
    "tls.key",
];

/// A small ring of exchanges.
#[derive(Debug, Default)]
pub struct Evidence {
    ring: Mutex<VecDeque<String>>,
    off: bool,
}

impl Evidence {
    /// Evidence that keeps nothing, for load: rendering each exchange would cost more than sending it.
    #[must_use]
    pub fn off() -> Self {
        Self {
            off: true,
            ..Self::default()
        }
    }

    /// Keeps one request and its answer.
    pub fn exchange(&self, request: &Request, response: &Response) {
        if self.off {
            return;
        }
        let secret = names_secrets(&request.path);
        let asked = match (&request.body, &request.raw_body) {
            (Some(body), _) => format!(" {}", redacted(body, secret)),
            (None, Some(raw)) if !secret => format!(" {raw}"),
            _ => String::new(),
        };
        let answered = if response.bytes.len() > LONG {
            format!("[{} bytes]", response.bytes.len())
        } else if response.body.is_null() {
            if secret {
                REDACTED.to_owned()
            } else {
                response.text()
            }
        } else {
            redacted(&response.body, secret).to_string()
        };
        let half = CAP / 2;
        self.keep(format!(
            "{request}{} -> {} {}",
            capped(&asked, half),
            response.status,
            capped(&answered, half)
        ));
    }

    /// Keeps a line of a watch.
    pub fn line(&self, request: &Request, event: &Value) {
        self.keep(format!(
            "{request} ~> {}",
            redacted(event, names_secrets(&request.path))
        ));
    }

    /// Keeps a fault.
    pub fn fault(&self, request: &Request, fault: &str) {
        self.keep(format!("{request} -> {fault}"));
    }

    /// What is kept, oldest first.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.ring
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
    }

    fn keep(&self, text: String) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back(capped(&escaped(&text), CAP));
    }
}

fn names_secrets(path: &str) -> bool {
    path.split('/')
        .any(|part| part == "secrets" || part == "token" || part == "tokenreviews")
}

/// A copy without secrets. With `secret`, the data of every object in it counts as secret.
fn redacted(value: &Value, secret: bool) -> Value {
    match value {
        Value::Object(fields) => {
            let secret = secret
                || matches!(
                    fields.get("kind").and_then(Value::as_str),
                    Some("Secret" | "SecretList")
                );
            let clean = fields.iter().map(|(name, field)| {
                let hidden = SECRET_FIELDS.contains(&name.to_ascii_lowercase().as_str())
                    && field.is_string();
                let data = secret && (name == "data" || name == "stringData");
                // kubectl and this ring's own users may keep a whole object in an annotation.
                let copy = secret && name.ends_with("last-applied-configuration");
                let field = if hidden || copy {
                    Value::from(REDACTED)
                } else if data {
                    blanked(field)
                } else {
                    redacted(field, secret)
                };
                (name.clone(), field)
            });
            Value::Object(clean.collect())
        }
        // A JSON patch of a Secret carries the data in `value`; its operations are arrays of objects.
        Value::Array(items) => items
            .iter()
            .map(|item| {
                if secret {
                    patched(item)
                } else {
                    redacted(item, false)
                }
            })
            .collect(),
        other => other.clone(),
    }
}

fn patched(item: &Value) -> Value {
    let mut item = redacted(item, true);
    if item.get("op").is_some() && item.get("value").is_some() {
        item["value"] = Value::from(REDACTED);
    }
    item
}

/// Keeps the keys, so that a reader sees which entries there were.
fn blanked(field: &Value) -> Value {
    match field {
        Value::Object(entries) => entries
            .keys()
            .map(|name| (name.clone(), Value::from(REDACTED)))
            .collect(),
        Value::Null => Value::Null,
        _ => Value::from(REDACTED),
    }
}

/// What a device sends is hostile text: no control or direction-changing character reaches a terminal or a page.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let hostile = c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            if hostile { c.escape_unicode().collect::<Vec<_>>() } else { vec![c] }
        })
        .collect()
}

fn capped(text: &str, cap: usize) -> String {
    if text.len() <= cap {
        return text.to_owned();
    }
    let mark = " [cut]";
    let mut end = cap - mark.len();
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;
    use serde_json::json;

    fn kept(request: &Request, answer: &Value) -> String {
        let evidence = Evidence::default();
        evidence.exchange(
            request,
            &Response::new(200, HeaderMap::new(), answer.to_string().into_bytes()),
        );
        evidence.lines().remove(0)
    }

    #[test]
    fn secrets_never_enter_the_evidence() {
        let request = Request::new(http::Method::PATCH, "/api/v1/namespaces/n/secrets/s")
            .body(json!([{"op": "add", "path": "/data/a", "value": "aHVudGVyMg=="}]));
        let text = kept(
            &request,
            &json!({"kind": "Secret", "data": {"a": "aHVudGVyMg=="}, "stringData": {"b": "hunter2"}}),
        );
        assert!(
            !text.contains("hunter2") && !text.contains("aHVudGVyMg"),
            "{text}"
        );
        assert!(text.contains(r#""data":{"a":"[redacted]"}"#), "{text}");
    }

    #[test]
    fn lists_of_secrets_and_tokens_are_redacted() {
        let text = kept(
            &Request::get("/api/v1/secrets"),
            &json!({"kind": "SecretList", "items": [{"data": {"a": "c2VjcmV0"}}]}),
        );
        assert!(!text.contains("c2VjcmV0"), "{text}");
        let text = kept(
            &Request::get("/x"),
            &json!({"kind": "TokenRequest", "status": {"token": "eyJh"}}),
        );
        assert!(!text.contains("eyJh"), "{text}");
    }

    #[test]
    fn exchanges_are_capped_and_escaped() {
        let text = kept(&Request::get("/x"), &json!({"message": "a".repeat(9000)}));
        assert!(
            text.len() <= CAP && text.ends_with("[cut]"),
            "{}",
            text.len()
        );
        assert_eq!(escaped("a\u{1b}[2J\u{202e}"), r"a\u{1b}[2J\u{202e}");
    }

    #[test]
    fn a_very_long_answer_is_told_by_its_length() {
        let text = kept(&Request::get("/x"), &json!({"a": "a".repeat(LONG)}));
        assert_eq!(text, format!("GET /x -> 200 [{} bytes]", LONG + 8));
    }

    #[test]
    fn the_ring_keeps_the_last_exchanges() {
        let evidence = Evidence::default();
        for number in 0..30 {
            evidence.fault(&Request::get(format!("/{number}")), "x");
        }
        assert_eq!(evidence.lines().len(), KEPT);
        assert!(evidence.lines()[KEPT - 1].starts_with("GET /29"));
    }
}
