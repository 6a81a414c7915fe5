//! CPU use of a cell over time, against its budget, with throttling shaded.

use super::axes::{Axes, Scale, height_below, time_ticks};
use super::drawing::{Anchor, BLACK, BLUE, Colour, Drawing, VERMILLION};
use super::page::{EDGE, Page, label_ends, lead_out, provenance};
use super::paint::text_width;
use super::phases::{Phases, legend};
use super::{Plot, Width, file_name, prepare};
use crate::metric::Metric;
use crate::record::{CellRecord, RunRecord};

/// The most windows over which use is averaged.
const WINDOWS: usize = 300;

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    super::drawn(run)
        .filter_map(|cell| {
            Some(Plot {
                name: file_name("cpu", &cell.id),
                cell: Some(cell.id.clone()),
                drawing: draw(run, cell, width)?,
            })
        })
        .collect()
}

/// Windows in which the quota was exhausted: start, end, share of the periods.
fn throttled(cell: &CellRecord) -> Vec<(f64, f64, f64)> {
    let throttled = prepare::windows(cell, Metric::CpuThrottledPeriods, WINDOWS);
    let periods = prepare::windows(cell, Metric::CpuPeriods, WINDOWS);
    throttled
        .into_iter()
        .filter_map(|(from, to, hit)| {
            let all = periods.iter().find(|p| p.0 == from)?.2;
            (hit > 0.0 && all > 0.0).then(|| (from, to, (hit / all).min(1.0)))
        })
        .collect()
}

fn draw(run: &RunRecord, cell: &CellRecord, width: Width) -> Option<Drawing> {
    // Microseconds of CPU per second of wall time; a thousandth of that is milli-CPU.
    let used: Vec<(f64, f64, f64)> = prepare::windows(cell, Metric::CpuUsed, WINDOWS)
        .into_iter()
        .map(|(from, to, rate)| (from, to, rate / 1000.0))
        .collect();
    let last = *used.last()?;
    let budget = cell.spec.budget.cpu_milli.map(|m| m as f64);
    let highest = used.iter().map(|w| w.2).fold(100.0, f64::max);
    let title = format!("CPU use over time: {}", cell.title());
    let mut page = Page::new(width, cell.spec.specimen, &title);
    let font = page.font;
    let length = prepare::length(cell);
    let phases = Phases::of(cell, length);
    let mut ends: Vec<(f64, String, Colour)> = vec![(last.2, "CPU use".into(), BLUE)];
    if let Some(milli) = budget {
        let cpus = super::axes::short(milli / 1000.0);
        ends.push((milli, format!("{cpus} CPU budget"), VERMILLION));
    }
    let ends_width = ends
        .iter()
        .map(|(_, text, _)| text_width(text, font))
        .fold(0.0, f64::max);
    page.y += font * 0.9;
    let unit_at = page.y;
    page.y += font * 0.7 + phases.strip(font);
    let area = if page.narrow { 220.0 } else { 280.0 };
    let axes = Axes {
        left: EDGE + text_width("00,000", font) + 10.0,
        top: page.y,
        right: page.drawing.width - EDGE - ends_width - 18.0,
        bottom: page.y + area,
        x: Scale::Linear(0.0, length),
        y: Scale::Linear(0.0, highest.max(budget.unwrap_or(0.0)) * 1.1),
    };
    let throttled = throttled(cell);
    let d = &mut page.drawing;
    let explained = phases.draw(d, &axes, font);
    for (from, to, share) in &throttled {
        let (left, right) = (axes.place_x(*from), axes.place_x(*to));
        let shade = VERMILLION.opacity(0.08 + 0.32 * share);
        d.rect((left, axes.top), (right, axes.bottom), shade);
    }
    axes.draw_y(d, font, 6, super::axes::short);
    d.text((EDGE, unit_at), Anchor::Start, font, BLACK, "milli-CPU");
    let mut steps = Vec::with_capacity(used.len() * 2);
    for (from, to, milli) in &used {
        steps.push(axes.place((*from, *milli)));
        steps.push(axes.place((*to, *milli)));
    }
    lead_out(d, steps.last(), axes.right, BLUE);
    d.line(steps, BLUE, 2.0);
    if let Some(milli) = budget {
        let y = axes.place_y(milli);
        d.dashes((axes.left, y), (axes.right, y), VERMILLION, 2.5);
    }
    super::memory::events(d, &axes, cell, font);
    let ends = ends
        .into_iter()
        .map(|(value, text, colour)| (axes.place_y(value), text, colour))
        .collect();
    label_ends(d, axes.right, (axes.top, axes.bottom), font, ends);
    let (ticks, unit) = time_ticks(axes.x, if page.narrow { 5 } else { 10 });
    axes.draw_x(d, font, &ticks, &format!("{unit} since the cell started"));
    page.y = axes.bottom + height_below(font);
    legend(&mut page, &explained);
    let shaded = if throttled.is_empty() {
        "no throttling seen"
    } else {
        "orange columns: the quota was exhausted, the darker the more often"
    };
    let caption = format!(
        "averages over {} windows from cumulative CPU time; {shaded}; {}",
        used.len(),
        provenance(run, &[cell])
    );
    Some(page.finish(&caption))
}
