//! What a history tells of the datastore: which versions each key had, and who wrote them.
//!
//! All judges rest on this one reading. So that each defect is found by the judge that is there for it and by no other,
//! the reading takes out what another judge has to tell: a claim that nobody can have caused is a phantom; a claim that
//! contradicts a better one is the judge of revisions' alone; a version that was lost ends with its last sighting.

use std::collections::{HashMap, HashSet};

use super::claim::{self, Claim, Content, Source, content, expected};
pub(super) use super::commit::{Commit, Fate, Standing};
use super::{loss, settle};
use crate::history::{Answer, History, Key, Listing, Nanos, Operation, Request, Revision, ValueId};

/// A history, read once for all judges.
pub(super) struct Case<'a> {
    pub(super) history: &'a History,
    pub(super) commits: Vec<Commit>,
    /// The versions of each key, by revision.
    pub(super) by_key: Vec<Vec<usize>>,
    /// Revisions that were given to more than one content.
    pub(super) tainted: HashSet<Revision>,
    /// Keys with an outcome or a revision that nothing in the history tells.
    pub(super) unsettled: Vec<bool>,
    /// Deletes whose revision nothing tells, by key.
    pub(super) loose: Vec<Vec<usize>>,
    /// From here on nobody wrote any more; `None` where something was still open when the history ended.
    quiet: Option<Nanos>,
    /// Versions whose revision was acknowledged again for the same key, each with the request of the other.
    pub(super) replaced: Vec<(usize, usize)>,
    /// Deletes of each key that were not lost: the revision, when it was sent, and the earliest time at which it or a
    /// later one of them was acknowledged.
    deletes: Vec<Vec<(Revision, Nanos, Nanos)>>,
    writers: HashMap<ValueId, usize>,
    places: HashMap<(Revision, Key), usize>,
    homes: HashMap<ValueId, Revision>,
    first_at: HashMap<Revision, Key>,
    awaited: HashSet<(Key, Revision)>,
}

impl<'a> Case<'a> {
    /// Reads a history.
    ///
    /// # Errors
    /// When it cannot be judged at all: the recorder's fault, or the workload's.
    pub(super) fn read(history: &'a History) -> Result<Self, String> {
        let keys = history.header.keys.len();
        let mut case = Self {
            history,
            commits: Vec::with_capacity(history.operations.len()),
            by_key: vec![Vec::new(); keys],
            tainted: HashSet::new(),
            unsettled: vec![false; keys],
            loose: vec![Vec::new(); keys],
            quiet: quiet_from(history),
            replaced: Vec::new(),
            deletes: Vec::new(),
            writers: HashMap::with_capacity(history.operations.len()),
            places: HashMap::with_capacity(history.operations.len()),
            homes: HashMap::with_capacity(history.operations.len()),
            first_at: HashMap::with_capacity(history.operations.len()),
            awaited: HashSet::new(),
        };
        case.take_requests(keys)?;
        claim::each(history, |claim| {
            if matches!(claim.source, Source::Write(_)) {
                case.take(&claim);
            }
        });
        claim::each(history, |claim| {
            if !matches!(claim.source, Source::Write(_)) && (claim.key as usize) < keys {
                case.take(&claim);
            }
        });
        case.order_keys();
        loss::mark(&mut case);
        settle::mark(&mut case);
        case.deletes = case.all_deletes();
        Ok(case)
    }

    /// All requests: those that were answered, then those whose end nobody recorded.
    pub(super) fn request(&self, index: usize) -> &'a Operation {
        let answered = self.history.operations.len();
        match index.checked_sub(answered) {
            None => &self.history.operations[index],
            Some(open) => &self.history.open[open],
        }
    }

    /// The list that shows the end: the last that says so, else the last that was asked for when nobody wrote any more.
    pub(super) fn final_list(&self) -> Option<&'a Listing> {
        let said = self
            .history
            .listings
            .iter()
            .rev()
            .find(|list| list.is_final);
        said.or_else(|| {
            let quiet = self.quiet?;
            let mut lists = self.history.listings.iter().rev();
            lists.find(|list| list.asked.is_none() && list.call >= quiet)
        })
    }

    /// Whether it is that list.
    pub(super) fn is_final(&self, list: &Listing) -> bool {
        self.final_list()
            .is_some_and(|last| std::ptr::eq(last, list))
    }

    /// Whether a revision of this key was given out again for other content of it: then nothing tells its versions.
    pub(super) fn confused(&self, key: Key) -> bool {
        let mut replaced = self.replaced.iter();
        replaced.any(|(place, _)| self.commits[*place].key == key)
    }

    /// The number of requests.
    pub(super) fn requests(&self) -> usize {
        self.history.operations.len() + self.history.open.len()
    }

    /// Whether a request may have been applied although nobody said so.
    pub(super) fn unknown(&self, index: usize) -> bool {
        index >= self.history.operations.len()
            || matches!(self.request(index).answer, Answer::Unknown { .. })
    }

    fn take_requests(&mut self, keys: usize) -> Result<(), String> {
        for index in 0..self.requests() {
            let operation = self.request(index);
            if operation.key as usize >= keys {
                return Err(format!("key {} has no name in the header", operation.key));
            }
            if operation.end < operation.call && index < self.history.operations.len() {
                return Err(format!(
                    "client {} was answered before it asked",
                    operation.client
                ));
            }
            if let Some(Content::Put(value)) = content(operation.request)
                && self.writers.insert(value, index).is_some()
            {
                return Err(format!("value {value} was written by two requests"));
            }
            let written = matches!(operation.answer, Answer::Written { .. });
            let told = claim::of_operation(index, operation).is_some();
            if matches!(operation.request, Request::Delete { .. })
                && (self.unknown(index) || (written && !told))
            {
                self.loose[operation.key as usize].push(index);
            }
            if written && let Some(expected) = expected(operation.request) {
                self.awaited.insert((operation.key, expected));
            }
        }
        Ok(())
    }

    /// Why nobody can have caused a claim.
    fn phantom(&self, claim: &Claim) -> Option<&'static str> {
        if claim.revision <= self.history.header.revision {
            return None;
        }
        let Content::Put(value) = claim.content else {
            let loose = self.loose.get(claim.key as usize);
            let known = self.places.contains_key(&(claim.revision, claim.key));
            return (!known && loose.is_none_or(Vec::is_empty)).then_some("nobody deleted it");
        };
        let Some(&writer) = self.writers.get(&value) else {
            return Some("nobody wrote this value");
        };
        let operation = self.request(writer);
        if operation.key != claim.key {
            return Some("this value was written to another key");
        }
        if self.unknown(writer) {
            return None;
        }
        match operation.answer {
            Answer::Conflict { .. } => Some("its write was answered by a conflict"),
            Answer::Refused { .. } => Some("its write was refused"),
            _ => None,
        }
    }

    /// Whether an acknowledged delete is another one than that which has its place: nothing but what they asked for, or
    /// a fault between them, tells two deletes from each other.
    fn other_delete(&self, place: usize, claim: &Claim) -> bool {
        let commit = &self.commits[place];
        let (Source::Write(index), Some(writer)) = (claim.source, commit.writer) else {
            return false;
        };
        let wanted = |index| expected(self.request(index).request);
        let between = |fault: &Nanos| commit.call <= *fault && *fault <= claim.call;
        wanted(index) != wanted(writer) || loss::faults(self).iter().any(between)
    }

    fn take(&mut self, claim: &Claim) {
        let written = matches!(claim.source, Source::Write(_));
        if let Some(&place) = self.places.get(&(claim.revision, claim.key)) {
            if self.commits[place].content == claim.content && !self.other_delete(place, claim) {
                self.sight(place, claim);
            } else if let Source::Write(other) = claim.source {
                self.tainted.insert(claim.revision);
                self.replaced.push((place, other));
            } else if self.phantom(claim).is_none() && !self.has_home(claim.content) {
                self.tainted.insert(claim.revision);
            }
            return;
        }
        let phantom = !written && self.phantom(claim).is_some();
        // A phantom that a later write was built upon was there for the server too.
        if phantom && !self.awaited.contains(&(claim.key, claim.revision)) {
            return;
        }
        if self.has_home(claim.content) {
            return;
        }
        if *self.first_at.entry(claim.revision).or_insert(claim.key) != claim.key {
            self.tainted.insert(claim.revision);
        }
        if let Content::Put(value) = claim.content {
            self.homes.insert(value, claim.revision);
        }
        let writer = match (claim.source, claim.content) {
            (Source::Write(index), _) => Some(index),
            (_, Content::Put(value)) if !phantom => self.writers.get(&value).copied(),
            _ => None,
        };
        self.places
            .insert((claim.revision, claim.key), self.commits.len());
        self.commits.push(Commit {
            key: claim.key,
            revision: claim.revision,
            content: claim.content,
            writer,
            call: writer.map_or(0, |writer| self.request(writer).call),
            end: if written { claim.end } else { Nanos::MAX },
            known: claim.end,
            seen: if written { claim.call } else { 0 },
            fate: Fate::Stayed,
        });
        let place = self.commits.len() - 1;
        self.sight(place, claim);
    }

    /// The revision that a value has.
    pub(super) fn home(&self, content: Content) -> Option<Revision> {
        match content {
            Content::Put(value) => self.homes.get(&value).copied(),
            Content::Deleted => None,
        }
    }

    fn has_home(&self, content: Content) -> bool {
        matches!(content, Content::Put(value) if self.homes.contains_key(&value))
    }

    fn sight(&mut self, place: usize, claim: &Claim) {
        let commit = &mut self.commits[place];
        // What shows it before it was asked for shows another one: a delete has no value to tell it from one that had
        // this revision before a roll-back.
        commit.known = commit.known.min(claim.end.max(commit.call));
        commit.seen = commit.seen.max(claim.call);
    }

    /// Orders the versions of each key, and finds for each delete that only a watch told of the request behind it.
    fn order_keys(&mut self) {
        for (index, commit) in self.commits.iter().enumerate() {
            self.by_key[commit.key as usize].push(index);
        }
        for key in 0..self.by_key.len() {
            let mut versions = std::mem::take(&mut self.by_key[key]);
            versions.sort_unstable_by_key(|index| self.commits[*index].revision);
            let mut before = None;
            versions.retain(|&index| {
                let stays = self.has_author(index, before);
                if stays {
                    before = Some(self.commits[index].revision);
                }
                stays
            });
            self.by_key[key] = versions;
        }
    }

    fn has_author(&mut self, index: usize, before: Option<Revision>) -> bool {
        let commit = &self.commits[index];
        let old = commit.revision <= self.history.header.revision;
        if commit.content != Content::Deleted || commit.writer.is_some() || old {
            return true;
        }
        let (key, revision) = (commit.key, commit.revision);
        let author = self.loose[key as usize]
            .iter()
            .copied()
            .filter(|&author| {
                let wanted = expected(self.request(author).request);
                before.is_none() || wanted == before
            })
            .min_by_key(|&author| (self.unknown(author), self.request(author).call));
        let Some(author) = author else {
            self.places.remove(&(revision, key));
            return false;
        };
        self.loose[key as usize].retain(|&other| other != author);
        let operation = self.request(author);
        let acknowledged = !self.unknown(author);
        let commit = &mut self.commits[index];
        commit.writer = Some(author);
        commit.call = operation.call;
        if acknowledged {
            commit.end = operation.end;
            commit.known = commit.known.min(operation.end);
            commit.seen = commit.seen.max(operation.call);
        }
        true
    }

    /// How a claim stands.
    pub(super) fn standing(&self, claim: &Claim) -> Standing {
        match self.places.get(&(claim.revision, claim.key)) {
            Some(&place) if self.commits[place].content == claim.content => {
                // A phantom that others built upon is a version, and still a phantom.
                match (self.commits[place].writer, self.phantom(claim)) {
                    (None, Some(why)) => Standing::Phantom(why),
                    _ => Standing::Genuine(place),
                }
            }
            _ => self
                .phantom(claim)
                .or_else(|| {
                    let orphan = claim.content == Content::Deleted
                        && !self.first_at_is_other(claim)
                        && claim.revision > self.history.header.revision;
                    orphan.then_some("nobody deleted it")
                })
                .map_or(Standing::Contradicted, Standing::Phantom),
        }
    }

    fn first_at_is_other(&self, claim: &Claim) -> bool {
        self.places.contains_key(&(claim.revision, claim.key))
    }

    /// The versions of a key that were not forgotten, by revision.
    pub(super) fn stayed(&self, key: Key) -> impl Iterator<Item = &Commit> {
        self.by_key[key as usize]
            .iter()
            .map(|index| &self.commits[*index])
            .filter(|commit| commit.fate == Fate::Stayed)
    }

    /// The version that has this place, if the claim is genuine and its revision means one thing only.
    pub(super) fn clean(&self, claim: &Claim) -> Option<&Commit> {
        match self.standing(claim) {
            Standing::Genuine(place) if !self.tainted.contains(&claim.revision) => {
                Some(&self.commits[place])
            }
            _ => None,
        }
    }

    fn all_deletes(&self) -> Vec<Vec<(Revision, Nanos, Nanos)>> {
        let of = |versions: &Vec<usize>| {
            let commits = versions.iter().map(|index| &self.commits[*index]);
            let mut deletes: Vec<_> = commits
                .filter(|commit| commit.content == Content::Deleted && commit.fate != Fate::Lost)
                .map(|commit| (commit.revision, commit.call, commit.end))
                .collect();
            let mut earliest = Nanos::MAX;
            for (_, _, end) in deletes.iter_mut().rev() {
                earliest = earliest.min(*end);
                *end = earliest;
            }
            deletes
        };
        self.by_key.iter().map(of).collect()
    }

    /// Whether a claim shows a version that had been deleted: before the revision that the answer is of, where that is
    /// told, else before it was asked for. That is told by the judge of resurrections.
    pub(super) fn comes_back(&self, claim: &Claim, at: Option<Revision>) -> bool {
        let deletes = &self.deletes[claim.key as usize];
        let next = deletes.partition_point(|(revision, ..)| *revision <= claim.revision);
        let next = deletes.get(next);
        next.is_some_and(|(revision, call, acknowledged)| match at {
            Some(at) => at >= *revision && *call <= claim.end,
            None => *acknowledged < claim.call,
        })
    }
}

fn quiet_from(history: &History) -> Option<Nanos> {
    let writes = history.operations.iter();
    let writes = writes.filter(|operation| content(operation.request).is_some());
    let last = writes.map(|operation| operation.end).max();
    history.open.is_empty().then_some(last.unwrap_or(0))
}
