//! Working set, anon and usage of a cell over time, against its budget.

use super::axes::{Axes, Scale, height_below, time_ticks};
use super::drawing::{Anchor, BLACK, BLUE, Colour, Drawing, GREEN, SKY, VERMILLION, WHITE};
use super::page::{self, EDGE, Page, label_ends, provenance};
use super::paint::text_width;
use super::phases::{Phases, legend};
use super::{Plot, Width, file_name, prepare};
use crate::figures::PeakSource;
use crate::format;
use crate::metric::Metric;
use crate::record::{CellRecord, RunRecord};

/// What is drawn, the later above the earlier. RSS only stands in where there is no cgroup to read.
const LINES: [(Metric, &str, Colour, f64); 3] = [
    (Metric::Usage, "usage", SKY, 2.0),
    (Metric::WorkingSet, "working set", BLUE, 2.5),
    (Metric::Anon, "anon", GREEN, 2.0),
];

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    super::drawn(run)
        .filter_map(|cell| {
            Some(Plot {
                name: file_name("memory", &cell.id),
                cell: Some(cell.id.clone()),
                drawing: draw(run, cell, width)?,
            })
        })
        .collect()
}

type Line = (&'static str, Colour, f64, Vec<(f64, f64)>);

fn lines(cell: &CellRecord) -> Vec<Line> {
    let mut lines: Vec<Line> = LINES
        .iter()
        .map(|(metric, name, colour, width)| {
            (*name, *colour, *width, prepare::mebibytes(cell, *metric))
        })
        .filter(|(.., points)| !points.is_empty())
        .collect();
    if lines.is_empty() {
        let rss = prepare::mebibytes(cell, Metric::Rss);
        if !rss.is_empty() {
            lines.push(("RSS", BLUE, 2.5, rss));
        }
    }
    lines
}

fn draw(run: &RunRecord, cell: &CellRecord, width: Width) -> Option<Drawing> {
    let lines = lines(cell);
    if lines.is_empty() {
        return None;
    }
    let mib = |bytes: f64| bytes / 1_048_576.0;
    let budget = cell.spec.budget.memory_bytes.map(|b| mib(b as f64));
    let peak = cell.peak().map(|p| (mib(p.bytes), p.source));
    let highest = lines
        .iter()
        .flat_map(|(.., points)| points.iter().map(|p| p.1))
        .chain(peak.map(|p| p.0))
        .fold(1.0, f64::max);
    let names: Vec<&str> = lines.iter().map(|l| l.0).collect();
    let title = format!("{} over time: {}", names.join(", "), cell.title());
    let mut page = Page::new(width, cell.spec.specimen, &capital(&title));
    let font = page.font;
    let length = prepare::length(cell);
    let phases = Phases::of(cell, length);

    let mut ends: Vec<(f64, String, Colour)> = Vec::new();
    ends.extend(budget.map(|b| (b, format!("{} budget", whole_mib(b)), VERMILLION)));
    let kind = match peak {
        Some((_, PeakSource::Kernel)) => "peak",
        Some((_, PeakSource::ResidentPeaks)) => "sum of RSS peaks",
        Some((_, PeakSource::SampledMachine)) => "machine's sampled peak",
        _ => "sampled peak",
    };
    ends.extend(peak.map(|(p, _)| (p, format!("{kind} {}", whole_mib(p)), BLACK)));
    for (name, colour, _, points) in &lines {
        ends.push((points[points.len() - 1].1, (*name).to_owned(), *colour));
    }
    let ends_width = ends
        .iter()
        .map(|(_, text, _)| text_width(text, font))
        .fold(0.0, f64::max);
    // The unit stands on top of the values; the strip of phases comes below it.
    page.y += font * 0.9;
    let unit_at = page.y;
    page.y += font * 0.7 + phases.strip(font);
    let area = if page.narrow { 270.0 } else { 380.0 };
    let axes = Axes {
        left: EDGE + text_width("0,000", font) + 10.0,
        top: page.y,
        right: page.drawing.width - EDGE - ends_width - 18.0,
        bottom: page.y + area,
        x: Scale::Linear(0.0, length),
        y: Scale::Linear(0.0, highest.max(budget.unwrap_or(0.0)) * 1.08),
    };
    let d = &mut page.drawing;
    let explained = phases.draw(d, &axes, font);
    axes.draw_y(d, font, 6, super::axes::short);
    d.text((EDGE, unit_at), Anchor::Start, font, BLACK, "MiB");
    for (_, colour, width, points) in &lines {
        let places: Vec<_> = points.iter().map(|p| axes.place(*p)).collect();
        if let [only] = places.as_slice() {
            d.dot(*only, 4.0, *colour);
        }
        page::lead_out(d, places.last(), axes.right, *colour);
        d.line(places, *colour, *width);
    }
    if let Some(budget) = budget {
        let y = axes.place_y(budget);
        d.dashes((axes.left, y), (axes.right, y), VERMILLION, 2.5);
    }
    if let Some((value, _)) = peak {
        let at = axes.place((peak_time(cell).unwrap_or(length), value));
        d.line(vec![at, (axes.right, at.1)], BLACK.opacity(0.5), 1.0);
        d.dot(at, 5.0, BLACK);
    }
    events(d, &axes, cell, font);
    let ends = ends
        .into_iter()
        .map(|(value, text, colour)| (axes.place_y(value), text, colour))
        .collect();
    label_ends(d, axes.right, (axes.top, axes.bottom), font, ends);
    let (ticks, unit) = time_ticks(axes.x, if page.narrow { 5 } else { 10 });
    axes.draw_x(d, font, &ticks, &format!("{unit} since the cell started"));
    page.y = axes.bottom + height_below(font);
    legend(&mut page, &explained);
    let samples = cell
        .best_series(Metric::Usage)
        .or_else(|| cell.best_series(Metric::WorkingSet))
        .or_else(|| cell.best_series(Metric::Rss))
        .map_or(0, |s| s.points.len());
    let source = peak.map_or(String::new(), |(_, source)| {
        format!("peak: {}; ", source.words())
    });
    let caption = format!(
        "n = {samples} samples; {source}{}{}",
        observed(cell),
        provenance(run, &[cell])
    );
    Some(page.finish(&caption))
}

fn observed(cell: &CellRecord) -> &'static str {
    match &cell.budget {
        Some(evidence) if !evidence.enforced => "budget observed, not enforced; ",
        _ => "",
    }
}

fn whole_mib(mib: f64) -> String {
    format!("{} MiB", format::number(mib.round()))
}

/// When the peak was first seen, seconds since the start of the cell. The kernel's mark may be read once more
/// after the last sample; then it is as old as the highest sample, as far as anyone knows.
fn peak_time(cell: &CellRecord) -> Option<f64> {
    let (metric, points) = [Metric::Peak, Metric::Usage, Metric::Rss]
        .into_iter()
        .map(|metric| (metric, prepare::mebibytes(cell, metric)))
        .find(|(_, points)| !points.is_empty())?;
    let highest = cell.greatest(metric)? / 1_048_576.0;
    points
        .into_iter()
        .find(|(_, mib)| *mib >= highest - 0.01)
        .map(|(at, _)| at)
}

/// Marks OOM kills and unasked ends of the server; marks that would touch share their words.
pub(super) fn events(d: &mut Drawing, axes: &Axes, cell: &CellRecord, font: f64) {
    let mut marks: Vec<(f64, String)> = Vec::new();
    if let Some(series) = cell.best_series(Metric::OomKills) {
        let mut known = 0.0;
        for (at, kills) in prepare::since_start(cell, &series.points) {
            if kills > known {
                known = kills;
                marks.push((at, "OOM kill".into()));
            }
        }
    }
    for death in &cell.deaths {
        let at = (death.at_ms - cell.started_ms) / 1000.0;
        if at.is_finite() {
            marks.push((at, "server ended".into()));
        }
    }
    marks.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut merged: Vec<(f64, String)> = Vec::new();
    for (at, word) in marks {
        match merged.last_mut() {
            Some((last, words)) if axes.place_x(at) - axes.place_x(*last) < 14.0 => {
                if !words.contains(&word) {
                    words.push_str(", ");
                    words.push_str(&word);
                }
            }
            _ => merged.push((at, word)),
        }
    }
    // The words' boxes: row, left, right. Where no row has room, the line stands without words.
    let mut taken: Vec<(usize, f64, f64)> = Vec::new();
    for (at, words) in merged {
        let x = axes.place_x(at);
        d.line(vec![(x, axes.top), (x, axes.bottom)], VERMILLION.ink(), 2.0);
        let words = page::fit(&words, font, axes.right - axes.left - 20.0);
        let wide = text_width(&words, font);
        // To the right of the line where there is room, else to the left, else inside the left edge.
        let left = if x + 8.0 + wide < axes.right {
            x + 6.0
        } else {
            (x - 6.0 - wide).max(axes.left + 2.0)
        };
        let right = left + wide;
        let free = |row: &usize| {
            taken
                .iter()
                .all(|(r, l, t)| r != row || right + 6.0 < *l || left > *t + 6.0)
        };
        let Some(row) = (0..4).find(free) else {
            continue;
        };
        taken.push((row, left, right));
        let y = axes.bottom - font * (1.0 + 1.5 * row as f64);
        d.rect(
            (left - 2.0, y - font * 0.65),
            (right + 2.0, y + font * 0.65),
            WHITE.opacity(0.85),
        );
        d.text((left, y), Anchor::Start, font, VERMILLION.ink(), &words);
    }
}

fn capital(words: &str) -> String {
    let mut letters = words.chars();
    letters.next().map_or(String::new(), |first| {
        first.to_uppercase().chain(letters).collect()
    })
}
