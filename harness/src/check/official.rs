//! Which list of official names a server is judged by, what of it is required, and which checks answer it.

use fixtures::official::{self, OfficialName, Tier};
use fixtures::reference::BUILD;
use reports::official::{Answer, ListedName, OfficialList};

use super::{Check, CheckFault, Offer, Requirement};

/// The list that applies to a server.
struct Standard {
    minor: Option<u32>,
    required: bool,
    note: Option<String>,
}

/// The list of the server's own minor version. A newer server is judged by the newest list there is, of which then
/// nothing is required, for a later version may have dropped an API. An older one has no list.
fn standard(offer: &Offer) -> Standard {
    let (oldest, newest) = (official::oldest(), official::newest());
    let claims = claims_kubernetes(offer);
    let (minor, note) = match offer.minor {
        0 => (
            None,
            Some("the server tells no minor version, so no list of official tests applies".to_owned()),
        ),
        minor if minor < oldest => (
            None,
            Some(format!(
                "the lists of official tests begin with v1.{oldest}, and the server is v1.{minor}: none applies"
            )),
        ),
        minor if minor > newest => (
            Some(newest),
            Some(format!(
                "the server is v1.{minor}, newer than every list of official tests known here: the list is that of \
                 v1.{newest}, later tests are missing, and nothing is required"
            )),
        ),
        minor if !claims => (
            Some(minor),
            Some("the server is assay's specimen and makes no claim to be Kubernetes: nothing is required of it, and \
                  what it does not serve is skipped".to_owned()),
        ),
        minor => (Some(minor), None),
    };
    Standard {
        required: claims && minor == Some(offer.minor),
        minor,
        note,
    }
}

/// Whether a server claims to be Kubernetes, by what it says of its build: the specimen says that it is one, also
/// where it is met by a kubeconfig.
fn claims_kubernetes(offer: &Offer) -> bool {
    !offer.version.is_empty() && !offer.version.ends_with(BUILD)
}

/// Why a check cannot run on a server that lacks what it requires; `None` where it can.
///
/// Where the server lists a group and does not describe it, nobody knows what it lacks: that is no verdict. Otherwise it
/// is a failure where the check answers an official test of the server's own version and what is missing is a
/// part of the API. What a distribution declares to lack, and a check that asks for a newer version than its official
/// test does, are skipped: neither shows that the server lacks what the test needs.
pub(super) fn lacking(check: &Check, offer: &Offer) -> Option<CheckFault> {
    if let Some(unknown) = offer.unknown(check.requires) {
        return Some(CheckFault::Errored(unknown));
    }
    let missing = offer.missing(check.requires)?;
    let required = required(check, offer);
    let served = |need: &&Requirement| {
        matches!(need, Requirement::Resource(..) | Requirement::Verb(..)) && !offer.meets(**need)
    };
    let lacks: Vec<String> = check
        .requires
        .iter()
        .filter(served)
        .map(ToString::to_string)
        .collect();
    let only_api = check
        .requires
        .iter()
        .filter(|need| !offer.meets(**need))
        .count()
        == lacks.len();
    Some(match required {
        Some(name) if only_api => CheckFault::Failed(format!(
            "official for v1.{} ({}), and the server lacks {}",
            offer.minor,
            name.name,
            lacks.join(", ")
        )),
        _ => CheckFault::Skipped(missing),
    })
}

/// A name of the server's own list that a check answers and that the server must therefore meet.
fn required(check: &Check, offer: &Offer) -> Option<&'static OfficialName> {
    if !standard(offer).required {
        return None;
    }
    official::listed(offer.minor).find(|listed| {
        let answered = listed.answered_by();
        check.names().any(|name| answered.contains(&name))
    })
}

/// The list that applies to a server, with the checks of `every` that answer its names; those that are not in
/// `selected` are marked as not chosen.
#[must_use]
pub fn official_list(offer: &Offer, every: &[&Check], selected: &[&Check]) -> OfficialList {
    let Standard {
        minor,
        required,
        note,
    } = standard(offer);
    let listed = minor.into_iter().flat_map(official::listed);
    OfficialList {
        minor,
        required,
        note,
        names: listed
            .map(|name| listed_name(name, every, selected))
            .collect(),
    }
}

fn listed_name(listed: &OfficialName, every: &[&Check], selected: &[&Check]) -> ListedName {
    let parts = listed.answered_by();
    let binds = |name: &'static str| {
        every
            .iter()
            .filter(move |check| check.names().any(|own| own == name))
    };
    // A test that was split is answered when each of its parts is.
    let whole = parts.iter().all(|part| binds(part).next().is_some());
    let mut answers: Vec<Answer> = Vec::new();
    for (part, check) in parts
        .iter()
        .flat_map(|part| binds(part).map(move |check| (part, check)))
    {
        let restated = listed.tier == Tier::R || check.restates.contains(part);
        match answers.iter_mut().find(|answer| answer.check == check.id) {
            Some(answer) => answer.restated |= restated,
            None => answers.push(Answer {
                check: check.id.to_owned(),
                restated,
                unselected: !selected.iter().any(|chosen| chosen.id == check.id),
            }),
        }
    }
    ListedName {
        name: listed.name.to_owned(),
        tier: listed.tier.letter().to_owned(),
        incomplete: !whole && !answers.is_empty(),
        answers,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const EVENT: &str = "[sig-instrumentation] Events should manage the lifecycle of an event";
    const FLOW: &str =
        "[sig-api-machinery] API priority and fairness should support FlowSchema API operations";
    const SLICE: &str = "[sig-network] EndpointSlice should create and delete EndpointSlices for a Service with a selector that matches no pods";
    const ENDPOINTS: &str = "[sig-network] EndpointsController should create and delete Endpoints for a Service with a selector that matches no pods";

    fn server(minor: u32, version: &str) -> Offer {
        let core = ("v1".to_owned(), "events".to_owned());
        Offer {
            minor,
            version: version.to_owned(),
            resources: [(core, BTreeSet::new())].into(),
            lacks: BTreeSet::from(["quota".to_owned()]),
            ..Offer::default()
        }
    }

    fn k3s(minor: u32) -> Offer {
        server(minor, &format!("v1.{minor}.2+k3s1"))
    }

    fn check(
        id: &'static str,
        official: &'static [&'static str],
        requires: &'static [Requirement],
    ) -> Check {
        Check {
            id,
            official,
            requires,
            ..Check::BASE
        }
    }

    const NOT_SERVED: &[Requirement] = &[Requirement::Resource("flow/v1", "flowschemas")];

    fn fault(check: &Check, offer: &Offer) -> String {
        match lacking(check, offer) {
            None => "runs".into(),
            Some(CheckFault::Failed(why)) => format!("failed: {why}"),
            Some(CheckFault::Skipped(why)) => format!("skipped: {why}"),
            Some(CheckFault::Errored(why)) => format!("errored: {why}"),
        }
    }

    #[test]
    fn what_the_servers_own_list_requires_fails_and_the_rest_is_skipped() {
        let flow = check("flow/is-served", &[FLOW], NOT_SERVED);
        let why = fault(&flow, &k3s(29));
        assert!(
            why.starts_with("failed: official for v1.29 ([sig-api-machinery] API priority"),
            "{why}"
        );
        assert!(
            why.ends_with("and the server lacks resource flowschemas of flow/v1"),
            "{why}"
        );
        // Not yet on the list; a list that is not the server's own; and no claim at all.
        for offer in [
            k3s(28),
            k3s(99),
            k3s(20),
            server(29, &format!("v1.29.0{BUILD}")),
            server(0, ""),
        ] {
            assert!(
                fault(&flow, &offer).starts_with("skipped"),
                "{}",
                offer.version
            );
        }
        let own = check("own/is-served", &[], NOT_SERVED);
        assert!(fault(&own, &k3s(29)).starts_with("skipped"));
        let served = check(
            "event/lives",
            &[EVENT],
            &[Requirement::Resource("v1", "events")],
        );
        assert_eq!(fault(&served, &k3s(29)), "runs");
    }

    #[test]
    fn what_is_declared_or_too_new_for_the_check_is_skipped() {
        const DECLARED: &[Requirement] = &[
            Requirement::Resource("v1", "nothing"),
            Requirement::Behaviour("quota"),
        ];
        const TOO_NEW: &[Requirement] = &[Requirement::Since(30)];
        for requires in [DECLARED, TOO_NEW] {
            let check = check("event/lives", &[EVENT], requires);
            assert!(fault(&check, &k3s(29)).starts_with("skipped"));
        }
    }

    #[test]
    fn an_older_text_is_answered_by_the_names_that_replaced_it() {
        let (event, slice) = (
            check("event/lives", &[EVENT], &[]),
            check("slice/empty", &[SLICE], &[]),
        );
        let restates = Check {
            id: "endpoints/empty",
            restates: &[ENDPOINTS],
            ..Check::BASE
        };
        let find = |list: &OfficialList, text: &str| {
            let name = list.names.iter().find(|listed| listed.name.contains(text));
            name.expect("it is listed").answers.clone()
        };
        let half = official_list(&k3s(21), &[&event, &slice], &[&event]);
        assert_eq!(
            (half.minor, half.required, half.names.len()),
            (Some(21), true, 339)
        );
        assert_eq!(
            find(&half, "Events should ensure that an event")[0].check,
            "event/lives"
        );
        let split = "create and delete Endpoints and EndpointSlices";
        let halves = find(&half, split);
        assert_eq!(halves.len(), 1, "the part that there is stays bound to it");
        let incomplete = half.names.iter().filter(|listed| listed.incomplete);
        assert!(
            incomplete
                .map(|listed| listed.name.as_str())
                .any(|name| name.contains(split))
        );
        let whole = official_list(&k3s(21), &[&slice, &restates], &[&slice]);
        let answers = find(&whole, "create and delete Endpoints and EndpointSlices");
        let answer = |check: &str, restated, unselected| Answer {
            check: check.into(),
            restated,
            unselected,
        };
        assert_eq!(
            answers,
            [
                answer("slice/empty", false, false),
                answer("endpoints/empty", true, true)
            ]
        );
    }

    #[test]
    fn a_list_that_is_not_the_servers_own_says_so() {
        let note = |offer: &Offer| {
            let list = official_list(offer, &[], &[]);
            (list.minor, list.required, list.note.unwrap_or_default())
        };
        assert_eq!(note(&k3s(36)), (Some(36), true, String::new()));
        let (minor, required, why) = note(&k3s(99));
        assert_eq!((minor, required), (Some(37), false));
        assert!(why.contains("v1.99, newer than every list"), "{why}");
        let (minor, required, why) = note(&k3s(16));
        assert_eq!((minor, required), (None, false));
        assert!(why.contains("begin with v1.21"), "{why}");
        let (minor, required, why) = note(&server(36, &format!("v1.36.0{BUILD}")));
        assert_eq!((minor, required), (Some(36), false));
        assert!(why.contains("specimen"), "{why}");
    }
}
