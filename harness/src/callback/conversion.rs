//! The webhook's side of the ConversionReview protocol, version 1.

use http::Method;
use serde_json::{Value, json};

use super::serve::{Answer, Call};

const API_VERSION: &str = "apiextensions.k8s.io/v1";

/// What is wrong with a call, as a review: the API server's fault.
pub(super) fn fault(call: &Call) -> Option<String> {
    let request = &call.body["request"];
    let text = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
    let wrong = if call.method != Method::POST {
        format!("the method {}", call.method)
    } else if call.body["apiVersion"] != API_VERSION || call.body["kind"] != "ConversionReview" {
        format!("{} of {}", call.body["kind"], call.body["apiVersion"])
    } else if !text(&request["uid"]) || !text(&request["desiredAPIVersion"]) {
        "no request.uid or request.desiredAPIVersion".to_owned()
    } else if !request["objects"].is_array() {
        "no request.objects".to_owned()
    } else {
        return None;
    };
    Some(format!(
        "expected a POST of a ConversionReview of {API_VERSION} at {}; seen: {wrong}",
        call.path
    ))
}

/// Converts each object of a review. One that cannot be converted fails the whole, with the reason.
pub(super) fn answer(
    call: &Call,
    convert: &(dyn Fn(Value, &str) -> Result<Value, String> + Send + Sync),
) -> Answer {
    let request = &call.body["request"];
    let desired = request["desiredAPIVersion"].as_str().unwrap_or_default();
    let objects = request["objects"].as_array().cloned().unwrap_or_default();
    let converted: Result<Vec<Value>, String> = objects
        .into_iter()
        .map(|object| {
            let mut object = convert(object, desired)?;
            object["apiVersion"] = json!(desired);
            Ok(object)
        })
        .collect();
    let response = match converted {
        Ok(objects) => {
            json!({"uid": request["uid"], "result": {"status": "Success"}, "convertedObjects": objects})
        }
        Err(message) => {
            json!({"uid": request["uid"], "result": {"status": "Failure", "message": message}})
        }
    };
    Answer {
        status: 200,
        body: json!({"apiVersion": API_VERSION, "kind": "ConversionReview", "response": response}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_converted_or_the_reason_is_told() {
        let call = Call {
            method: Method::POST,
            path: "/convert".to_owned(),
            query: String::new(),
            headers: http::HeaderMap::new(),
            body: json!({"apiVersion": API_VERSION, "kind": "ConversionReview", "request": {
                "uid": "u", "desiredAPIVersion": "example.com/v2", "objects": [{"apiVersion": "example.com/v1", "a": 1}]}}),
            client: None,
        };
        assert_eq!(fault(&call), None);
        let body = answer(&call, &|object, _| Ok(object)).body;
        assert_eq!(
            body["response"]["convertedObjects"],
            json!([{"apiVersion": "example.com/v2", "a": 1}])
        );
        let body = answer(&call, &|_, desired| Err(format!("not to {desired}"))).body;
        assert_eq!(body["response"]["result"]["status"], "Failure");
    }
}
