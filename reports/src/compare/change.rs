//! Two sets of values of one figure: did it change, and is that more than noise?
//!
//! A change counts where all of this holds: each side has at least [`LEAST_VALUES`] values; so few values of one side
//! lie among those of the other that chance does it less than once in 100 times (the rank test of Mann and Whitney);
//! the 95 % bootstrap interval of the ratio of the medians (of their difference, where one is 0) does not hold "no
//! change"; the medians lie further apart than the middle half of either side is wide; and the change is worth a sentence
//! ([`Figure::smallest`](super::figure::Figure::smallest)). Anything less is called noise: an alarm that is wrong one time
//! in ten teaches people to look away.

use serde::Serialize;

use crate::stats;

/// The least number of values on each side. With fewer, the interval of a median is the values' own range and says
/// nothing; five of five on one side of five others come by chance once in 126 times.
pub const LEAST_VALUES: usize = 5;

/// A set of values, summed up.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Spread {
    /// How many.
    pub n: usize,
    /// The middle one.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// The lower and upper quartile, between which the middle half lies.
    pub quartiles: (f64, f64),
}

impl Spread {
    /// Sums up values; `None` without a finite one.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let sorted = stats::finite(values.iter().copied());
        Some(Self {
            n: sorted.len(),
            median: stats::quantile(&sorted, 0.5)?,
            least: *sorted.first()?,
            greatest: *sorted.last()?,
            quartiles: (
                stats::quantile(&sorted, 0.25)?,
                stats::quantile(&sorted, 0.75)?,
            ),
        })
    }

    fn middle_half(&self) -> f64 {
        self.quartiles.1 - self.quartiles.0
    }
}

/// Which way is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Good {
    /// Less of it: times, bytes, errors.
    Less,
    /// More of it: operations a second.
    More,
    /// Nobody can tell from its name and unit.
    Unknown,
}

/// What became of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It changed for the worse by more than noise.
    Worse,
    /// It changed for the better by more than noise.
    Better,
    /// It changed by more than noise, and which way is good is not known.
    Differs,
    /// No change that stands out of the noise.
    WithinNoise,
    /// Too few values on a side to tell.
    TooFew,
}

impl Change {
    /// In the words of the tables.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Differs => "differs",
            Self::WithinNoise => "within noise",
            Self::TooFew => "not enough repeats",
        }
    }
}

/// The difference of a figure between two sides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// The second median over the first; `None` where the first is 0.
    pub ratio: Option<f64>,
    /// The 95 % interval of that ratio; `None` with too few values, or where a median is 0.
    pub ratio_interval: Option<(f64, f64)>,
    /// What that means.
    pub change: Change,
}

/// Compares two sets of values. `smallest` is the least difference of the medians that is worth a sentence.
#[must_use]
pub fn difference(
    a: &[f64],
    b: &[f64],
    good: Good,
    smallest: impl Fn(f64) -> f64,
) -> Option<Difference> {
    let (from, to) = (Spread::of(a)?, Spread::of(b)?);
    let ratio = (from.median != 0.0).then(|| to.median / from.median);
    if from.n < LEAST_VALUES || to.n < LEAST_VALUES {
        return Some(Difference {
            ratio,
            ratio_interval: None,
            change: Change::TooFew,
        });
    }
    let (a, b) = (
        stats::finite(a.iter().copied()),
        stats::finite(b.iter().copied()),
    );
    let ratio_interval = ratio.and_then(|_| stats::bootstrap(&a, &b, |a, b| b / a));
    let by = to.median - from.median;
    let stands_out = stands_out((&a, &from), (&b, &to), smallest(from.median));
    let change = match (stands_out, good, by > 0.0) {
        (false, ..) => Change::WithinNoise,
        (true, Good::Unknown, _) => Change::Differs,
        (true, Good::Less, true) | (true, Good::More, false) => Change::Worse,
        (true, Good::Less, false) | (true, Good::More, true) => Change::Better,
    };
    Some(Difference {
        ratio,
        ratio_interval,
        change,
    })
}

/// Whether two sets of ascending values differ by more than noise. The dear test comes last.
fn stands_out((a, from): (&[f64], &Spread), (b, to): (&[f64], &Spread), smallest: f64) -> bool {
    let by = to.median - from.median;
    by != 0.0
        && by.abs() > from.middle_half().max(to.middle_half())
        && by.abs() >= smallest
        && stats::by_chance(a, b) < 0.01
        // For positive values the ratio is above 1 in exactly those resamples in which the difference is above 0.
        && stats::bootstrap(a, b, |a, b| b - a).is_some_and(|(low, high)| low > 0.0 || high < 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(a: &[f64], b: &[f64]) -> Change {
        difference(a, b, Good::Less, |median| median.abs() * 0.03)
            .unwrap()
            .change
    }

    #[test]
    fn a_change_must_stand_out_of_the_noise() {
        let a = [100.0, 101.0, 99.0, 102.0, 98.0];
        let times = |by: f64| a.map(|v| v * by);
        assert_eq!(change(&a, &times(1.3)), Change::Worse);
        assert_eq!(change(&a, &times(0.7)), Change::Better);
        assert_eq!(change(&a, &times(1.02)), Change::WithinNoise, "under 3 %");
        assert_eq!(change(&a, &a), Change::WithinNoise);
        assert_eq!(change(&a[..4], &times(9.0)), Change::TooFew);
        assert_eq!(
            change(&[50.0, 80.0, 100.0, 120.0, 150.0], &times(1.1)),
            Change::WithinNoise
        );
        assert_eq!(
            change(&[0.0; 5], &[3.0; 5]),
            Change::Worse,
            "a ratio to nothing"
        );
        let none = difference(&[0.0; 5], &[3.0; 5], Good::Unknown, |_| 0.0).unwrap();
        assert_eq!(
            (none.ratio, none.ratio_interval, none.change),
            (None, None, Change::Differs)
        );
        let more = difference(&a, &times(2.0), Good::More, |_| 0.0).unwrap();
        assert_eq!(more.change, Change::Better);
        assert_eq!(more.ratio, Some(2.0));
        assert_eq!(difference(&a, &[f64::NAN], Good::Less, |_| 0.0), None);
    }

    /// Two sets drawn from one distribution: how often is there an alarm? Published: at most 1 %.
    #[test]
    fn nothing_changed_is_hardly_ever_called_a_change() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        // Skewed to the right, as times are: 10 % about the median, and a tail.
        let mut value = || {
            let z: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
            100.0 * (z * 0.1).exp()
        };
        for n in [5, 10] {
            let mut alarms = |times: usize, by: f64| {
                let one = |_: &usize| {
                    let mut set = |by: f64| stats::finite((0..n).map(|_| value() * by));
                    let (a, b) = (set(1.0), set(by));
                    let (from, to) = (Spread::of(&a).unwrap(), Spread::of(&b).unwrap());
                    stands_out((&a, &from), (&b, &to), from.median * 0.03)
                };
                (0..times).filter(one).count()
            };
            let (same, twice) = (alarms(2000, 1.0), alarms(200, 2.0));
            println!("n={n}: {same} of 2000 false alarms, {twice} of 200 doublings seen");
            assert!(same <= 20, "n={n}: {same} of 2000 false alarms");
            assert!(
                twice >= 199,
                "n={n}: only {twice} of 200 doublings were seen"
            );
        }
    }
}
