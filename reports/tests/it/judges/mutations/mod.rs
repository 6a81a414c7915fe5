//! Defects put into good histories.

mod answers;
mod lists;
mod servers;
mod watches;

use reports::history::{Answer, History, Key, Nanos, Operation, Request, Revision, Version};

use super::model::{Made, Plan, make};
use super::rng::Rng;

/// A defect, and the judge that must find it.
pub struct Mutation {
    pub name: &'static str,
    /// What the server did wrong.
    pub defect: &'static str,
    pub judge: &'static str,
    /// The plan of the history that it is put into.
    pub plan: fn(u64) -> Plan,
    /// Puts it in; `None` where this history has no place for it.
    pub mutate: fn(&mut Made, &mut Rng) -> Option<()>,
}

impl Mutation {
    /// A history with the defect in it, if the seed's has a place for it.
    pub fn made(&self, seed: u64) -> Option<History> {
        let mut made = make(&(self.plan)(seed));
        (self.mutate)(&mut made, &mut Rng::new(seed))?;
        Some(made.history)
    }
}

/// All of them.
pub fn all() -> Vec<&'static Mutation> {
    let tables = [
        servers::MUTATIONS,
        answers::MUTATIONS,
        lists::MUTATIONS,
        watches::MUTATIONS,
    ];
    tables.into_iter().flatten().collect()
}

/// One of those that fit.
fn pick<T>(rng: &mut Rng, from: Vec<T>) -> Option<T> {
    let at = rng.below(from.len() as u64) as usize;
    from.into_iter().nth(at)
}

/// A version with the time of its acknowledgement, by revision.
struct Known {
    key: Key,
    version: Version,
    deleted: bool,
    call: Nanos,
    end: Nanos,
}

/// The acknowledged writes, by revision.
fn acknowledged(history: &History) -> Vec<Known> {
    let mut all: Vec<Known> = history.operations.iter().filter_map(known).collect();
    all.sort_by_key(|known| known.version.revision);
    all
}

fn known(operation: &Operation) -> Option<Known> {
    let Answer::Written {
        revision: Some(revision),
    } = operation.answer
    else {
        return None;
    };
    let value = match operation.request {
        Request::Create { value } | Request::Update { value, .. } => Some(value),
        _ => None,
    };
    Some(Known {
        key: operation.key,
        version: Version {
            value: value.unwrap_or(0),
            revision,
        },
        deleted: value.is_none(),
        call: operation.call,
        end: operation.end,
    })
}

/// Indices of reads that found something, with what they found.
fn reads(history: &History) -> Vec<(usize, Version)> {
    let operations = history.operations.iter().enumerate();
    operations
        .filter_map(|(index, operation)| match operation.answer {
            Answer::Read {
                found: Some(found), ..
            } if found.value != 0 => Some((index, found)),
            _ => None,
        })
        .collect()
}

/// The log's versions of a key, deletes as `None`.
fn versions(made: &Made, key: Key) -> Vec<(Revision, Option<Version>)> {
    let of_key = made.log.kept().filter(|applied| applied.key == key);
    of_key
        .map(|applied| (applied.revision, applied.version()))
        .collect()
}
