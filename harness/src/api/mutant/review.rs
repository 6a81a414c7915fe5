//! Defects of reviews: who somebody is and what they may do.

use serde_json::{Value, json};

use super::{Answers, Asks, Mutant};
use crate::api::Response;

/// All of this file.
pub(super) const ALL: &[Mutant] = &[REVIEW_DENIES, REVIEW_ALLOWS, IMPERSONATION_IGNORED];

/// Every review says no.
pub const REVIEW_DENIES: Mutant = Mutant {
    name: "review-denies",
    about: "Token and access reviews always say no.",
    make: || Box::new(Answers(|_, response| verdict(response, false))),
};
/// Every review says yes.
pub const REVIEW_ALLOWS: Mutant = Mutant {
    name: "review-allows",
    about: "Token and access reviews always say yes.",
    make: || Box::new(Answers(|_, response| verdict(response, true))),
};
/// A request runs with the rights of who sends it, not of whom it impersonates.
pub const IMPERSONATION_IGNORED: Mutant = Mutant {
    name: "impersonation-ignored",
    about: "A request is decided by the rights of who sends it, not of whom it impersonates.",
    make: || {
        Box::new(Asks(|request| {
            request
                .headers
                .retain(|(name, _)| !name.starts_with("Impersonate-"));
        }))
    },
};

fn verdict(response: &mut Response, yes: bool) {
    let kind = response.body["kind"].as_str().unwrap_or_default();
    let field = match kind {
        "TokenReview" => "authenticated",
        _ if kind.ends_with("AccessReview") => "allowed",
        _ => return,
    };
    let mut body = response.body.clone();
    if !body["status"].is_object() {
        body["status"] = Value::Object(serde_json::Map::new());
    }
    body["status"][field] = json!(yes);
    response.set_body(body);
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderMap;

    #[test]
    fn reviews_are_turned_round_and_nothing_else() {
        let through = |body: Value| {
            let mut response = Response::new(201, HeaderMap::new(), body.to_string().into_bytes());
            verdict(&mut response, true);
            response.body
        };
        assert_eq!(
            through(json!({"kind": "TokenReview", "status": {}}))["status"]["authenticated"],
            true
        );
        assert_eq!(
            through(json!({"kind": "SelfSubjectAccessReview"}))["status"]["allowed"],
            true
        );
        assert_eq!(through(json!({"kind": "Pod"})), json!({"kind": "Pod"}));
    }
}
