//! What happens as more is asked: p99, achieved rate and errors against the offered rate of an open loop.

use super::compared::{Compared, Panel, panels};
use super::{Plot, Width};
use crate::event::Latency;
use crate::record::RunRecord;
use crate::repeats::Repeated;
use crate::stats;
use crate::stores::rungs;

/// One panel: its figure and how it is read from a rung.
type Figure = (&'static str, fn(f64, &Latency) -> Option<f64>);

const FIGURES: [Figure; 3] = [
    ("p99 of a write, ms", |_, l| l.quantile_ms(0.99)),
    ("achieved writes/s", |_, l| l.per_second()),
    ("errors, % of the writes", |_, l| {
        let all = l.count.saturating_add(l.errors);
        (all > 0).then(|| l.errors as f64 / all as f64 * 100.0)
    }),
];

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    let mut levels: Vec<Option<String>> = Vec::new();
    for l in run.cells.iter().flat_map(|cell| &cell.latencies) {
        let level = l.labels.get("level").cloned();
        if crate::stores::is_rung(l) && !levels.contains(&level) {
            levels.push(level);
        }
    }
    levels
        .iter()
        .filter_map(|level| plot(run, level.as_deref(), width))
        .collect()
}

fn plot(run: &RunRecord, level: Option<&str>, width: Width) -> Option<Plot> {
    let has = |cell: &Repeated<'_>| {
        cell.all
            .iter()
            .any(|record| !rungs(record, level).is_empty())
    };
    let compared = Compared::of(run, has)?;
    let at = level.map_or(String::new(), |level| format!(", level {level}"));
    let mut page = compared.page(width, &format!("Writes by offered rate, open loop{at}"));
    let all: Vec<Panel<'_>> = FIGURES
        .iter()
        .map(|(title, figure)| Panel {
            title: (*title).to_owned(),
            across: "offered writes/s",
            lines: compared.lines(|cell| medians(cell, level, *figure)),
            diagonal: title.starts_with("achieved"),
        })
        .collect();
    panels(&mut page, &all);
    let caption = "latency from the intended start; medians of the repeats; dashes: all that is offered; \
        a p99 of fewer than 100 writes is not given";
    let name = level.map_or("ladder".to_owned(), |level| {
        super::file_name("ladder", level)
    });
    Some(compared.finish(page, &name, caption))
}

/// The median over repeats at each offered rate.
fn medians(
    cell: &Repeated<'_>,
    level: Option<&str>,
    figure: fn(f64, &Latency) -> Option<f64>,
) -> Vec<(f64, f64)> {
    let all: Vec<(f64, Latency)> = cell
        .all
        .iter()
        .flat_map(|record| rungs(record, level))
        .collect();
    let mut rates: Vec<f64> = all.iter().map(|(rate, _)| *rate).collect();
    rates.sort_by(f64::total_cmp);
    rates.dedup();
    rates
        .into_iter()
        .filter_map(|rate| {
            let here = all.iter().filter(|(at, _)| *at == rate);
            let values: Vec<f64> = here.filter_map(|(at, l)| figure(*at, l)).collect();
            Some((rate, stats::median(&values)?))
        })
        .collect()
}
