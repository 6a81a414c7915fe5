//! Whether the operations on one register can be put in an order that explains their answers.
//!
//! The search is Wing and Gong's (1993) with Lowe's memory of where it has been (2017): calls and returns in a list in
//! the order of time; an operation whose answer is right now is lifted out of it; when a return is reached whose
//! operation is still in the list, the last choice is taken back. A pair of (operations lifted out, state) that was met
//! before leads nowhere new. It may still take for ever, so it is given a number of steps, and says when they are used up.

use std::collections::HashSet;

use crate::history::{Nanos, ValueId};

/// What the register holds.
pub type State = Option<ValueId>;

/// What must be true for a write to be applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing is there.
    Absent,
    /// This value is.
    Is(ValueId),
    /// A version that nothing in the history names is. It may be there at any time, for all that is known.
    Unnamed,
}

impl Need {
    fn holds(self, state: State) -> bool {
        match self {
            Self::Absent => state.is_none(),
            Self::Is(value) => state == Some(value),
            Self::Unnamed => true,
        }
    }
}

/// What was done to the register, and answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A write that was applied, or may have been.
    Put(ValueId, Need),
    /// A delete that was applied, or may have been.
    Delete(Need),
    /// A read of this.
    Read(State),
    /// A write that was not applied since its need did not hold.
    Conflict(Need),
}

/// One operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When it was sent.
    pub call: Nanos,
    /// When it was answered; `None`: never, so that it may have been applied at any time after, or not at all.
    pub end: Option<Nanos>,
    /// What it was.
    pub act: Act,
}

impl Step {
    fn after(&self, state: State) -> Option<State> {
        match self.act {
            Act::Put(value, need) => need.holds(state).then_some(Some(value)),
            Act::Delete(need) => need.holds(state).then_some(None),
            Act::Read(found) => (found == state).then_some(state),
            Act::Conflict(need) => (!need.holds(state)).then_some(state),
        }
    }
}

/// What the search found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// An order explains all answers.
    Linearizable,
    /// None does. The index of the operation beyond which no order led.
    Not(usize),
    /// It was given too few steps to tell.
    Undecided,
}

const END: usize = usize::MAX;

/// The list of calls and returns: entry `2 * n` is the call of operation `n`, entry `2 * n + 1` its return.
struct Entries {
    next: Vec<usize>,
    before: Vec<usize>,
    head: usize,
}

impl Entries {
    fn new(steps: &[Step]) -> Self {
        let mut order: Vec<(Nanos, bool, usize)> = Vec::with_capacity(2 * steps.len());
        for (index, step) in steps.iter().enumerate() {
            order.push((step.call, false, 2 * index));
            if let Some(end) = step.end {
                order.push((end, true, 2 * index + 1));
            }
        }
        // A call at the very time of a return is concurrent with it.
        order.sort_unstable();
        let head = 2 * steps.len();
        let mut entries = Self {
            next: vec![END; head + 1],
            before: vec![END; head + 1],
            head,
        };
        let mut last = head;
        for (_, _, entry) in order {
            entries.next[last] = entry;
            entries.before[entry] = last;
            last = entry;
        }
        entries
    }

    fn unlink(&mut self, entry: usize) {
        let (before, next) = (self.before[entry], self.next[entry]);
        self.next[before] = next;
        if next != END {
            self.before[next] = before;
        }
    }

    fn relink(&mut self, entry: usize) {
        let (before, next) = (self.before[entry], self.next[entry]);
        self.next[before] = entry;
        if next != END {
            self.before[next] = entry;
        }
    }

    fn lift(&mut self, step: usize, ends: bool) {
        self.unlink(2 * step);
        if ends {
            self.unlink(2 * step + 1);
        }
    }

    fn put_back(&mut self, step: usize, ends: bool) {
        if ends {
            self.relink(2 * step + 1);
        }
        self.relink(2 * step);
    }
}

/// Searches for an order. Each look at an entry takes one of `budget`.
#[must_use]
pub fn check(steps: &[Step], initial: State, budget: &mut u64) -> Verdict {
    let mut entries = Entries::new(steps);
    let mut lifted = Lifted::new(steps);
    let mut memory = HashSet::new();
    let mut choices: Vec<(usize, State)> = Vec::new();
    let mut state = initial;
    let mut left = steps.iter().filter(|step| step.end.is_some()).count();
    let mut deepest = (usize::MAX, 0);
    let mut entry = entries.next[entries.head];
    while left > 0 {
        let Some(rest) = budget.checked_sub(1) else {
            return Verdict::Undecided;
        };
        *budget = rest;
        let is_call = entry != END && entry.is_multiple_of(2);
        if is_call {
            let index = entry / 2;
            if let Some(after) = steps[index].after(state) {
                lifted.set(index, true);
                if memory.insert((lifted.fingerprint(), after)) {
                    choices.push((index, state));
                    state = after;
                    let ends = steps[index].end.is_some();
                    entries.lift(index, ends);
                    left -= usize::from(ends);
                    entry = entries.next[entries.head];
                    continue;
                }
                lifted.set(index, false);
            }
            entry = entries.next[entry];
            continue;
        }
        if entry != END && left < deepest.0 {
            deepest = (left, entry / 2);
        }
        let Some((index, before)) = choices.pop() else {
            return Verdict::Not(deepest.1);
        };
        state = before;
        let ends = steps[index].end.is_some();
        entries.put_back(index, ends);
        left += usize::from(ends);
        lifted.set(index, false);
        entry = entries.next[2 * index];
    }
    Verdict::Linearizable
}

/// The set of operations that were lifted out. Operations are mostly lifted in the order of their calls, so the set is
/// kept as "all before this word" and the words from there on.
struct Lifted {
    words: Vec<u64>,
    /// The place of each operation among all, by call.
    places: Vec<usize>,
    /// The first word that is not full.
    low: usize,
    /// The words from here on are empty.
    high: usize,
}

impl Lifted {
    fn new(steps: &[Step]) -> Self {
        let mut order: Vec<usize> = (0..steps.len()).collect();
        order.sort_by_key(|index| steps[*index].call);
        let mut places = vec![0; steps.len()];
        for (place, index) in order.into_iter().enumerate() {
            places[index] = place;
        }
        Self {
            words: vec![0; steps.len().div_ceil(64) + 1],
            places,
            low: 0,
            high: 0,
        }
    }

    fn set(&mut self, index: usize, to: bool) {
        let place = self.places[index];
        let (word, bit) = (place / 64, 1 << (place % 64));
        if to {
            self.words[word] |= bit;
            self.high = self.high.max(word + 1);
            while self.words[self.low] == u64::MAX {
                self.low += 1;
            }
        } else {
            self.words[word] &= !bit;
            self.low = self.low.min(word);
            while self.high > 0 && self.words[self.high - 1] == 0 {
                self.high -= 1;
            }
        }
    }

    fn fingerprint(&self) -> (usize, Box<[u64]>) {
        let words = self.words.get(self.low..self.high).unwrap_or_default();
        (self.low, words.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(call: Nanos, end: Nanos, act: Act) -> Step {
        Step {
            call,
            end: Some(end),
            act,
        }
    }

    fn verdict(steps: &[Step]) -> Verdict {
        check(steps, None, &mut 1_000)
    }

    #[test]
    fn a_read_may_see_a_concurrent_write_or_not() {
        let write = step(0, 10, Act::Put(1, Need::Absent));
        for found in [None, Some(1)] {
            let read = step(5, 6, Act::Read(found));
            assert_eq!(verdict(&[write, read]), Verdict::Linearizable);
        }
        let late = step(11, 12, Act::Read(None));
        assert_eq!(verdict(&[write, late]), Verdict::Not(1));
        let early = [
            step(11, 12, Act::Put(1, Need::Absent)),
            step(1, 2, Act::Read(Some(1))),
        ];
        assert_eq!(verdict(&early), Verdict::Not(1));
    }

    #[test]
    fn a_write_without_an_answer_may_be_applied_late_or_never() {
        let open = Step {
            call: 0,
            end: None,
            act: Act::Put(1, Need::Absent),
        };
        let none = step(1, 2, Act::Read(None));
        let some = step(3, 4, Act::Read(Some(1)));
        assert_eq!(verdict(&[open, none]), Verdict::Linearizable);
        assert_eq!(verdict(&[open, none, some]), Verdict::Linearizable);
        let again = step(5, 6, Act::Read(None));
        assert_eq!(verdict(&[open, some, again]), Verdict::Not(2));
    }

    #[test]
    fn what_it_has_no_steps_for_is_undecided() {
        let write = step(0, 10, Act::Put(1, Need::Absent));
        assert_eq!(check(&[write], None, &mut 0), Verdict::Undecided);
    }
}
