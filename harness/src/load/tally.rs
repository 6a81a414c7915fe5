//! What came of a workload: latencies with their counts, answers by class, what was offered and what was achieved.

use std::time::Duration;

use hdrhistogram::Histogram;
use reports::history::Answer;

/// An operation of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A create.
    Create,
    /// An update.
    Update,
    /// A delete.
    Delete,
    /// A read of one key.
    Get,
    /// A list's first page.
    List,
}

impl Kind {
    /// All of them, in the order of [`Load::kinds`].
    pub const ALL: [Self; 5] = [
        Self::Create,
        Self::Update,
        Self::Delete,
        Self::Get,
        Self::List,
    ];

    /// What reports call it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Get => "get",
            Self::List => "list",
        }
    }

    /// Whether it writes.
    #[must_use]
    pub fn writes(self) -> bool {
        matches!(self, Self::Create | Self::Update | Self::Delete)
    }
}

/// The longest latency that is told apart, an hour in microseconds: no request is waited for that long.
const LONGEST: u64 = 3_600_000_000;

/// What came of the operations of one kind that were due in the measured interval.
#[derive(Debug, Clone)]
pub struct KindTally {
    /// Latencies of what was done, in microseconds: in an open loop from the intended start.
    pub latency: Histogram<u32>,
    /// Answers that the condition of a write did not hold. Not errors: with shared keys they are expected.
    pub conflicts: u64,
    /// The server said that it has not done it.
    pub refused: u64,
    /// Nobody knows whether it was done.
    pub unknown: u64,
}

/// What came of a workload.
#[derive(Debug, Clone)]
pub struct Load {
    /// By kind, in the order of [`Kind::ALL`].
    pub kinds: [KindTally; 5],
    /// Requests a second that were to be sent; `None` in a closed loop.
    pub offered: Option<f64>,
    /// Length of the measured interval.
    pub interval: Duration,
    /// Answers (done or conflict) that came within the measured interval, whenever their requests were sent.
    pub answered_within: u64,
    /// Everything that was answered (done or conflict) since the workload began, the warm-up and the last answers included:
    /// what to divide by what the server spent from before it until after it.
    pub total: u64,
    /// Of that, the writes that were done.
    pub total_writes: u64,
    /// Requests that were due within the measured interval.
    pub due: u64,
    /// Of those, the ones that were never sent, because as many as allowed were under way until the end.
    pub unsent: u64,
    /// The most requests that were due and not sent at any moment.
    pub backlog_max: u64,
    /// By how much requests were sent later than intended although a client was free, in microseconds: assay's own share
    /// in an open loop's latencies.
    pub lateness: Histogram<u32>,
    /// CPU time of assay in the measured interval, all its threads.
    pub own_cpu: Duration,
    /// Of that, the generator's thread: what the work itself took.
    pub generator_cpu: Duration,
    /// The first error's words.
    pub first_error: Option<String>,
}

impl Load {
    pub(super) fn new(offered: Option<f64>, interval: Duration) -> Self {
        // Three digits; some 90 KiB each.
        let fresh = || Histogram::new_with_max(LONGEST, 3).expect("three digits are allowed");
        Self {
            kinds: Kind::ALL.map(|_| KindTally {
                latency: fresh(),
                conflicts: 0,
                refused: 0,
                unknown: 0,
            }),
            offered,
            interval,
            answered_within: 0,
            total: 0,
            total_writes: 0,
            due: 0,
            unsent: 0,
            backlog_max: 0,
            lateness: fresh(),
            own_cpu: Duration::ZERO,
            generator_cpu: Duration::ZERO,
            first_error: None,
        }
    }

    /// Takes in an answer: whether it came within the measured interval, and its latency if its request was due in that.
    pub(super) fn answered(
        &mut self,
        kind: Kind,
        answer: &Answer,
        within: bool,
        latency: Option<Duration>,
    ) {
        match answer {
            Answer::Refused { .. } | Answer::Unknown { .. } => {}
            Answer::Conflict { .. } => self.total += 1,
            Answer::Written { .. } | Answer::Read { .. } => {
                self.total += 1;
                self.total_writes += u64::from(kind.writes());
            }
        }
        if within && !failed(answer) {
            self.answered_within += 1;
        }
        if let Some(latency) = latency {
            self.take(kind, answer, latency);
        }
    }

    fn take(&mut self, kind: Kind, answer: &Answer, latency: Duration) {
        let tally = &mut self.kinds[kind as usize];
        match answer {
            Answer::Written { .. } | Answer::Read { .. } => {
                let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
                tally.latency.saturating_record(micros);
            }
            Answer::Conflict { .. } => tally.conflicts += 1,
            Answer::Refused { reason } => {
                tally.refused += 1;
                self.first_error.get_or_insert_with(|| reason.clone());
            }
            Answer::Unknown { reason } => {
                tally.unknown += 1;
                self.first_error.get_or_insert_with(|| reason.clone());
            }
        }
    }

    /// What came of one kind.
    #[must_use]
    pub fn kind(&self, kind: Kind) -> &KindTally {
        &self.kinds[kind as usize]
    }

    /// Operations that were done.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.latency.len()).sum()
    }

    /// Writes that were done.
    #[must_use]
    pub fn writes(&self) -> u64 {
        let writes = Kind::ALL.into_iter().filter(|kind| kind.writes());
        writes.map(|kind| self.kind(kind).latency.len()).sum()
    }

    /// Conflicts.
    #[must_use]
    pub fn conflicts(&self) -> u64 {
        self.kinds.iter().map(|kind| kind.conflicts).sum()
    }

    /// Operations that were refused or whose outcome is unknown.
    #[must_use]
    pub fn errors(&self) -> u64 {
        let errors = self.kinds.iter().map(|kind| kind.refused + kind.unknown);
        errors.sum()
    }

    /// Answers a second within the measured interval.
    #[must_use]
    pub fn achieved(&self) -> f64 {
        self.answered_within as f64 / self.interval.as_secs_f64()
    }

    /// All kinds' latencies together, microseconds.
    #[must_use]
    pub fn latency(&self) -> Histogram<u32> {
        let mut all = Histogram::new(3).expect("three digits are allowed");
        for kind in &self.kinds {
            all.add(&kind.latency).expect("it grows by itself");
        }
        all
    }

    /// Whether enough was answered to say anything: 100 operations, and in an open loop half of what was offered.
    ///
    /// # Errors
    /// A sentence that says what was missing.
    pub fn above_floor(&self) -> Result<(), String> {
        let done = self.done() + self.conflicts();
        let floor = match self.offered {
            Some(_) => (self.due / 2).max(FLOOR),
            None => FLOOR,
        };
        if done >= floor {
            return Ok(());
        }
        let first = self.first_error.as_deref();
        Err(format!(
            "only {done} operations were answered in {:.1} s where {floor} are the least that says anything; {}",
            self.interval.as_secs_f64(),
            first.map_or_else(
                || "none failed".to_owned(),
                |first| format!("{} failed, the first so: {first}", self.errors())
            )
        ))
    }
}

/// Whether an answer is an error.
pub(super) fn failed(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused { .. } | Answer::Unknown { .. })
}

/// The least number of answers that says anything: fewer have no p99.
pub const FLOOR: u64 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_by_class_and_too_few_say_nothing() {
        let mut load = Load::new(Some(100.0), Duration::from_secs(4));
        load.due = 400;
        let written = Answer::Written { revision: Some(1) };
        for _ in 0..199 {
            load.take(Kind::Update, &written, Duration::from_millis(2));
        }
        let unknown = Answer::Unknown {
            reason: "gone".into(),
        };
        load.take(Kind::Create, &unknown, Duration::from_secs(1));
        assert_eq!((load.done(), load.writes(), load.errors()), (199, 199, 1));
        let why = load.above_floor().unwrap_err();
        assert!(why.contains("only 199") && why.contains("gone"), "{why}");
        load.take(Kind::Get, &written, Duration::from_millis(2));
        assert_eq!(load.above_floor(), Ok(()));
        assert_eq!(load.latency().len(), 200);
        // As long as they were: a histogram that cannot hold a value counts it as its greatest.
        for quantile in [0.0, 0.5, 1.0] {
            let micros = load.latency().value_at_quantile(quantile);
            assert!((1_990..=2_010).contains(&micros), "{micros}");
        }
    }
}
