//! Thrashing: a server that is silent because the kernel throws out the pages it needs and reads them back, with no
//! OOM kill. It is a finding on the memory budget, and it has evidence: reclaim and major faults, both high, while
//! the API is silent.

use std::collections::VecDeque;
use std::fmt;
use std::time::{Duration, Instant};

/// Shorter silences are not judged: a burst of reclaim is how a full page cache works.
const AT_LEAST: Duration = Duration::from_secs(20);
/// Pages read back from disk because a process touched them: a healthy control plane has next to none once it
/// runs, and even its start, which reads its own program of 100 MiB, is over within seconds.
const MAJOR_FAULTS_PER_S: f64 = 50.0;
/// Pages that reclaim looked at.
const SCANNED_PER_S: f64 = 500.0;
/// How long readings are kept: longer than any server may be silent. How often they come is the guest's affair.
const KEPT: Duration = Duration::from_secs(15 * 60);
/// Readings that come sooner after the last but one take the place of the last.
const APART: Duration = Duration::from_millis(500);

/// One reading of the kernel's paging counters (`/proc/vmstat`), cumulative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// When.
    pub at: Instant,
    /// `pgmajfault`.
    pub major_faults: u64,
    /// `pgscan_kswapd` and `pgscan_direct`.
    pub scanned: u64,
}

/// The newest readings.
#[derive(Debug, Default)]
pub struct PagingLog(VecDeque<Paging>);

/// What was seen while the API was silent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thrash {
    /// For how long.
    pub over: Duration,
    /// Major faults a second.
    pub major_faults_per_s: f64,
    /// Pages scanned by reclaim, a second.
    pub scanned_per_s: f64,
}

impl PagingLog {
    /// Adds a reading.
    pub fn push(&mut self, reading: Paging) {
        let at = reading.at;
        let early = |than: &Paging| at.saturating_duration_since(than.at);
        let last_but_one = self.0.len().checked_sub(2).and_then(|nth| self.0.get(nth));
        if last_but_one.is_some_and(|before| early(before) < APART) {
            self.0.pop_back();
        }
        while self.0.front().is_some_and(|first| early(first) > KEPT) {
            self.0.pop_front();
        }
        self.0.push_back(reading);
    }

    /// Judges the time since `silent_since`. `None`: it was too short, not all of it was seen, or it is not
    /// thrashing. The faults must go on to its end: both halves of the silence are judged.
    #[must_use]
    pub fn judge(&self, silent_since: Instant) -> Option<Thrash> {
        let last = self.0.back()?;
        // The last reading before the silence, so that all of it is covered.
        let begin = self
            .0
            .iter()
            .rev()
            .find(|reading| reading.at <= silent_since)?;
        let middle_at = begin.at + last.at.saturating_duration_since(begin.at) / 2;
        let middle = self.0.iter().find(|reading| reading.at >= middle_at)?;
        let whole = rates(begin, last)?;
        let halves = [rates(begin, middle)?, rates(middle, last)?];
        let high = |rates: &Thrash| {
            rates.major_faults_per_s >= MAJOR_FAULTS_PER_S && rates.scanned_per_s >= SCANNED_PER_S
        };
        (whole.over >= AT_LEAST && high(&whole) && halves.iter().all(high)).then_some(whole)
    }
}

fn rates(from: &Paging, to: &Paging) -> Option<Thrash> {
    let over = to.at.checked_duration_since(from.at)?;
    let seconds = over.as_secs_f64();
    let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
    (seconds > 0.0).then(|| Thrash {
        over,
        major_faults_per_s: rate(from.major_faults, to.major_faults),
        scanned_per_s: rate(from.scanned, to.scanned),
    })
}

impl fmt::Display for Thrash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "it thrashes: over the last {} s the kernel scanned {:.0} pages and read back {:.0} pages a second, without \
             an OOM kill; the memory budget is too small for it",
            self.over.as_secs(),
            self.scanned_per_s,
            self.major_faults_per_s
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A reading a second, with so many faults and scans a second until `until`, and none from then on.
    fn log(began: Instant, seconds: u64, until: u64, faults: u64, scans: u64) -> PagingLog {
        let mut log = PagingLog::default();
        for second in 0..=seconds {
            log.push(Paging {
                at: began + Duration::from_secs(second),
                major_faults: second.min(until) * faults,
                scanned: second.min(until) * scans,
            });
        }
        log
    }

    #[test]
    fn both_must_be_high_for_long_enough_and_to_the_end() {
        let now = Instant::now();
        let thrash = log(now, 60, 60, 400, 9000).judge(now).unwrap();
        assert_eq!(
            (thrash.major_faults_per_s, thrash.scanned_per_s),
            (400.0, 9000.0)
        );
        let words = thrash.to_string();
        assert!(words.contains("over the last 60 s"), "{words}");
        assert_eq!(
            log(now, 60, 60, 1, 9000).judge(now),
            None,
            "reclaim alone is a page cache"
        );
        assert_eq!(
            log(now, 60, 60, 400, 0).judge(now),
            None,
            "faults alone are a start"
        );
        assert_eq!(log(now, 60, 20, 4000, 9000).judge(now), None, "it is over");
        let late = now + Duration::from_secs(50);
        assert_eq!(log(now, 60, 60, 400, 9000).judge(late), None, "too short");
        assert_eq!(PagingLog::default().judge(now), None);
    }

    #[test]
    fn a_silence_whose_beginning_nobody_saw_is_not_judged() {
        let now = Instant::now();
        let seen = now + Duration::from_secs(1);
        assert_eq!(log(seen, 60, 60, 400, 9000).judge(now), None);
        // However often readings come, they go by their age.
        let mut log = PagingLog::default();
        let span = KEPT.as_millis() as u64 + 60_000;
        for tick in (0..=span).step_by(20) {
            log.push(Paging {
                at: now + Duration::from_millis(tick),
                major_faults: tick,
                scanned: tick,
            });
        }
        assert!(log.0.len() as u128 <= 2 * KEPT.as_millis() / APART.as_millis());
        assert_eq!(log.0.back().unwrap().major_faults, span);
        assert_eq!(log.judge(now), None, "that is too long ago");
        let since = now + Duration::from_secs(120);
        assert!(log.judge(since).is_some());
    }

    #[test]
    fn only_the_silence_is_judged() {
        let now = Instant::now();
        let mut log = log(now, 60, 60, 0, 0);
        for second in 61..=100 {
            log.push(Paging {
                at: now + Duration::from_secs(second),
                major_faults: (second - 60) * 100,
                scanned: (second - 60) * 1000,
            });
        }
        assert_eq!(log.judge(now), None);
        let since = now + Duration::from_secs(60);
        assert_eq!(log.judge(since).unwrap().major_faults_per_s, 100.0);
    }
}
