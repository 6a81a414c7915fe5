//! The search for the knee: the highest offered rate that a server sustains.
//!
//! Doubling from a low rate until one is not sustained (or halving until one is), then bisection. A rate counts as not
//! sustained only when it failed twice: on a host that does other things one bad interval says little.

/// How often the rate is doubled or halved at most before the search gives up.
const STRIDES: u32 = 8;

/// A search under way.
#[derive(Debug, Clone)]
pub struct Search {
    start: f64,
    bisections: u32,
    strides: u32,
    /// The highest rate that was sustained.
    low: Option<f64>,
    /// The lowest that was not.
    high: Option<f64>,
    failed_once: Option<f64>,
}

impl Search {
    /// From a rate, with so many bisections.
    pub fn new(start: f64, bisections: u32) -> Self {
        Self {
            start,
            bisections,
            strides: STRIDES,
            low: None,
            high: None,
            failed_once: None,
        }
    }

    /// The rate to try next; `None`: the search is over.
    pub fn next(&self) -> Option<f64> {
        if self.failed_once.is_some() {
            return self.failed_once;
        }
        let strides = self.strides > 0;
        let rate = match (self.low, self.high) {
            (None, None) => Some(self.start),
            (Some(low), None) => strides.then_some(low * 2.0),
            (None, Some(high)) => strides.then_some(high / 2.0),
            (Some(low), Some(high)) => (self.bisections > 0).then_some((low + high) / 2.0),
        };
        // Whole rates are what people read, and below one request a second there is no interval to measure.
        rate.map(f64::round).filter(|rate| *rate >= 1.0)
    }

    /// Takes in whether the rate of [`Search::next`] was sustained.
    pub fn tell(&mut self, rate: f64, sustained: bool) {
        if !sustained && self.failed_once.is_none() {
            self.failed_once = Some(rate);
            return;
        }
        self.failed_once = None;
        match (self.low, self.high) {
            (Some(_), Some(_)) => self.bisections -= 1,
            (None, None) => {}
            _ => self.strides -= 1,
        }
        if sustained {
            self.low = Some(rate);
        } else {
            self.high = Some(rate);
        }
    }

    /// The highest rate that was sustained.
    pub fn knee(&self) -> Option<f64> {
        self.low
    }

    /// The lowest rate that was not, between which and the knee the truth lies.
    pub fn beyond(&self) -> Option<f64> {
        self.high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(start: f64, truth: f64) -> (Search, u32) {
        let mut search = Search::new(start, 4);
        let mut tries = 0;
        while let Some(rate) = search.next() {
            tries += 1;
            search.tell(rate, rate <= truth);
        }
        (search, tries)
    }

    #[test]
    fn it_closes_in_on_the_truth_from_either_side() {
        for (start, truth) in [
            (100.0, 1730.0),
            (5000.0, 1730.0),
            (1600.0, 1730.0),
            (100.0, 101.0),
        ] {
            let (search, tries) = searched(start, truth);
            let (knee, beyond) = (search.knee().unwrap(), search.beyond().unwrap());
            assert!(knee <= truth && truth < beyond, "{start} {truth}");
            assert!(beyond - knee <= truth / 8.0 + 1.0, "{knee} {beyond}");
            assert!(tries < 20);
        }
    }

    #[test]
    fn it_ends_when_nothing_or_everything_is_sustained() {
        assert_eq!(searched(100.0, 0.0).0.knee(), None);
        let (search, _) = searched(100.0, f64::INFINITY);
        assert_eq!((search.knee(), search.beyond()), (Some(25_600.0), None));
    }

    #[test]
    fn one_bad_interval_does_not_end_it() {
        let mut search = Search::new(100.0, 0);
        search.tell(100.0, true);
        search.tell(200.0, false);
        assert_eq!(search.next(), Some(200.0));
        search.tell(200.0, true);
        assert_eq!(
            (search.knee(), search.beyond(), search.next()),
            (Some(200.0), None, Some(400.0))
        );
    }
}
