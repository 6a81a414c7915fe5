//! The working sets of all cells over each other, aligned at the start of their cells.

use super::axes::{Axes, Scale, height_below, short, time_ticks};
use super::drawing::{Anchor, BLACK, COMPARED, Colour, VERMILLION};
use super::page::{EDGE, Page, label_ends, lead_out, provenance};
use super::paint::text_width;
use super::{Plot, Width, prepare};
use crate::metric::Metric;
use crate::record::{CellRecord, RunRecord};

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    // One metric for all of them: lines of different metrics must not be compared.
    for (metric, name) in [
        (Metric::WorkingSet, "Working set"),
        (Metric::Usage, "Usage"),
        (Metric::Rss, "RSS"),
    ] {
        let lines: Vec<(&CellRecord, Vec<(f64, f64)>)> = super::drawn(run)
            .map(|cell| (cell, prepare::mebibytes(cell, metric)))
            .filter(|(_, points)| points.len() > 1)
            .take(COMPARED.len())
            .collect();
        if lines.len() > 1 {
            return vec![draw(run, &lines, name, width)];
        }
    }
    Vec::new()
}

fn draw(
    run: &RunRecord,
    lines: &[(&CellRecord, Vec<(f64, f64)>)],
    metric: &str,
    width: Width,
) -> Plot {
    let cells: Vec<&CellRecord> = lines.iter().map(|(cell, _)| *cell).collect();
    let names = prepare::names(&cells);
    let specimen = cells.iter().any(|cell| cell.spec.specimen);
    let title = format!("{metric} over time, compared: {}", names.join(", "));
    let mut page = Page::new(width, specimen, &title);
    let font = page.font;
    let mut budgets: Vec<f64> = cells
        .iter()
        .filter_map(|c| c.spec.budget.memory_bytes)
        .map(|bytes| bytes as f64 / 1_048_576.0)
        .collect();
    budgets.sort_by(f64::total_cmp);
    budgets.dedup();
    let highest = lines
        .iter()
        .flat_map(|(_, points)| points.iter().map(|p| p.1))
        .chain(budgets.iter().copied())
        .fold(1.0, f64::max);
    let length = cells.iter().map(|c| prepare::length(c)).fold(0.1, f64::max);
    let mut ends: Vec<(f64, String, Colour)> = Vec::new();
    for budget in &budgets {
        ends.push((
            *budget,
            format!("{} MiB budget", short(*budget)),
            VERMILLION,
        ));
    }
    let direct = names.iter().all(|name| name.chars().count() <= 12);
    for (((_, points), name), colour) in lines.iter().zip(&names).zip(COMPARED) {
        if direct {
            ends.push((points[points.len() - 1].1, name.clone(), colour));
        }
    }
    if !direct {
        page.legend(&names.iter().cloned().zip(COMPARED).collect::<Vec<_>>());
    }
    let ends_width = ends
        .iter()
        .map(|(_, text, _)| text_width(text, font))
        .fold(0.0, f64::max);
    page.y += font * 0.9;
    let unit_at = page.y;
    page.y += font * 0.7;
    let area = if page.narrow { 250.0 } else { 340.0 };
    let axes = Axes {
        left: EDGE + text_width("0,000", font) + 10.0,
        top: page.y,
        right: page.drawing.width - EDGE - ends_width - 18.0,
        bottom: page.y + area,
        x: Scale::Linear(0.0, length),
        y: Scale::Linear(0.0, highest * 1.08),
    };
    let d = &mut page.drawing;
    axes.draw_y(d, font, 6, short);
    d.text((EDGE, unit_at), Anchor::Start, font, BLACK, "MiB");
    for ((_, points), colour) in lines.iter().zip(COMPARED) {
        let places: Vec<_> = points.iter().map(|p| axes.place(*p)).collect();
        if direct {
            lead_out(d, places.last(), axes.right, colour);
        }
        d.line(places, colour, 2.5);
    }
    for budget in &budgets {
        let y = axes.place_y(*budget);
        d.dashes((axes.left, y), (axes.right, y), VERMILLION, 2.5);
    }
    let ends = ends
        .into_iter()
        .map(|(value, text, colour)| (axes.place_y(value), text, colour))
        .collect();
    label_ends(d, axes.right, (axes.top, axes.bottom), font, ends);
    let (ticks, unit) = time_ticks(axes.x, if page.narrow { 5 } else { 10 });
    axes.draw_x(d, font, &ticks, &format!("{unit} since each cell started"));
    page.y = axes.bottom + height_below(font);
    let samples: Vec<String> = lines
        .iter()
        .map(|(_, points)| points.len().to_string())
        .collect();
    let caption = format!(
        "points drawn: {}; {}",
        samples.join(", "),
        provenance(run, &cells)
    );
    Plot {
        name: "memory".into(),
        cell: None,
        drawing: page.finish(&caption),
    }
}
