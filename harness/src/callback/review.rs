//! The webhook's side of the AdmissionReview protocol, version 1.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::{Value, json};

use super::serve::{Answer, Call};

const API_VERSION: &str = "admission.k8s.io/v1";

/// A webhook's decision.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The request is admitted as it is.
    Allow,
    /// It is refused, with this message.
    Deny(String),
    /// It is admitted with the operations of this JSON patch.
    Patch(Value),
    /// It is refused without a word.
    DenySilently,
    /// No answer comes.
    Hang,
}

/// What is wrong with a call, as a review: the API server's fault.
pub(super) fn fault(call: &Call) -> Option<String> {
    let request = &call.body["request"];
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let wrong = if call.method != Method::POST {
        format!("the method {}", call.method)
    } else if !call.header("content-type").starts_with("application/json") {
        format!("the content type {}", call.header("content-type"))
    } else if call.body["apiVersion"] != API_VERSION || call.body["kind"] != "AdmissionReview" {
        format!("{} of {}", call.body["kind"], call.body["apiVersion"])
    } else if !text(&request["uid"]) {
        "no request.uid".to_owned()
    } else if !text(&request["operation"]) {
        "no request.operation".to_owned()
    } else if !text(&request["kind"]["kind"]) || !text(&request["resource"]["resource"]) {
        "no request.kind or request.resource".to_owned()
    } else if !text(&request["userInfo"]["username"]) {
        "no request.userInfo.username".to_owned()
    } else if !call
        .query
        .split('&')
        .any(|pair| pair.starts_with("timeout="))
    {
        "no parameter timeout".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "expected a POST of an AdmissionReview of {API_VERSION} at {}; seen: {wrong}",
        call.path
    ))
}

/// The review that answers a call.
pub(super) fn answer(call: &Call, verdict: Verdict) -> Answer {
    let mut response = json!({"uid": call.body["request"]["uid"]});
    match verdict {
        // Who hangs is not answered at all: see the server.
        Verdict::Allow | Verdict::Hang => response["allowed"] = json!(true),
        Verdict::DenySilently => response["allowed"] = json!(false),
        Verdict::Deny(message) => {
            response["allowed"] = json!(false);
            response["status"] = json!({"code": 403, "reason": "Forbidden", "message": message});
        }
        Verdict::Patch(operations) => {
            response["allowed"] = json!(true);
            response["patchType"] = json!("JSONPatch");
            response["patch"] = json!(STANDARD.encode(operations.to_string()));
        }
    }
    Answer {
        status: 200,
        body: json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "response": response}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call() -> Call {
        let mut headers = http::HeaderMap::new();
        headers.insert(
            "content-type",
            http::HeaderValue::from_static("application/json"),
        );
        Call {
            method: Method::POST,
            path: "/deny".to_owned(),
            query: "timeout=10s".to_owned(),
            headers,
            body: json!({"apiVersion": API_VERSION, "kind": "AdmissionReview", "request": {
                "uid": "u", "operation": "CREATE", "kind": {"kind": "ConfigMap"},
                "resource": {"resource": "configmaps"}, "userInfo": {"username": "admin"}}}),
            client: None,
        }
    }

    #[test]
    fn what_is_no_review_is_told() {
        assert_eq!(fault(&call()), None);
        let mut beta = call();
        beta.body["apiVersion"] = json!("admission.k8s.io/v1beta1");
        assert!(fault(&beta).unwrap().contains("v1beta1"));
        let mut nameless = call();
        nameless.body["request"]["uid"] = json!("");
        assert!(fault(&nameless).unwrap().contains("no request.uid"));
        let mut hasty = call();
        hasty.query.clear();
        assert!(fault(&hasty).unwrap().contains("no parameter timeout"));
    }

    #[test]
    fn the_answer_has_the_uid_of_the_question() {
        let patch = json!([{"op": "add", "path": "/data/a", "value": "b"}]);
        let body = answer(&call(), Verdict::Patch(patch.clone())).body;
        assert_eq!(body["response"]["uid"], "u");
        assert_eq!(body["response"]["patchType"], "JSONPatch");
        let sent = body["response"]["patch"].as_str().unwrap();
        let sent: Value = serde_json::from_slice(&STANDARD.decode(sent).unwrap()).unwrap();
        assert_eq!(sent, patch);
        let denied = answer(&call(), Verdict::Deny("no".to_owned())).body;
        assert_eq!(denied["response"]["allowed"], false);
        assert_eq!(denied["response"]["status"]["message"], "no");
    }
}
