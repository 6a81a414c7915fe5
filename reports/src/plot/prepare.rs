//! From a record's series to points that can be drawn.

use crate::metric::Metric;
use crate::record::CellRecord;
use crate::stats;

/// The most points that one line has.
pub const MOST_POINTS: usize = 800;

/// Seconds since the start of the cell and value, both finite, in order of time.
pub fn since_start(cell: &CellRecord, points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut kept: Vec<(f64, f64)> = points
        .iter()
        .map(|(at, value)| ((at - cell.started_ms) / 1000.0, *value))
        .filter(|(at, value)| at.is_finite() && value.is_finite())
        .collect();
    kept.sort_by(|a, b| a.0.total_cmp(&b.0));
    kept
}

/// At most [`MOST_POINTS`] points: of each bucket the greatest stays, so that no spike is lost, and the first
/// and last point stay, so that the line does not shrink.
pub fn thin(points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points;
    }
    let inner = &points[1..points.len() - 1];
    let bucket = inner.len().div_ceil(MOST_POINTS - 2);
    let mut kept = vec![points[0]];
    for chunk in inner.chunks(bucket) {
        kept.extend(chunk.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
    }
    kept.push(points[points.len() - 1]);
    kept
}

/// A gauge in MiB over seconds since the cell's start.
pub fn mebibytes(cell: &CellRecord, metric: Metric) -> Vec<(f64, f64)> {
    let Some(series) = cell.best_series(metric) else {
        return Vec::new();
    };
    let points = since_start(cell, &series.points);
    let mib = |(at, bytes): (f64, f64)| (at, (bytes / 1_048_576.0).max(0.0));
    thin(points.into_iter().map(mib).collect())
}

/// Windows of a cumulative series, at most `most`: start, end, growth per second. Windows over which it shrank
/// (its cgroup was replaced) are left out.
pub fn windows(cell: &CellRecord, metric: Metric, most: usize) -> Vec<(f64, f64, f64)> {
    let Some(series) = cell.best_series(metric) else {
        return Vec::new();
    };
    let points = since_start(cell, &series.points);
    let step = points.len().saturating_sub(1).div_ceil(most.max(1)).max(1);
    let mut edges: Vec<usize> = (0..points.len()).step_by(step).collect();
    if edges.last().is_some_and(|last| last + 1 < points.len()) {
        edges.push(points.len() - 1);
    }
    edges
        .windows(2)
        .filter_map(|w| {
            let (from, to) = (points[w[0]].0, points[w[1]].0);
            Some((from, to, stats::rate(&points[w[0]..=w[1]], from, to)?))
        })
        .collect()
}

/// The length of a cell in seconds, never 0.
pub fn length(cell: &CellRecord) -> f64 {
    let seconds = (cell.last_seen_ms() - cell.started_ms) / 1000.0;
    if seconds.is_finite() {
        seconds.max(0.1)
    } else {
        0.1
    }
}

/// What to call cells that are compared: the datastore where that tells them apart, else the id.
pub fn names(cells: &[&CellRecord]) -> Vec<String> {
    let by_store: std::collections::BTreeSet<&str> =
        cells.iter().map(|c| c.spec.datastore.as_str()).collect();
    let telling = by_store.len() == cells.len() && !by_store.contains("");
    cells
        .iter()
        .map(|c| if telling { &c.spec.datastore } else { &c.id })
        .map(|name| crate::text::plain(&crate::text::line(name), 28))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thinning_keeps_spikes_and_ends() {
        let mut points: Vec<(f64, f64)> = (0..10_000).map(|n| (f64::from(n), 1.0)).collect();
        points[4321].1 = 99.0;
        let kept = thin(points);
        assert!(kept.len() <= MOST_POINTS, "{}", kept.len());
        assert!(kept.contains(&(4321.0, 99.0)));
        assert_eq!((kept[0].0, kept[kept.len() - 1].0), (0.0, 9999.0));
        assert_eq!(thin(vec![(1.0, 2.0)]), [(1.0, 2.0)]);
    }
}
