//! A datastore as it should be, with clients, watches and a restart: it makes good histories.
//!
//! Each operation takes effect at one moment between its call and its end; one without an answer takes effect at some
//! time after its call, even after it was given up, or never.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use reports::history::{
    Answer, Header, History, Key, Level, Listing, Mark, MarkKind, Nanos, Operation, Request,
    Revision, Version,
};

pub use super::log::{Applied, Log};
pub use super::plan::Plan;
use super::rng::Rng;
use super::watches;

pub const MS: Nanos = 1_000_000;

/// A history and what is behind it.
pub struct Made {
    pub history: History,
    pub log: Log,
}

/// When the server is away.
#[derive(Debug, Clone, Copy)]
pub struct Away {
    pub from: Nanos,
    pub to: Nanos,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Pending {
    at: Nanos,
    serial: usize,
}

struct Asked {
    operation: Operation,
    /// Whether the client waits for it, so that it goes on from here.
    waits: bool,
    /// `None`: it is a request. Otherwise a list.
    list: Option<u32>,
}

pub struct Server {
    pub state: BTreeMap<Key, Version>,
    pub revision: Revision,
}

struct Run {
    plan: Plan,
    rng: Rng,
    server: Server,
    log: Log,
    heap: BinaryHeap<Reverse<Pending>>,
    asked: Vec<Option<Asked>>,
    known: Vec<BTreeMap<Key, Option<Version>>>,
    next_value: u64,
    left: usize,
    away: Option<Away>,
    history: History,
}

/// Makes the history of a plan.
pub fn make(plan: &Plan) -> Made {
    let mut rng = Rng::new(plan.seed);
    let keys = (0..plan.keys).map(|key| format!("/registry/configmaps/a/{key:05}"));
    let header = Header {
        level: plan.level,
        suite: "datastore".into(),
        scenario: "model".into(),
        part: if plan.fault { "fault" } else { "control" }.into(),
        keys: keys.collect(),
        revision: 10,
        floor: 5,
    };
    let mut server = Server {
        state: BTreeMap::new(),
        revision: 10,
    };
    // A key that was there before.
    if rng.per_mille(300) {
        let version = Version {
            value: 0,
            revision: 7,
        };
        server.state.insert(0, version);
    }
    let initial = server.state.clone();
    let length = plan.operations as u64 * plan.think / 2 / u64::from(plan.clients);
    let away = plan.fault.then(|| Away {
        from: length / 2,
        to: length / 2 + 700 * MS,
    });
    let mut run = Run {
        rng,
        server,
        log: Log {
            all: Vec::new(),
            forgotten: 0..0,
            initial,
        },
        heap: BinaryHeap::new(),
        asked: Vec::new(),
        known: vec![BTreeMap::new(); plan.clients as usize],
        next_value: 1,
        left: plan.operations,
        away,
        history: History::new(header),
        plan: plan.clone(),
    };
    run.run();
    let Run {
        mut history,
        log,
        mut rng,
        ..
    } = run;
    watches::add(&mut history, &log, plan, away, &mut rng);
    Made { history, log }
}

impl Run {
    fn run(&mut self) {
        for client in 0..self.plan.clients {
            // Every client begins by looking.
            let at = self.rng.between(1, 20 * MS);
            self.ask(client, at);
        }
        let mut restarted = false;
        let mut end = 0;
        while let Some(Reverse(pending)) = self.heap.pop() {
            let Some(asked) = self.asked[pending.serial].take() else {
                continue;
            };
            if let Some(away) = self.away
                && pending.at >= away.from
                && !restarted
            {
                restarted = true;
                self.restart(away);
            }
            end = end.max(pending.at).max(asked.operation.end);
            self.apply(pending.at, asked);
        }
        if self.plan.final_list {
            self.listing(u32::MAX, (end + MS, end + 2 * MS), 0, true);
            self.history.closed = true;
        }
    }

    fn restart(&mut self, away: Away) {
        let mark = |at, kind| Mark {
            at,
            kind,
            witness: "pid 1 is gone".into(),
        };
        let marks = &mut self.history.marks;
        marks.push(mark(away.from, MarkKind::FaultBegan("kill".into())));
        marks.push(mark(away.to, MarkKind::FaultEnded("kill".into())));
        let all = self.log.all.len();
        let kept = all.saturating_sub(self.plan.forgets);
        if kept < all {
            let first = self.log.all[kept].revision;
            self.log.forgotten = kept..all;
            self.server.state = self.log.state_before(first);
            if self.plan.reuses {
                self.server.revision = first - 1;
            }
        }
    }

    fn ask(&mut self, client: u32, at: Nanos) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let key = self.rng.below(u64::from(self.plan.keys)) as Key;
        let took = self.rng.between(2 * MS, 40 * MS);
        let mut operation = Operation {
            client,
            call: at,
            end: at + took,
            key,
            request: Request::Get,
            answer: Answer::Unknown {
                reason: "timeout".into(),
            },
        };
        if self.plan.lists && self.rng.per_mille(60) {
            let limit = self.rng.below(4) as u32;
            return self.queue(operation, Some(limit), at, took);
        }
        let known = self.known[client as usize].get(&key).copied();
        operation.request = self.choose(known);
        self.queue(operation, None, at, took);
    }

    fn choose(&mut self, known: Option<Option<Version>>) -> Request {
        let value = self.next_value;
        let request = match known {
            None => Request::Get,
            Some(None) => Request::Create { value },
            Some(Some(version)) => match self.rng.below(10) {
                0..2 => Request::Get,
                2..4 if self.plan.deletes => Request::Delete {
                    expected: version.revision,
                },
                _ => Request::Update {
                    value,
                    expected: version.revision,
                },
            },
        };
        if matches!(request, Request::Create { .. } | Request::Update { .. }) {
            self.next_value += 1;
        }
        request
    }

    fn queue(&mut self, mut operation: Operation, list: Option<u32>, at: Nanos, took: Nanos) {
        let mut effect = at + self.rng.below(took);
        let cut = self
            .away
            .filter(|away| at <= away.to && operation.end >= away.from);
        let lost = list.is_none() && self.rng.per_mille(self.plan.unknown);
        if cut.is_none() && !lost {
            return self.push(effect, operation, true, list);
        }
        let client = operation.client;
        // No answer: it takes effect early, late or never. When the server is away, only what it did before counts.
        let done = match cut {
            Some(away) => effect < away.from,
            None => {
                effect = at + self.rng.below(4 * took);
                let struck = self
                    .away
                    .is_some_and(|away| at <= away.to && effect >= away.from);
                !struck && self.rng.per_mille(500)
            }
        };
        operation.end = cut.map_or(operation.end, |away| operation.end.max(away.to));
        let next = operation.end + self.rng.below(self.plan.think);
        self.known[client as usize].remove(&operation.key);
        if list.is_none() {
            self.history.operations.push(operation.clone());
            if done {
                self.push(effect, operation, false, None);
            }
        }
        self.ask(client, next);
    }

    fn push(&mut self, at: Nanos, operation: Operation, waits: bool, list: Option<u32>) {
        let serial = self.asked.len();
        self.asked.push(Some(Asked {
            operation,
            waits,
            list,
        }));
        self.heap.push(Reverse(Pending { at, serial }));
    }

    fn apply(&mut self, at: Nanos, asked: Asked) {
        let mut operation = asked.operation;
        // Somebody else's write takes a revision, too.
        if self.rng.per_mille(50) {
            self.server.revision += 1;
        }
        if let Some(limit) = asked.list {
            let times = (operation.call, operation.end);
            self.listing(operation.client, times, limit, false);
            // An old state, as it is asked for with a continue token. What was forgotten cannot be asked for.
            if self.plan.forgets == 0 && self.rng.per_mille(200) {
                let known = (self.server.revision - 9) as u64;
                let revision = 10 + self.rng.below(known) as Revision;
                let state = self.log.state_before(revision + 1);
                let list = self.history.listings.last_mut().expect("it was made");
                list.items = state.into_iter().collect();
                list.asked = Some(revision);
                list.revision = revision;
            }
        } else {
            operation.answer = self.answer(at, &operation);
            if asked.waits {
                self.learn(&operation);
                self.history.operations.push(operation.clone());
            }
        }
        if asked.waits {
            let next = operation.end + self.rng.below(self.plan.think);
            self.ask(operation.client, next);
        }
    }

    fn answer(&mut self, at: Nanos, operation: &Operation) -> Answer {
        let current = self.server.state.get(&operation.key).copied();
        let api = self.plan.level == Level::Api;
        let revision = Some(self.server.revision).filter(|_| !api);
        let (fits, value) = match operation.request {
            Request::Get => {
                return Answer::Read {
                    found: current,
                    revision,
                };
            }
            Request::Create { value } => (current.is_none(), Some(value)),
            Request::Update { value, expected } => (
                current.is_some_and(|now| now.revision == expected),
                Some(value),
            ),
            Request::Delete { expected } => {
                (current.is_some_and(|now| now.revision == expected), None)
            }
        };
        if !fits {
            let told = !api && !matches!(operation.request, Request::Create { .. });
            return Answer::Conflict {
                current: current.filter(|_| told),
                revision,
            };
        }
        self.server.revision += 1;
        let revision = self.server.revision;
        match value {
            Some(value) => {
                let version = Version { value, revision };
                self.server.state.insert(operation.key, version);
            }
            None => {
                self.server.state.remove(&operation.key);
            }
        }
        self.log.all.push(Applied {
            at,
            key: operation.key,
            revision,
            value,
        });
        let told = !(api && value.is_none());
        Answer::Written {
            revision: told.then_some(revision),
        }
    }

    fn learn(&mut self, operation: &Operation) {
        let known = match (&operation.answer, operation.request) {
            (Answer::Read { found, .. }, _) => Some(*found),
            (Answer::Conflict { current, .. }, _) => current.map(Some),
            (
                Answer::Written {
                    revision: Some(revision),
                },
                Request::Create { value } | Request::Update { value, .. },
            ) => Some(Some(Version {
                value,
                revision: *revision,
            })),
            (Answer::Written { .. }, _) => Some(None),
            _ => None,
        };
        let of = &mut self.known[operation.client as usize];
        match known {
            Some(known) => of.insert(operation.key, known),
            None => of.remove(&operation.key),
        };
    }

    fn listing(&mut self, client: u32, times: (Nanos, Nanos), limit: u32, is_final: bool) {
        let items: Vec<(Key, Version)> = self
            .server
            .state
            .iter()
            .map(|(key, version)| (*key, *version))
            .collect();
        let pages = match limit {
            0 => 1,
            limit => (items.len() as u32).div_ceil(limit).max(1),
        };
        self.history.listings.push(Listing {
            client,
            call: times.0,
            end: times.1,
            asked: None,
            revision: self.server.revision,
            limit,
            pages,
            items,
            strangers: Vec::new(),
            is_final,
        });
    }
}
