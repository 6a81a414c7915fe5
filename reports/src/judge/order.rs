//! Strict serializability, by the order that the server itself gives: its revisions, over all keys.
//!
//! Each answer needs a revision at which it was true, not before any that an earlier answer has shown, and not after
//! what can have been written by then. Taking the smallest such revision for each answer in the order of time is
//! enough, so one sweep decides: what lies behind it is Kingsbury and Alvaro's idea that reads which reveal the order
//! of versions make the general, hard question an easy one (Elle, VLDB 2020).

use super::axis::{Axis, Wanted};
use super::case::{Case, Commit, Fate};
use super::claim::{self, expected};
use super::finding::Tally;
use super::{Finding, chain, loss, tell};
use crate::history::{Answer, Listing, Nanos, Operation, Request, Revision};

pub(super) const NAME: &str = "order";

pub(super) fn judge(case: &Case<'_>) -> Finding {
    let mut tally = Tally::default();
    chain::judge(case, &mut tally);
    Sweep::new(case).run(&mut tally);
    tally.finding(NAME, "answers", "that no order of the revisions explains")
}

#[derive(Clone, Copy)]
enum Who {
    Request(usize),
    List(usize),
    /// A write whose answer nobody got, but whose revision is known: only its beginning binds.
    Unanswered(usize),
}

/// What is true of all that is asked from now on: the datastore was at this revision, and who showed it.
#[derive(Clone, Copy)]
struct Shown {
    revision: Revision,
    by: Option<Who>,
}

struct Sweep<'c, 'a> {
    case: &'c Case<'a>,
    axis: Axis,
    /// What there was until the last fault, where something was lost at one.
    once: Option<(Nanos, Axis)>,
    shown: Shown,
    /// Faults after which revisions may begin again at an earlier one, and that one.
    rollbacks: Vec<(Nanos, Revision)>,
}

impl<'c, 'a> Sweep<'c, 'a> {
    fn new(case: &'c Case<'a>) -> Self {
        let lost = case.commits.iter().any(|commit| commit.fate == Fate::Lost);
        let faults = if lost { loss::faults(case) } else { Vec::new() };
        let newest = |fault| (fault, loss::newest_that_stayed(case, fault));
        Self {
            case,
            // A delete that was undone was true until then.
            axis: Axis::of(case, |commit| commit.fate != Fate::Lost),
            once: last_loss(case, &faults).map(|last| {
                let there = |commit: &Commit| commit.call <= last && commit.fate != Fate::Undone;
                (last, Axis::of(case, there))
            }),
            shown: Shown {
                revision: case.history.header.revision,
                by: None,
            },
            rollbacks: faults.into_iter().map(newest).collect(),
        }
    }

    fn run(mut self, tally: &mut Tally) {
        let mut moments = self.moments();
        // A call at the very time of another's end is concurrent with it.
        moments.sort_unstable_by_key(|(at, is_end, ..)| (*at, *is_end));
        let mut at_call = vec![None; self.case.requests() + self.case.history.listings.len()];
        let mut rolled_back = 0;
        for (at, is_end, slot, who) in moments {
            while let Some((fault, newest)) = self.rollbacks.get(rolled_back)
                && *fault < at
            {
                self.shown.revision = self.shown.revision.min(*newest);
                rolled_back += 1;
            }
            if is_end {
                if let Some(shown) = at_call[slot] {
                    self.answered(who, shown, tally);
                }
            } else {
                at_call[slot] = Some(self.shown);
                if let Who::Unanswered(commit) = who {
                    self.unanswered(commit, tally);
                }
            }
        }
    }

    /// Calls and ends of all that is judged: time, whether it is an end, a slot of its own, who.
    fn moments(&self) -> Vec<(Nanos, bool, usize, Who)> {
        let history = self.case.history;
        let mut moments = Vec::with_capacity(2 * history.operations.len());
        for (index, operation) in history.operations.iter().enumerate() {
            if matches!(
                operation.answer,
                Answer::Written { .. } | Answer::Read { .. } | Answer::Conflict { .. }
            ) {
                moments.push((operation.call, false, index, Who::Request(index)));
                moments.push((operation.end, true, index, Who::Request(index)));
            }
        }
        for (index, list) in history.listings.iter().enumerate() {
            let slot = self.case.requests() + index;
            moments.push((list.call, false, slot, Who::List(index)));
            moments.push((list.end, true, slot, Who::List(index)));
        }
        for (index, commit) in self.case.commits.iter().enumerate() {
            if let Some(writer) = commit.writer
                && !commit.acknowledged()
            {
                moments.push((commit.call, false, writer, Who::Unanswered(index)));
            }
        }
        moments
    }

    fn answered(&mut self, who: Who, mut shown: Shown, tally: &mut Tally) {
        let (call, end) = match who {
            Who::Request(index) => {
                let operation = self.case.request(index);
                (operation.call, operation.end)
            }
            Who::List(index) => {
                let list = &self.case.history.listings[index];
                (list.call, list.end)
            }
            Who::Unanswered(_) => return,
        };
        for (fault, newest) in &self.rollbacks {
            if call <= *fault && *fault <= end {
                shown.revision = shown.revision.min(*newest);
            }
        }
        let verdict = match who {
            Who::Request(index) => self.request(index, shown.revision),
            Who::List(index) => self.list(index, shown.revision),
            Who::Unanswered(_) => None,
        };
        match verdict {
            None => {}
            Some(Ok(point)) => {
                tally.fact();
                if let Some(point) = point
                    && point > self.shown.revision
                {
                    self.shown = Shown {
                        revision: point,
                        by: Some(who),
                    };
                }
            }
            Some(Err(why)) => {
                tally.fact();
                tally.violation(|| self.tell(why, who, shown));
            }
        }
    }

    /// `None`: nothing to judge here. `Ok`: the revision that it shows, if it shows one.
    fn request(
        &self,
        index: usize,
        from: Revision,
    ) -> Option<Result<Option<Revision>, &'static str>> {
        let operation = self.case.request(index);
        if let Answer::Written { .. } = operation.answer {
            let claim = claim::of_operation(index, operation)?;
            let commit = self.case.clean(&claim)?;
            if commit.fate != Fate::Stayed {
                return None;
            }
            return Some(if commit.revision > from {
                Ok(Some(commit.revision))
            } else {
                Err("a write got a revision that had been shown before it was sent")
            });
        }
        let key = operation.key;
        if self.case.unsettled[key as usize] || self.case.confused(key) {
            return None;
        }
        match &operation.answer {
            Answer::Read { found, revision } => {
                let header = revision.filter(|revision| *revision > 0);
                match found {
                    Some(_) => self.version(index, operation, from, header),
                    // kine looks for the key first and for the revision afterwards, so that the answer may be of any
                    // revision up to that.
                    None => Some(self.place(operation, Wanted::Absent, from, header)),
                }
            }
            Answer::Conflict {
                current: Some(current),
                revision,
            } => {
                if expected(operation.request) == Some(current.revision) {
                    return Some(Err("a conflict shows the very revision that was expected"));
                }
                let header = revision.filter(|revision| *revision > 0);
                self.version(index, operation, from, header)
            }
            Answer::Conflict { current: None, .. } => {
                let wanted = match operation.request {
                    Request::Create { .. } => Wanted::Exists,
                    request => Wanted::IsNot(expected(request)?),
                };
                Some(self.place(operation, wanted, from, None))
            }
            _ => None,
        }
    }

    /// An answer that shows a version.
    fn version(
        &self,
        index: usize,
        operation: &Operation,
        from: Revision,
        header: Option<Revision>,
    ) -> Option<Result<Option<Revision>, &'static str>> {
        let claim = claim::of_operation(index, operation)?;
        let commit = self.case.clean(&claim)?;
        if commit.fate != Fate::Stayed {
            let early = operation.end < commit.call;
            return Some(if early {
                Err("it shows what was not written yet")
            } else {
                Ok(None)
            });
        }
        let exact = claim::exact(&operation.answer);
        if self.case.comes_back(&claim, exact) {
            return None;
        }
        if operation.end < commit.call {
            return Some(Err("it shows what was not written yet"));
        }
        let wanted = Wanted::Is(commit.revision);
        let from = match header {
            Some(header) if header < from => {
                return Some(Err(
                    "its header shows a revision older than had been shown before",
                ));
            }
            _ => exact.unwrap_or(from),
        };
        Some(self.place(operation, wanted, from, header))
    }

    fn place(
        &self,
        operation: &Operation,
        wanted: Wanted,
        from: Revision,
        to: Option<Revision>,
    ) -> Result<Option<Revision>, &'static str> {
        let on = |axis: &Axis| axis.point(operation.key, wanted, from, to, operation.end);
        let point = on(&self.axis).or_else(|| self.before_the_loss(operation.call).and_then(on));
        point
            .map(Some)
            .ok_or("it was true at no revision between its call and its end")
    }

    /// What was lost was there before.
    fn before_the_loss(&self, call: Nanos) -> Option<&Axis> {
        let (fault, axis) = self.once.as_ref()?;
        (call <= *fault).then_some(axis)
    }

    fn list(&self, index: usize, from: Revision) -> Option<Result<Option<Revision>, &'static str>> {
        let list: &Listing = &self.case.history.listings[index];
        let axis = self.before_the_loss(list.call).unwrap_or(&self.axis);
        if axis.earliest(list.revision) > list.end {
            return Some(Err("it shows a revision that was not written yet"));
        }
        // One that asked for an old revision is told an old one.
        if list.asked.is_some() {
            return Some(Ok(None));
        }
        Some(if list.revision < from {
            Err("it shows a revision older than had been shown before")
        } else {
            Ok(Some(list.revision))
        })
    }

    fn unanswered(&mut self, index: usize, tally: &mut Tally) {
        let commit = &self.case.commits[index];
        if commit.fate != Fate::Stayed || self.case.tainted.contains(&commit.revision) {
            return;
        }
        tally.fact();
        if commit.revision <= self.shown.revision {
            let shown = self.shown;
            let why = "a write got a revision that had been shown before it was sent";
            tally.violation(|| self.tell(why, Who::Unanswered(index), shown));
        }
    }

    fn tell(&self, why: &str, who: Who, shown: Shown) -> String {
        let before = match shown.by {
            Some(by) => format!(
                "; revision {} was shown by: {}",
                shown.revision,
                self.name(by)
            ),
            None => String::new(),
        };
        format!("{why}: {}{before}", self.name(who))
    }

    fn name(&self, who: Who) -> String {
        match who {
            Who::Request(index) => tell::operation(self.case, self.case.request(index)),
            Who::List(index) => tell::listing(&self.case.history.listings[index]),
            Who::Unanswered(index) => tell::commit(self.case, &self.case.commits[index]),
        }
    }
}

/// Until when something may have been there that was lost later: until the last fault, or, where something was lost
/// after that, for all that is known to the end.
fn last_loss(case: &Case<'_>, faults: &[Nanos]) -> Option<Nanos> {
    let lost = case.commits.iter();
    let lost = lost.filter(|commit| commit.fate == Fate::Lost);
    let newest = lost.map(|commit| commit.call).max()?;
    let last = faults.last().copied().filter(|fault| newest <= *fault);
    Some(last.unwrap_or(Nanos::MAX))
}
