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
