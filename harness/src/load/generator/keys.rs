//! What a client knows of its keys, and what it therefore can ask.

use reports::history::{Answer, Key, Listing, Request, Revision, ValueId};

use crate::load::tally::Kind;
use crate::load::workload::{Draws, Mix};

/// What is asked next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ask {
    /// One key.
    Key(Key, Request),
    /// A list's first page.
    Page,
}

impl Ask {
    pub fn kind(&self) -> Kind {
        match self {
            Self::Page => Kind::List,
            Self::Key(_, request) => match request {
                Request::Create { .. } => Kind::Create,
                Request::Update { .. } => Kind::Update,
                Request::Delete { .. } => Kind::Delete,
                Request::Get => Kind::Get,
            },
        }
    }
}

/// A client's keys, by what it last knew of them. A key that it has asked about is in none of the lists until the
/// answer is there.
#[derive(Debug, Clone)]
pub struct Keys {
    absent: Vec<Key>,
    present: Vec<(Key, Revision)>,
    /// Of which it must read first.
    unsure: Vec<Key>,
    draws: Draws,
    /// The next value's id; a client's ids are its own.
    value: ValueId,
}

impl Keys {
    /// The share of client `nth` of `of` (all keys, where they are shared); `client` is its number in the history.
    pub fn share(keys: u32, shared: bool, nth: u32, of: u32, seed: u64, client: u32) -> Self {
        let own = |key: &Key| shared || key % of == nth;
        Self {
            absent: Vec::new(),
            present: Vec::new(),
            unsure: (0..keys).filter(own).collect(),
            draws: Draws::of(seed, u64::from(nth)),
            value: ((u64::from(client) + 1) << 32) + 1,
        }
    }

    /// Learns from a list of everything.
    pub fn learn_all(&mut self, listing: &Listing) {
        let all = self.unsure.drain(..).chain(self.absent.drain(..));
        let all: Vec<Key> = all
            .chain(self.present.drain(..).map(|(key, _)| key))
            .collect();
        for key in all {
            match listing.items.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(at) => self.present.push((key, listing.items[at].1.revision)),
                Err(_) => self.absent.push(key),
            }
        }
    }

    /// A create of a key that does not exist, if there is one.
    pub fn fill(&mut self) -> Option<(Key, Request)> {
        let key = self.absent.pop()?;
        let value = self.new_value();
        Some((key, Request::Create { value }))
    }

    /// Draws what to ask next.
    pub fn next(&mut self, mix: &Mix) -> Ask {
        if let Some(key) = self.unsure.pop() {
            return Ask::Key(key, Request::Get);
        }
        let kind = drawn(mix, self.draws.below(mix.sum()));
        match kind {
            Kind::List => return Ask::Page,
            Kind::Get => {
                let key = self.any();
                return Ask::Key(key, Request::Get);
            }
            Kind::Create | Kind::Update | Kind::Delete => {}
        }
        // Where no key is as the drawn operation needs it, there is one for another write.
        if (kind == Kind::Create && !self.absent.is_empty()) || self.present.is_empty() {
            let at = self.draws.below(self.absent.len() as u32) as usize;
            let key = self.absent.swap_remove(at);
            let value = self.new_value();
            return Ask::Key(key, Request::Create { value });
        }
        let at = self.draws.below(self.present.len() as u32) as usize;
        let (key, expected) = self.present.swap_remove(at);
        if kind == Kind::Delete {
            return Ask::Key(key, Request::Delete { expected });
        }
        let value = self.new_value();
        Ask::Key(key, Request::Update { value, expected })
    }

    /// Any key, taken out until its answer is there.
    fn any(&mut self) -> Key {
        let at = self
            .draws
            .below((self.absent.len() + self.present.len()) as u32) as usize;
        match at.checked_sub(self.absent.len()) {
            None => self.absent.swap_remove(at),
            Some(at) => self.present.swap_remove(at).0,
        }
    }

    fn new_value(&mut self) -> ValueId {
        self.value += 1;
        self.value
    }

    /// Learns from an answer.
    pub fn learn(&mut self, key: Key, request: Request, answer: &Answer) {
        match (request, answer) {
            (Request::Delete { .. }, Answer::Written { .. })
            | (Request::Get, Answer::Read { found: None, .. }) => self.absent.push(key),
            (
                _,
                Answer::Written {
                    revision: Some(revision),
                },
            ) => self.present.push((key, *revision)),
            (
                _,
                Answer::Read {
                    found: Some(version),
                    ..
                }
                | Answer::Conflict {
                    current: Some(version),
                    ..
                },
            ) => self.present.push((key, version.revision)),
            (Request::Create { .. }, Answer::Refused { .. }) => self.absent.push(key),
            (
                Request::Update { expected, .. } | Request::Delete { expected },
                Answer::Refused { .. },
            ) => self.present.push((key, expected)),
            _ => self.unsure.push(key),
        }
    }
}

fn drawn(mix: &Mix, mut at: u32) -> Kind {
    let weights = [mix.create, mix.update, mix.delete, mix.get, mix.list];
    for (kind, weight) in Kind::ALL.into_iter().zip(weights) {
        match at.checked_sub(weight) {
            None => return kind,
            Some(rest) => at = rest,
        }
    }
    Kind::Update
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Keys {
        let mut keys = Keys::share(8, false, 1, 4, 7, 0);
        keys.learn_all(&Listing {
            client: 0,
            call: 0,
            end: 0,
            asked: None,
            revision: 1,
            limit: 0,
            pages: 1,
            items: Vec::new(),
            strangers: Vec::new(),
            is_final: false,
        });
        keys
    }

    #[test]
    fn each_request_follows_from_what_is_known() {
        let mut keys = fresh();
        let mut revision = 1;
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            let ask = keys.next(&Mix::default());
            seen[ask.kind() as usize] += 1;
            let Ask::Key(key, request) = ask else {
                panic!("no lists in this mix")
            };
            assert_eq!(key % 4, 1, "its own share only");
            revision += 1;
            let answer = Answer::Written {
                revision: Some(revision),
            };
            keys.learn(key, request, &answer);
        }
        let [create, update, delete, get, list] = seen;
        assert!(update > 500 && create >= delete && delete > 100, "{seen:?}");
        assert_eq!((get, list), (0, 0));
    }

    #[test]
    fn after_an_unknown_outcome_it_reads_first() {
        let mut keys = fresh();
        let Ask::Key(key, request) = keys.next(&Mix::UPDATES) else {
            panic!()
        };
        assert!(
            matches!(request, Request::Create { .. }),
            "nothing to update yet"
        );
        let unknown = Answer::Unknown { reason: "x".into() };
        keys.learn(key, request, &unknown);
        assert_eq!(keys.next(&Mix::UPDATES), Ask::Key(key, Request::Get));
    }
}
