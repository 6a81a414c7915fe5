//! A workload is data: what is asked, of how much, how fast and for how long.

use serde::{Deserialize, Serialize};

/// How often each operation is chosen, as weights. Where no key is as an operation needs it (none left to delete), a
/// write of another kind takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mix {
    /// Creates of keys that do not exist.
    pub create: u32,
    /// Updates on the condition that nobody else wrote.
    pub update: u32,
    /// Deletes on the same condition.
    pub delete: u32,
    /// Reads of one key.
    pub get: u32,
    /// Lists of the first page.
    pub list: u32,
}

impl Default for Mix {
    /// The writes of a small cluster: mostly updates.
    fn default() -> Self {
        Self {
            create: 20,
            update: 60,
            delete: 20,
            get: 0,
            list: 0,
        }
    }
}

impl Mix {
    /// Only updates, of keys that were created before.
    pub const UPDATES: Self = Self {
        create: 0,
        update: 1,
        delete: 0,
        get: 0,
        list: 0,
    };

    /// The sum of the weights.
    #[must_use]
    pub fn sum(&self) -> u32 {
        self.create + self.update + self.delete + self.get + self.list
    }
}

/// When the next request is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// At fixed intervals, whether or not earlier ones were answered. Latency counts from the intended start, so that a
    /// server that stalls is charged for everybody who waited.
    Open {
        /// The offered rate.
        per_second: f64,
    },
    /// Each client sends when its last request was answered: throughput at a concurrency. Latency under overload is
    /// understated by design.
    Closed {
        /// How many clients.
        clients: u32,
    },
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Workload {
    /// What is asked.
    pub mix: Mix,
    /// The number of keys. Each client has its own share of them, at least one.
    pub keys: u32,
    /// Whether clients write each other's keys too, so that they meet conflicts.
    pub shared: bool,
    /// Bytes of each value.
    pub value_bytes: usize,
    /// When the next request is sent.
    pub pace: Pace,
    /// For how long, in seconds.
    pub seconds: f64,
    /// For how long before that, unmeasured but recorded.
    pub warm_up: f64,
    /// What all choices are drawn from.
    pub seed: u64,
    /// Watches of everything that is written, open all the while.
    pub watchers: u32,
    /// Items of a list's page.
    pub page: u32,
    /// The number of requests that an open loop has under way at most; what is due beyond them waits, and is counted.
    pub in_flight: u32,
    /// How long a request may take, in seconds; then its outcome is unknown.
    pub deadline: f64,
}

impl Default for Workload {
    fn default() -> Self {
        Self {
            mix: Mix::default(),
            keys: 1024,
            shared: false,
            value_bytes: 1024,
            pace: Pace::Closed { clients: 1 },
            seconds: 3.0,
            warm_up: 0.0,
            seed: 1,
            watchers: 0,
            page: 100,
            in_flight: 512,
            deadline: 10.0,
        }
    }
}

impl Workload {
    /// How many clients there are; in an open loop as many as there may be requests under way.
    #[must_use]
    pub fn clients(&self) -> u32 {
        match self.pace {
            Pace::Open { .. } => self.in_flight.max(1),
            Pace::Closed { clients } => clients.max(1),
        }
    }

    /// How many keys there are: as many as asked for, and one for each client that has its own.
    #[must_use]
    pub fn key_count(&self) -> u32 {
        let clients = if self.shared { 1 } else { self.clients() };
        self.keys.max(clients)
    }
}

/// SplitMix64's finisher (Steele, Lea, Flood 2014): a fixed number becomes one that looks drawn.
pub(super) fn mixed(n: u64) -> u64 {
    let mut z = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Numbers drawn from a seed.
#[derive(Debug, Clone)]
pub(super) struct Draws(u64);

impl Draws {
    /// Those of one of several drawers.
    pub(super) fn of(seed: u64, drawer: u64) -> Self {
        Self(mixed(seed ^ mixed(drawer)))
    }

    /// The next, below `bound`, which is at least 1.
    pub(super) fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(1);
        // The bias is below one in four thousand millions.
        (((mixed(self.0) >> 32) * u64::from(bound.max(1))) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_text() {
        let workload = Workload {
            pace: Pace::Open { per_second: 50.0 },
            ..Workload::default()
        };
        let text = serde_json::to_string(&workload).unwrap();
        assert!(
            text.contains(r#""pace":{"open":{"per_second":50.0}}"#),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<Workload>(&text).unwrap(), workload);
        let short: Workload = serde_json::from_str(r#"{"keys":7}"#).unwrap();
        assert_eq!((short.keys, short.seconds), (7, 3.0));
    }
}
