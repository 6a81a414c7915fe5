//! What checks need and what a server offers: discovered once, so that what is not served is skipped with its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use super::Check;
use crate::api::{Api, ApiError, Response};
use crate::callback::{self, Callback, Place};
use crate::kubectl::{Found, Kubectl};

/// What a check needs of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// A resource or subresource in discovery: group version, plural (`deployments/scale`).
    Resource(&'static str, &'static str),
    /// A verb on a resource: group version, plural, verb.
    Verb(&'static str, &'static str, &'static str),
    /// At least this minor version of Kubernetes.
    Since(u32),
    /// A kubectl binary on this machine, within the version skew of the server.
    Kubectl,
    /// A behaviour that a distribution may declare it lacks, such as `quota`, `garbage-collection`.
    Behaviour(&'static str),
    /// An address of this host that the server can call: for webhooks and aggregated groups.
    Callback,
}

impl Requirement {
    /// Webhooks for admission.
    pub const WEBHOOKS: Self = Self::Resource(
        "admissionregistration.k8s.io/v1",
        "validatingwebhookconfigurations",
    );
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resource(group_version, plural) => {
                write!(f, "resource {plural} of {group_version}")
            }
            Self::Verb(group_version, plural, verb) => {
                write!(f, "verb {verb} on {plural} of {group_version}")
            }
            Self::Since(minor) => write!(f, "Kubernetes 1.{minor} or newer"),
            Self::Kubectl => f.write_str("a kubectl that fits the server"),
            Self::Behaviour(name) => write!(f, "behaviour {name}"),
            Self::Callback => f.write_str("calls to an address of this host"),
        }
    }
}

/// What a server offers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Offer {
    /// Minor version; 0 where the server tells none.
    pub minor: u32,
    /// `gitVersion` as told.
    pub version: String,
    /// Verbs by group version and plural.
    pub resources: BTreeMap<(String, String), BTreeSet<String>>,
    /// Group versions that the server lists and did not describe, with what it answered instead.
    pub unanswered: BTreeMap<String, String>,
    /// Behaviours that the distribution declares it lacks.
    pub lacks: BTreeSet<String>,
    /// Whether and where the server can call this host.
    pub callback: Callback,
    /// The kubectl of this machine, which is no offer of the server's but must fit it.
    pub kubectl: Found,
}

impl Offer {
    /// Asks the server. A group that it lists and does not describe is kept with the reason: what that group offers is
    /// not known, and a check that needs it cannot be examined.
    ///
    /// # Errors
    /// When the server cannot be reached, or answers `/version`, `/api` or `/apis` with anything but 200.
    pub async fn discover(api: &Api, lacks: &[&str]) -> Result<Self, ApiError> {
        let version = root(api, "/version").await?;
        let minor = version["minor"]
            .as_str()
            .unwrap_or_default()
            .trim_end_matches('+')
            .parse()
            .unwrap_or(0);
        let mut offer = Self {
            minor,
            version: version["gitVersion"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            lacks: lacks.iter().map(|name| (*name).to_owned()).collect(),
            ..Self::default()
        };
        let core = root(api, "/api").await?;
        let versions = core["versions"].as_array().into_iter().flatten();
        let mut served = versions
            .filter_map(|version| version.as_str().map(str::to_owned))
            .collect::<Vec<_>>();
        let groups = root(api, "/apis").await?;
        for group in groups["groups"].as_array().into_iter().flatten() {
            let versions = group["versions"].as_array().into_iter().flatten();
            served.extend(
                versions.filter_map(|version| version["groupVersion"].as_str().map(str::to_owned)),
            );
        }
        for group_version in served {
            let answer = api.get(&crate::api::group_root(&group_version)).await;
            offer.describe(group_version, answer);
        }
        offer.kubectl = Kubectl::find(offer.minor).await;
        Ok(offer)
    }

    /// Takes in what the server says of a group version that it lists.
    fn describe(&mut self, group_version: String, answer: Result<Response, ApiError>) {
        let list = match answer {
            Ok(answer) if answer.status == 200 && answer.body["resources"].is_array() => {
                answer.body
            }
            other => {
                let seen = other.map_or_else(|fault| fault.to_string(), |it| it.summary());
                self.unanswered.insert(group_version, seen);
                return;
            }
        };
        for entry in list["resources"].as_array().into_iter().flatten() {
            let verbs = entry["verbs"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|verb| verb.as_str().map(str::to_owned));
            let name = entry["name"].as_str().unwrap_or_default().to_owned();
            self.resources
                .insert((group_version.clone(), name), verbs.collect());
        }
    }

    /// Why it is not known whether one of these is met: its group is listed and did not answer; `None` where that is
    /// known of all.
    #[must_use]
    pub fn unknown(&self, requirements: &[Requirement]) -> Option<String> {
        requirements.iter().find_map(|requirement| {
            let (Requirement::Resource(group_version, _)
            | Requirement::Verb(group_version, _, _)) = requirement
            else {
                return None;
            };
            let answered = self.unanswered.get(*group_version)?;
            Some(format!(
                "it needs {requirement}, and the server lists {group_version} without describing it: {answered}"
            ))
        })
    }

    /// Finds out whether the server can call this host, where one of `checks` needs that.
    pub async fn with_callback(
        mut self,
        api: &Api,
        place: Result<Place, String>,
        checks: &[&Check],
        patience: u32,
    ) -> Self {
        let needed = checks
            .iter()
            .any(|check| check.requires.contains(&Requirement::Callback));
        self.callback = match place {
            Err(why) => Callback::Nowhere(why),
            Ok(place) if needed && self.meets(Requirement::WEBHOOKS) => {
                callback::probe(api, place, patience).await
            }
            Ok(place) => Callback::At(place),
        };
        self
    }

    /// Whether it has this.
    #[must_use]
    pub fn meets(&self, requirement: Requirement) -> bool {
        let verbs = |group_version: &str, plural: &str| {
            self.resources
                .get(&(group_version.to_owned(), plural.to_owned()))
        };
        match requirement {
            Requirement::Resource(group_version, plural) => verbs(group_version, plural).is_some(),
            Requirement::Verb(group_version, plural, verb) => {
                verbs(group_version, plural).is_some_and(|verbs| verbs.contains(verb))
            }
            Requirement::Since(minor) => self.minor >= minor,
            Requirement::Kubectl => matches!(self.kubectl, Found::Is(_)),
            Requirement::Behaviour(name) => !self.lacks.contains(name),
            Requirement::Callback => matches!(self.callback, Callback::At(_)),
        }
    }

    /// The requirements that it does not meet, named; `None` where it meets all.
    #[must_use]
    pub fn missing(&self, requirements: &[Requirement]) -> Option<String> {
        let missing = requirements
            .iter()
            .filter(|requirement| !self.meets(**requirement))
            .collect::<Vec<_>>();
        let served = missing
            .iter()
            .filter(|requirement| ***requirement != Requirement::Kubectl)
            .map(|requirement| match (requirement, &self.callback) {
                (Requirement::Callback, Callback::Nowhere(why)) => format!("{requirement} ({why})"),
                _ => requirement.to_string(),
            })
            .collect::<Vec<_>>();
        match (&self.kubectl, missing.is_empty(), served.is_empty()) {
            (_, true, _) => None,
            (Found::Not(reason), _, true) => Some(reason.clone()),
            _ => Some(format!("the server does not offer: {}", served.join(", "))),
        }
    }
}

/// What the server answers at a root of its API; any refusal would read as an empty offer.
async fn root(api: &Api, path: &str) -> Result<Value, ApiError> {
    let answer = api.get(path).await?;
    if answer.status == 200 {
        return Ok(answer.body);
    }
    Err(ApiError::Refused {
        request: format!("GET {path}"),
        seen: answer.summary(),
    })
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn a_group_that_does_not_answer_is_unknown_and_not_absent() {
        let answer = |status, body: &str| {
            Ok(Response::new(
                status,
                HeaderMap::new(),
                body.as_bytes().to_vec(),
            ))
        };
        let mut offer = Offer::default();
        offer.describe(
            "apps/v1".to_owned(),
            answer(
                200,
                r#"{"resources": [{"name": "deployments", "verbs": ["get"]}]}"#,
            ),
        );
        offer.describe("a/v1".to_owned(), answer(503, "{}"));
        offer.describe("b/v1".to_owned(), answer(200, r#"{"resources": 1}"#));
        assert!(offer.meets(Requirement::Verb("apps/v1", "deployments", "get")));
        let of = |requirement| offer.unknown(&[requirement]).unwrap_or_default();
        assert_eq!(of(Requirement::Resource("apps/v1", "none")), "");
        assert_eq!(of(Requirement::Resource("c/v1", "none")), "");
        let why = of(Requirement::Resource("a/v1", "as"));
        assert!(
            why.starts_with("it needs resource as of a/v1") && why.contains("503"),
            "{why}"
        );
        assert!(!of(Requirement::Verb("b/v1", "bs", "get")).is_empty());
    }

    #[test]
    fn what_is_missing_is_named() {
        let verbs = BTreeSet::from(["get".to_owned()]);
        let offer = Offer {
            minor: 21,
            resources: BTreeMap::from([(("v1".to_owned(), "configmaps".to_owned()), verbs)]),
            lacks: BTreeSet::from(["quota".to_owned()]),
            ..Offer::default()
        };
        assert_eq!(
            offer.missing(&[
                Requirement::Resource("v1", "configmaps"),
                Requirement::Since(21)
            ]),
            None
        );
        let needs = [
            Requirement::Verb("v1", "configmaps", "watch"),
            Requirement::Since(27),
            Requirement::Behaviour("quota"),
        ];
        let missing = offer.missing(&needs).unwrap_or_default();
        assert_eq!(
            missing,
            "the server does not offer: verb watch on configmaps of v1, Kubernetes 1.27 or newer, behaviour quota"
        );
    }
}
