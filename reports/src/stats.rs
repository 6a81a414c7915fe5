//! Small statistics on plain numbers. Values that are not finite are the caller's to remove: see [`finite`].

/// The finite values, ascending.
#[must_use]
pub fn finite(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut kept: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    kept.sort_by(f64::total_cmp);
    kept
}

/// The quantile `q` (0 to 1) of ascending values, by linear interpolation between ranks (type 7 of
/// Hyndman and Fan, the default of R and NumPy). `None` without values or with `q` out of range.
#[must_use]
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    if sorted.is_empty() || !(0.0..=1.0).contains(&q) {
        return None;
    }
    let rank = q * (sorted.len() - 1) as f64;
    let below = rank.floor() as usize;
    let above = rank.ceil() as usize;
    let share = rank - rank.floor();
    Some(sorted[below] + (sorted[above] - sorted[below]) * share)
}

/// The median of values in any order, ignoring those that are not finite.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    quantile(&finite(values.iter().copied()), 0.5)
}

/// The median absolute deviation from the median, not scaled to a standard deviation.
#[must_use]
pub fn mad(values: &[f64]) -> Option<f64> {
    let centre = median(values)?;
    median(
        &values
            .iter()
            .map(|v| (v - centre).abs())
            .collect::<Vec<_>>(),
    )
}

/// The arithmetic mean; `None` without values.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The greatest finite value.
#[must_use]
pub fn greatest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values
        .into_iter()
        .filter(|v| v.is_finite())
        .max_by(f64::total_cmp)
}

/// Resamples of a bootstrap: the ends of a 95 % interval then rest on the 50 outermost.
const RESAMPLES: usize = 2000;

/// The 95 % percentile interval of a figure of two medians, each set of values resampled by itself. Always the same for
/// the same values: a report must not change when it is rendered again. `None` without values, or where the figure is
/// not finite for most resamples.
#[must_use]
pub fn bootstrap(a: &[f64], b: &[f64], figure: impl Fn(f64, f64) -> f64) -> Option<(f64, f64)> {
    let mut random = SplitMix(0x5EED);
    let mut found = Vec::with_capacity(RESAMPLES);
    let mut drawn = Vec::new();
    for _ in 0..RESAMPLES {
        let mut middle = |values: &[f64]| {
            drawn.clear();
            drawn.extend((0..values.len()).map(|_| values[random.below(values.len())]));
            drawn.sort_by(f64::total_cmp);
            quantile(&drawn, 0.5)
        };
        found.push(figure(middle(a)?, middle(b)?));
    }
    let found = finite(found);
    if found.len() < RESAMPLES / 2 {
        return None;
    }
    Some((quantile(&found, 0.025)?, quantile(&found, 0.975)?))
}

/// How often chance alone would put two sets of values at least as far apart, if both came from one distribution: the
/// two-sided rank test of Mann and Whitney, exact for up to 900 pairs, by its normal approximation above. A pair of
/// equal values counts half, which errs towards chance.
#[must_use]
pub fn by_chance(a: &[f64], b: &[f64]) -> f64 {
    let pairs = a.len() * b.len();
    if pairs == 0 {
        return 1.0;
    }
    let mut wins = 0.0_f64;
    for x in a {
        for y in b {
            wins += match x.total_cmp(y) {
                std::cmp::Ordering::Less => 1.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 0.0,
            };
        }
    }
    let fewer = wins.min(pairs as f64 - wins);
    if pairs <= 900 {
        let ways = rank_ways(a.len(), b.len());
        let tail: f64 = ways.iter().take(fewer.ceil() as usize + 1).sum();
        return (2.0 * tail / ways.iter().sum::<f64>()).min(1.0);
    }
    let (n, m) = (a.len() as f64, b.len() as f64);
    let z = (n * m / 2.0 - fewer - 0.5).max(0.0) / (n * m * (n + m + 1.0) / 12.0).sqrt();
    // Of the tail of the normal distribution; Abramowitz and Stegun 26.2.17, wrong by less than 1e-7.
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = [
        1.330_274_429,
        -1.821_255_978,
        1.781_477_937,
        -0.356_563_782,
        0.319_381_530,
    ];
    let tail = poly.iter().fold(0.0, |sum, c| (sum + c) * t) * (-z * z / 2.0).exp()
        / std::f64::consts::TAU.sqrt();
    (2.0 * tail).min(1.0)
}

/// In how many orders of n and m values there are 0, 1, … pairs in which the first is the smaller.
fn rank_ways(n: usize, m: usize) -> Vec<f64> {
    // Multiplied out from the Gaussian binomial coefficient: (1 - q^(m+i)) / (1 - q^i) for i to n.
    let most = n * m;
    let mut ways = vec![0.0; most + 1];
    ways[0] = 1.0;
    for i in 1..=n {
        for at in (m + i..=most).rev() {
            ways[at] -= ways[at - m - i];
        }
        for at in i..=most {
            ways[at] += ways[at - i];
        }
    }
    ways
}

/// Steele, Lea and Flood's generator: small, and good enough to draw from a few values.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^= z >> 31;
        // The upper bits times n, over 2^32: no division, and no bias worth naming for small n.
        (((z >> 32) * n as u64) >> 32) as usize
    }
}

/// The least-squares slope of y over x; `None` with fewer than two distinct x.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let points: Vec<_> = points
        .iter()
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .collect();
    let n = points.len() as f64;
    let (mean_x, mean_y) = (
        points.iter().map(|p| p.0).sum::<f64>() / n,
        points.iter().map(|p| p.1).sum::<f64>() / n,
    );
    let spread: f64 = points.iter().map(|p| (p.0 - mean_x).powi(2)).sum();
    let joint: f64 = points.iter().map(|p| (p.0 - mean_x) * (p.1 - mean_y)).sum();
    (points.len() >= 2 && spread > 0.0).then(|| joint / spread)
}

/// The integral of a step function: each value holds until the next point. The last point only ends it.
#[must_use]
pub fn step_integral(points: &[(f64, f64)]) -> f64 {
    points
        .windows(2)
        .map(|w| (w[1].0 - w[0].0).max(0.0) * w[0].1)
        .filter(|area| area.is_finite())
        .sum()
}

/// The value of a cumulative series at a time, interpolated; held constant outside its range.
fn cumulative_at(points: &[(f64, f64)], at: f64) -> Option<f64> {
    let first = points.first()?;
    let after = points.partition_point(|p| p.0 <= at);
    if after == 0 {
        return Some(first.1);
    }
    let left = points[after - 1];
    let Some(right) = points.get(after) else {
        return Some(left.1);
    };
    let share = (at - left.0) / (right.0 - left.0);
    Some(left.1 + (right.1 - left.1) * share)
}

/// The growth of a cumulative series per unit of time between two times. `None` where the series does not
/// reach into the interval, or where it shrank (its cgroup or process was replaced).
#[must_use]
pub fn rate(points: &[(f64, f64)], from: f64, to: f64) -> Option<f64> {
    let (first, last) = (points.first()?.0, points.last()?.0);
    let (from, to) = (from.max(first), to.min(last));
    if to <= from {
        return None;
    }
    let grown = cumulative_at(points, to)? - cumulative_at(points, from)?;
    let rate = grown / (to - from);
    (rate.is_finite() && rate >= 0.0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_type_7() {
        let values = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(quantile(&values, 0.0), Some(1.0));
        assert_eq!(quantile(&values, 0.5), Some(2.5));
        assert_eq!(quantile(&values, 0.9), Some(3.7));
        assert_eq!(quantile(&values, 1.0), Some(4.0));
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&values, 1.1), None);
        assert_eq!(quantile(&values, f64::NAN), None);
    }

    #[test]
    fn middle_and_spread() {
        assert_eq!(median(&[9.0, f64::NAN, 1.0, 5.0]), Some(5.0));
        assert_eq!(mad(&[1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some(1.0));
        assert_eq!(mean(&[1.0, 2.0, 6.0]), Some(3.0));
        assert_eq!((mean(&[]), median(&[]), mad(&[])), (None, None, None));
        assert_eq!(greatest([1.0, f64::NAN, f64::INFINITY, 3.0]), Some(3.0));
    }

    #[test]
    fn a_bootstrap_holds_the_truth_and_never_changes() {
        let (a, b) = (
            [10.0, 11.0, 12.0, 13.0, 14.0],
            [20.0, 22.0, 24.0, 26.0, 28.0],
        );
        let ratio = bootstrap(&a, &b, |a, b| b / a).unwrap();
        assert!(
            ratio.0 > 1.4 && ratio.0 < 2.0 && ratio.1 > 2.0 && ratio.1 < 2.8,
            "{ratio:?}"
        );
        assert_eq!(Some(ratio), bootstrap(&a, &b, |a, b| b / a));
        assert_eq!(bootstrap(&[3.0], &[3.0], |a, b| b - a), Some((0.0, 0.0)));
        assert_eq!(bootstrap(&[], &[3.0], |a, b| b - a), None);
        assert_eq!(bootstrap(&[0.0], &[3.0], |a, b| b / a), None);
    }

    #[test]
    fn chance_is_told_exactly() {
        assert_eq!(rank_ways(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(rank_ways(5, 5).iter().sum::<f64>(), 252.0);
        let low = [1.0, 2.0, 3.0, 4.0, 5.0];
        let high = low.map(|v| v + 10.0);
        assert!((by_chance(&low, &high) - 2.0 / 252.0).abs() < 1e-12);
        assert_eq!(by_chance(&low, &low), 1.0);
        assert_eq!(by_chance(&[], &low), 1.0);
        // By hand: 378 of 1,600 pairs, z = 4.0559, twice the tail 4.994e-5; the exact count gives 3.0e-5.
        let many: Vec<f64> = (1..=40).map(f64::from).collect();
        let more: Vec<f64> = many.iter().map(|v| v + 12.5).collect();
        assert!((by_chance(&many, &more) - 4.9945e-5).abs() < 2e-7);
    }

    #[test]
    fn slopes_need_two_places() {
        assert_eq!(slope(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some(2.0));
        assert_eq!(slope(&[(1.0, 1.0), (1.0, 3.0)]), None);
        assert_eq!(slope(&[(1.0, 1.0)]), None);
        assert_eq!(slope(&[]), None);
    }

    #[test]
    fn steps_hold_until_the_next_point() {
        assert_eq!(step_integral(&[(0.0, 2.0), (3.0, 10.0), (4.0, 0.0)]), 16.0);
        assert_eq!(step_integral(&[(0.0, 2.0)]), 0.0);
    }

    #[test]
    fn rates_are_exact_between_any_times() {
        let used = [(0.0, 0.0), (10.0, 100.0), (20.0, 100.0)];
        assert_eq!(rate(&used, 0.0, 10.0), Some(10.0));
        assert_eq!(rate(&used, 5.0, 15.0), Some(5.0));
        assert_eq!(rate(&used, -5.0, 50.0), Some(5.0));
        assert_eq!(rate(&used, 30.0, 40.0), None);
        assert_eq!(rate(&used, 5.0, 5.0), None);
        assert_eq!(rate(&[(0.0, 9.0), (1.0, 2.0)], 0.0, 1.0), None, "it shrank");
        assert_eq!(rate(&[], 0.0, 1.0), None);
    }
}
