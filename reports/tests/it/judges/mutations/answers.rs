//! Defects of single answers.

use reports::history::{Answer, Request, Version};

use super::super::model::{Made, Plan};
use super::super::rng::Rng;
use super::{Mutation, acknowledged, pick, reads, versions};

pub static MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "stale_read",
        defect: "a read shows a version that had been overwritten before it was asked for",
        judge: "order",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, older) = pick(rng, stale(made))?;
            found(made, index, Some(older));
            Some(())
        },
    },
    Mutation {
        name: "stale_read_of_an_old_revision",
        defect: "a read is answered from an old state, and says so in its header",
        judge: "order",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, older) = pick(rng, stale(made))?;
            made.history.operations[index].answer = Answer::Read {
                found: Some(older),
                revision: Some(older.revision),
            };
            Some(())
        },
    },
    Mutation {
        name: "future_read",
        defect: "a read shows a version whose writer had not asked yet",
        judge: "order",
        plan: Plan::rich,
        mutate: future,
    },
    Mutation {
        name: "read_finds_nothing",
        defect: "a read does not find a key that was there all the time",
        judge: "order",
        plan: Plan::rich,
        mutate: nothing,
    },
    Mutation {
        name: "conflict_for_nothing",
        defect: "an update of the current version is answered by a conflict",
        judge: "order",
        plan: Plan::rich,
        mutate: conflict,
    },
    Mutation {
        name: "read_tells_another_revision",
        defect: "a read shows a value with the revision of another key's",
        judge: "revision",
        plan: Plan::rich,
        mutate: another_revision,
    },
    Mutation {
        name: "phantom_value",
        defect: "a read shows a value that nobody wrote",
        judge: "phantom",
        plan: Plan::rich,
        mutate: |made, rng| {
            let (index, mut version) = pick(rng, reads(&made.history))?;
            version.value = 1 << 40;
            found(made, index, Some(version));
            Some(())
        },
    },
    Mutation {
        name: "refused_write_appears",
        defect: "a write that was refused is applied all the same",
        judge: "phantom",
        plan: Plan::rich,
        mutate: refused,
    },
    Mutation {
        name: "value_of_another_key",
        defect: "a read shows what was written to another key",
        judge: "phantom",
        plan: Plan::rich,
        mutate: another_key,
    },
];

fn found(made: &mut Made, index: usize, version: Option<Version>) {
    if let Answer::Read { found, .. } = &mut made.history.operations[index].answer {
        *found = version;
    }
}

/// Reads, each with a version of its key that had been overwritten before, with no delete between the two.
pub fn stale(made: &Made) -> Vec<(usize, Version)> {
    let all = acknowledged(&made.history);
    let mut fits = Vec::new();
    for (index, version) in reads(&made.history) {
        let operation = &made.history.operations[index];
        let versions = versions(made, operation.key);
        let Some(at) = versions
            .iter()
            .position(|(revision, _)| *revision == version.revision)
        else {
            continue;
        };
        let over = all
            .iter()
            .any(|known| known.version.revision == version.revision && known.end < operation.call);
        if over
            && let Some(before) = at.checked_sub(1)
            && let Some(older) = versions[before].1
        {
            fits.push((index, older));
        }
    }
    fits
}

fn future(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let mut fits = Vec::new();
    for (index, _) in reads(&made.history) {
        let operation = &made.history.operations[index];
        let mut later = all.iter().filter(|known| {
            known.key == operation.key && !known.deleted && known.call > operation.end
        });
        if let Some(later) = later.next() {
            fits.push((index, later.version));
        }
    }
    let (index, later) = pick(rng, fits)?;
    made.history.operations[index].answer = Answer::Read {
        found: Some(later),
        revision: Some(later.revision),
    };
    Some(())
}

fn nothing(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let mut fits = Vec::new();
    for (index, version) in reads(&made.history) {
        let operation = &made.history.operations[index];
        // It was there before the call, and its successor, if any, came after the end and was no delete in between.
        let before = all
            .iter()
            .any(|known| known.version.revision == version.revision && known.end < operation.call);
        let versions = versions(made, operation.key);
        let next = versions
            .iter()
            .find(|(revision, _)| *revision > version.revision);
        // Where nobody knows whether a delete took effect, nobody can say that the key was there.
        let perhaps = made.history.operations.iter().any(|other| {
            other.key == operation.key
                && matches!(other.answer, Answer::Unknown { .. })
                && matches!(other.request, Request::Delete { expected } if expected == version.revision)
        });
        if before && !perhaps && next.is_none_or(|(_, next)| next.is_some()) {
            fits.push(index);
        }
    }
    let index = pick(rng, fits)?;
    found(made, index, None);
    Some(())
}

fn conflict(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let mut fits = Vec::new();
    for (index, version) in reads(&made.history) {
        let operation = &made.history.operations[index];
        let before = all
            .iter()
            .any(|known| known.version.revision == version.revision && known.end < operation.call);
        let mut later = made
            .log
            .kept()
            .filter(|applied| applied.key == operation.key && applied.revision > version.revision);
        if before && later.next().is_none_or(|next| next.at > operation.end) {
            // Who wrote next may have asked already.
            let asked = made.history.operations.iter().any(|other| {
                super::super::expects(other.request) == Some(version.revision)
                    && other.key == operation.key
                    && other.call <= operation.end
            });
            if !asked {
                fits.push((index, version));
            }
        }
    }
    let (index, version) = pick(rng, fits)?;
    let operation = &mut made.history.operations[index];
    operation.request = Request::Update {
        value: 1 << 40,
        expected: version.revision,
    };
    operation.answer = Answer::Conflict {
        current: None,
        revision: None,
    };
    Some(())
}

fn another_revision(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let (index, mut version) = pick(rng, reads(&made.history))?;
    let key = made.history.operations[index].key;
    let others = all.iter().filter(|known| known.key != key);
    version.revision = pick(rng, others.map(|known| known.version.revision).collect())?;
    found(made, index, Some(version));
    Some(())
}

fn another_key(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let all = acknowledged(&made.history);
    let (index, _) = pick(rng, reads(&made.history))?;
    let key = made.history.operations[index].key;
    let others = all
        .iter()
        .filter(|known| known.key != key && !known.deleted);
    let version = pick(rng, others.map(|known| known.version).collect())?;
    found(made, index, Some(version));
    Some(())
}

fn refused(made: &mut Made, rng: &mut Rng) -> Option<()> {
    let seen: Vec<u64> = reads(&made.history)
        .iter()
        .map(|(_, version)| version.value)
        .collect();
    let operations = made.history.operations.iter().enumerate();
    let fits = operations.filter(|(_, operation)| {
        let value = match operation.request {
            Request::Create { value } | Request::Update { value, .. } => value,
            _ => return false,
        };
        matches!(operation.answer, Answer::Written { .. }) && seen.contains(&value)
    });
    let index = pick(rng, fits.map(|(index, _)| index).collect())?;
    made.history.operations[index].answer = Answer::Refused {
        reason: "database is locked".into(),
    };
    Some(())
}
