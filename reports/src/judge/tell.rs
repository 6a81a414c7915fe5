//! How findings name operations: who, when, which key, which revision.

use super::case::{Case, Commit};
use super::claim::{Claim, Content, Source};
use crate::history::{Answer, Key, Listing, Nanos, Operation, Request, Revision};
use crate::text;

/// Names of keys and servers' words are another's text.
const NAME: usize = 120;

/// A key's name.
pub(super) fn key(case: &Case<'_>, key: Key) -> String {
    let name = case.history.header.keys.get(key as usize);
    name.map_or_else(|| format!("key {key}"), |name| text::plain(name, NAME))
}

/// A time since the history's origin, or a length, in seconds or milliseconds.
pub(super) fn duration(nanos: Nanos) -> String {
    crate::format::millis(nanos as f64 / 1e6)
}

fn interval(call: Nanos, end: Nanos) -> String {
    format!("{:.6} to {:.6} s", call as f64 / 1e9, end as f64 / 1e9)
}

/// A request and its answer.
pub(super) fn operation(case: &Case<'_>, operation: &Operation) -> String {
    let asked = match operation.request {
        Request::Create { value } => format!("create of value {value}"),
        Request::Update { value, expected } => {
            format!("update of revision {expected} to value {value}")
        }
        Request::Delete { expected } => format!("delete of revision {expected}"),
        Request::Get => "get".to_owned(),
    };
    let version = |version: &Option<crate::history::Version>| match version {
        Some(version) => format!("value {} of revision {}", version.value, version.revision),
        None => "nothing".to_owned(),
    };
    let at = |revision: &Option<Revision>| match revision {
        Some(revision) => format!(" at revision {revision}"),
        None => String::new(),
    };
    let answered = match &operation.answer {
        Answer::Written { revision } => format!("done{}", at(revision)),
        Answer::Conflict { current, revision } => match current {
            Some(_) => format!("conflict with {}{}", version(current), at(revision)),
            None => format!("conflict{}", at(revision)),
        },
        Answer::Read { found, revision } => format!("{}{}", version(found), at(revision)),
        Answer::Refused { reason } => format!("refused ({})", text::plain(reason, NAME)),
        Answer::Unknown { reason } => format!("no answer ({})", text::plain(reason, NAME)),
    };
    format!(
        "client {}, {}, {}: {asked}: {answered}",
        operation.client,
        interval(operation.call, operation.end),
        key(case, operation.key)
    )
}

/// A list, without its items.
pub(super) fn listing(list: &Listing) -> String {
    let kind = if list.is_final { "final list" } else { "list" };
    let pages = match list.pages {
        0 | 1 => String::new(),
        pages => format!(" in {pages} pages of {}", list.limit),
    };
    format!(
        "client {}, {}: {kind} at revision {}{pages}, {} items",
        list.client,
        interval(list.call, list.end),
        list.revision,
        list.items.len()
    )
}

/// A version, and the request that wrote it if one is known.
pub(super) fn commit(case: &Case<'_>, commit: &Commit) -> String {
    match commit.writer {
        Some(writer) => operation(case, case.request(writer)),
        None => content(case, commit.key, commit.content, commit.revision),
    }
}

fn content(case: &Case<'_>, at: Key, content: Content, revision: Revision) -> String {
    let key = key(case, at);
    match content {
        Content::Put(value) => format!("{key} = value {value} of revision {revision}"),
        Content::Deleted => format!("{key} deleted at revision {revision}"),
    }
}

/// A claim: what is said, and where.
pub(super) fn claim(case: &Case<'_>, claim: &Claim) -> String {
    let said = content(case, claim.key, claim.content, claim.revision);
    let by = match claim.source {
        Source::Write(index) | Source::Read(index) => operation(case, case.request(index)),
        Source::List(index) => listing(&case.history.listings[index]),
        Source::Watch(index) => {
            let watched = &case.history.watched[index];
            format!(
                "watch {} at {:.6} s",
                watched.watch,
                watched.at as f64 / 1e9
            )
        }
    };
    format!("{said}, said by: {by}")
}
