//! Latency distributions: quantiles, throughput, merging.

use crate::event::Latency;

/// The quantiles of every report, with the smallest count that supports each. A p99 of fewer than 100
/// operations, or a p99.9 of fewer than 1,000, is the maximum under another name; it is refused.
pub const QUANTILES: [(&str, f64, u64); 4] = [
    ("p50", 0.5, 1),
    ("p90", 0.9, 10),
    ("p99", 0.99, 100),
    ("p99.9", 0.999, 1000),
];

impl Latency {
    /// The quantile in milliseconds, from the buckets' upper bounds and never above the exact maximum.
    /// `None` where the count is too small to support it, or where there are no buckets.
    #[must_use]
    pub fn quantile_ms(&self, q: f64) -> Option<f64> {
        let counted = self.counted();
        let tail = 1.0 - q;
        // 1 - 0.999 is a hair above 0.001: leave room for the rounding.
        if counted == 0 || (q > 0.5 && (counted as f64) * tail < 1.0 - 1e-6) {
            return None;
        }
        let rank = ((q * counted as f64).ceil() as u64).clamp(1, counted);
        let mut seen = 0u64;
        for (upper, count) in &self.buckets {
            seen = seen.saturating_add(*count);
            if seen >= rank {
                let bounded = if self.max_us > 0 {
                    (*upper).min(self.max_us)
                } else {
                    *upper
                };
                return Some(bounded as f64 / 1000.0);
            }
        }
        None
    }

    /// The four quantiles of [`QUANTILES`], milliseconds.
    #[must_use]
    pub fn quantiles_ms(&self) -> [Option<f64>; 4] {
        QUANTILES.map(|(_, q, _)| self.quantile_ms(q))
    }

    /// Successful operations per second; `None` without an interval.
    #[must_use]
    pub fn per_second(&self) -> Option<f64> {
        (self.interval_ms.is_finite() && self.interval_ms > 0.0)
            .then(|| self.count as f64 * 1000.0 / self.interval_ms)
    }

    /// The number of operations in the buckets.
    #[must_use]
    pub fn counted(&self) -> u64 {
        self.buckets
            .iter()
            .fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Adds another distribution of the same operation, measured in another interval (repeats): counts,
    /// errors, intervals and buckets add up.
    pub fn merge(&mut self, other: &Self) {
        let mut all: std::collections::BTreeMap<u64, u64> = self.buckets.iter().copied().collect();
        for (upper, count) in &other.buckets {
            let slot = all.entry(*upper).or_default();
            *slot = slot.saturating_add(*count);
        }
        self.buckets = all.into_iter().collect();
        self.min_us = match (self.count, other.count) {
            (0, _) => other.min_us,
            (_, 0) => self.min_us,
            _ => self.min_us.min(other.min_us),
        };
        self.max_us = self.max_us.max(other.max_us);
        self.count = self.count.saturating_add(other.count);
        self.errors = self.errors.saturating_add(other.errors);
        self.interval_ms += other.interval_ms;
    }

    /// The number of concurrent clients, from the label `clients`.
    #[must_use]
    pub fn clients(&self) -> Option<u32> {
        self.labels.get("clients")?.parse().ok()
    }

    /// What tells distributions of one cell apart: operation and labels.
    #[must_use]
    pub fn key(&self) -> String {
        crate::format::labelled(&self.operation, &self.labels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latency(buckets: &[(u64, u64)]) -> Latency {
        let count = buckets.iter().map(|b| b.1).sum();
        Latency {
            suite: "datastore".into(),
            scenario: "mix".into(),
            operation: "create".into(),
            labels: [("clients".to_owned(), "16".to_owned())].into(),
            count,
            errors: 0,
            interval_ms: 2000.0,
            buckets: buckets.to_vec(),
            min_us: buckets.first().map_or(0, |b| b.0),
            max_us: buckets.last().map_or(0, |b| b.0),
        }
    }

    #[test]
    fn quantiles_come_from_the_buckets() {
        let l = latency(&[(1000, 500), (2000, 400), (5000, 90), (9000, 10)]);
        assert_eq!(
            l.quantiles_ms(),
            [Some(1.0), Some(2.0), Some(5.0), Some(9.0)]
        );
        assert_eq!(l.per_second(), Some(500.0));
        assert_eq!(l.clients(), Some(16));
    }

    #[test]
    fn a_bucket_never_exceeds_the_exact_maximum() {
        let mut l = latency(&[(1000, 1)]);
        l.max_us = 990;
        assert_eq!(l.quantile_ms(0.5), Some(0.99));
    }

    #[test]
    fn quantiles_need_their_counts() {
        for (_, q, least) in &QUANTILES {
            assert!(latency(&[(10, *least)]).quantile_ms(*q).is_some(), "{q}");
            if *least > 1 {
                assert_eq!(latency(&[(10, least - 1)]).quantile_ms(*q), None, "{q}");
            }
        }
        assert_eq!(latency(&[]).quantiles_ms(), [None; 4]);
    }

    #[test]
    fn merging_adds_up() {
        let mut a = latency(&[(1000, 1), (3000, 2)]);
        a.merge(&latency(&[(500, 4), (3000, 1)]));
        assert_eq!(a.buckets, [(500, 4), (1000, 1), (3000, 3)]);
        assert_eq!((a.count, a.min_us, a.max_us), (8, 500, 3000));
        assert_eq!(a.per_second(), Some(2.0));
        let mut empty = latency(&[]);
        empty.merge(&latency(&[(7, 1)]));
        assert_eq!((empty.min_us, empty.max_us), (7, 7));
    }
}
