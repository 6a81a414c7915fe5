//! What answers, lists and watches say of revisions, one by one.

use crate::history::{
    Answer, Change, History, Key, Nanos, Operation, Request, Revision, ValueId, WatchedKind,
};

/// What a revision made of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Content {
    Put(ValueId),
    Deleted,
}

/// Where something was said: the index among the history's operations, lists or watched things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The answer to a write that was acknowledged.
    Write(usize),
    /// A read's answer, or what a conflict showed.
    Read(usize),
    List(usize),
    Watch(usize),
}

/// "This revision made that of this key."
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    pub(super) key: Key,
    pub(super) revision: Revision,
    pub(super) content: Content,
    pub(super) source: Source,
    /// When it was asked for; of a watch, which tells of the past, 0.
    pub(super) call: Nanos,
    /// When it was said.
    pub(super) end: Nanos,
}

/// What a request would write or delete.
pub(super) fn content(request: Request) -> Option<Content> {
    match request {
        Request::Create { value } | Request::Update { value, .. } => Some(Content::Put(value)),
        Request::Delete { .. } => Some(Content::Deleted),
        Request::Get => None,
    }
}

/// The revision that a request asks its key to have.
pub(super) fn expected(request: Request) -> Option<Revision> {
    match request {
        Request::Update { expected, .. } | Request::Delete { expected } => Some(expected),
        Request::Create { .. } | Request::Get => None,
    }
}

/// The revision that an answer is exactly of. A conflict's revision only tells how far the server was.
pub(super) fn exact(answer: &Answer) -> Option<Revision> {
    match answer {
        Answer::Read { revision, .. } => revision.filter(|revision| *revision > 0),
        _ => None,
    }
}

/// What one operation's answer says. A revision of 0 or less is no revision: some servers answer so where they have
/// none to tell.
pub(super) fn of_operation(index: usize, operation: &Operation) -> Option<Claim> {
    let claim = |revision, content, source| Claim {
        key: operation.key,
        revision,
        content,
        source,
        call: operation.call,
        end: operation.end,
    };
    match &operation.answer {
        Answer::Written {
            revision: Some(revision),
        } if *revision > 0 => {
            let content = content(operation.request)?;
            Some(claim(*revision, content, Source::Write(index)))
        }
        Answer::Read { found, .. } | Answer::Conflict { current: found, .. } => {
            let found = (*found)?;
            Some(claim(
                found.revision,
                Content::Put(found.value),
                Source::Read(index),
            ))
        }
        _ => None,
    }
}

/// Every claim: those of operations first, then of lists, then of watches.
pub(super) fn each(history: &History, mut see: impl FnMut(Claim)) {
    for (index, operation) in history.operations.iter().enumerate() {
        if let Some(claim) = of_operation(index, operation) {
            see(claim);
        }
    }
    for (index, list) in history.listings.iter().enumerate() {
        for (key, version) in &list.items {
            see(Claim {
                key: *key,
                revision: version.revision,
                content: Content::Put(version.value),
                source: Source::List(index),
                call: list.call,
                end: list.end,
            });
        }
    }
    for (index, watched) in history.watched.iter().enumerate() {
        if let WatchedKind::Changed {
            key,
            change,
            revision,
        } = watched.kind
        {
            see(Claim {
                key,
                revision,
                content: match change {
                    Change::Put { value } => Content::Put(value),
                    Change::Delete => Content::Deleted,
                },
                source: Source::Watch(index),
                call: 0,
                end: watched.at,
            });
        }
    }
}
