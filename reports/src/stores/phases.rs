//! What the samples tell of phases: for figures that no scenario gives itself.

use crate::metric::Metric;
use crate::record::{CellRecord, Phase};
use crate::stats;

/// The ended phases of a cell that are wanted: start and end, milliseconds.
fn spans(cell: &CellRecord, wanted: impl Fn(&Phase) -> bool) -> Vec<(f64, f64)> {
    let phases = cell.phases.iter().filter(|phase| wanted(phase));
    phases
        .filter_map(|phase| Some((phase.start_ms, phase.end_ms?)))
        .collect()
}

/// The median of a gauge over the samples within some phases.
pub fn level(cell: &CellRecord, metric: Metric, wanted: impl Fn(&Phase) -> bool) -> Option<f64> {
    let spans = spans(cell, wanted);
    let within = |at: f64| spans.iter().any(|(from, to)| (*from..=*to).contains(&at));
    let points = &cell.best_series(metric)?.points;
    let values: Vec<f64> = points
        .iter()
        .filter(|(at, _)| within(*at))
        .map(|(_, value)| *value)
        .collect();
    stats::median(&values)
}

/// The growth a day of a cumulative metric over some phases, and for how many milliseconds it was watched.
pub fn a_day(
    cell: &CellRecord,
    metric: Metric,
    wanted: impl Fn(&Phase) -> bool,
) -> Option<(f64, f64)> {
    const DAY_MS: f64 = 86_400_000.0;
    let points = &cell.best_series(metric)?.points;
    let (mut grown, mut watched) = (0.0, 0.0);
    for (from, to) in spans(cell, wanted) {
        if let Some(rate) = stats::rate(points, from, to) {
            grown += rate * (to - from);
            watched += to - from;
        }
    }
    (watched > 0.0).then(|| (grown / watched * DAY_MS, watched))
}
