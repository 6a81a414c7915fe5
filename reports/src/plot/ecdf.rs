//! Empirical distributions of latencies: which share of operations was answered within a time. Time is
//! logarithmic, since tails are what tells datastores apart.

use super::axes::{Axes, Scale, height_below, short};
use super::drawing::{Anchor, BLACK, COMPARED, Colour, Drawing};
use super::page::{EDGE, Page, provenance};
use super::paint::text_width;
use super::{Plot, Width, prepare};
use crate::event::Latency;
use crate::format;
use crate::record::{CellRecord, RunRecord};
use crate::tables;

/// The most panels.
const PANELS: usize = 6;

/// One operation at one concurrency: the distributions to compare, with name and colour.
struct Panel {
    title: String,
    lines: Vec<(String, Colour, Latency)>,
}

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    let cells: Vec<&CellRecord> = run
        .cells
        .iter()
        .filter(|cell| cell.latencies.iter().any(|l| l.counted() > 1))
        .take(COMPARED.len())
        .collect();
    let panels = panels(&cells);
    if panels.is_empty() {
        return Vec::new();
    }
    let specimen = cells.iter().any(|cell| cell.spec.specimen);
    let title = format!(
        "Latency, share of operations answered within a time: {}",
        prepare::names(&cells).join(", ")
    );
    let mut page = Page::new(width, specimen, &title);
    let font = page.font;
    let columns = if page.narrow || panels.len() == 1 {
        1
    } else {
        2
    };
    let room = (page.drawing.width - 2.0 * EDGE) / columns as f64;
    for row in panels.chunks(columns) {
        let top = page.y;
        let area = if page.narrow { 190.0 } else { 210.0 };
        for (nth, panel) in row.iter().enumerate() {
            let left = EDGE + nth as f64 * room;
            draw(&mut page.drawing, panel, (left, top, room, area), font);
        }
        page.y = top + font * 2.4 + area + height_below(font);
    }
    let caption = format!(
        "dots: p50 and p99; a p99 of fewer than 100 operations is not given; failed operations are \
         not in it; {}",
        provenance(run, &cells)
    );
    vec![Plot {
        name: "latency-ecdf".into(),
        cell: None,
        drawing: page.finish(&caption),
    }]
}

/// For each operation, the greatest concurrency that most cells have: under load the difference shows.
fn panels(cells: &[&CellRecord]) -> Vec<Panel> {
    let names = prepare::names(cells);
    let all: Vec<Vec<Latency>> = cells
        .iter()
        .map(|cell| tables::merged(&cell.latencies))
        .collect();
    let mut operations: Vec<&str> = Vec::new();
    for l in all.iter().flatten().filter(|l| l.counted() > 1) {
        if !operations.contains(&l.operation.as_str()) {
            operations.push(&l.operation);
        }
    }
    operations.truncate(PANELS);
    let panel = |operation: &str| {
        let of = |l: &&Latency| l.operation == operation && l.counted() > 1;
        let clients = all.iter().flatten().filter(of).filter_map(Latency::clients);
        let holders = |n: u32| {
            let has = |ls: &&Vec<Latency>| ls.iter().any(|l| of(&l) && l.clients() == Some(n));
            all.iter().filter(has).count()
        };
        let clients = clients.max_by_key(|n| (holders(*n), *n));
        let mut lines = Vec::new();
        for ((latencies, name), colour) in all.iter().zip(&names).zip(COMPARED) {
            let mut same = latencies
                .iter()
                .filter(of)
                .filter(|l| l.clients() == clients);
            if let Some(first) = same.next() {
                let mut merged = first.clone();
                same.for_each(|l| merged.merge(l));
                lines.push((name.clone(), colour, merged));
            }
        }
        let title = match clients {
            Some(1) => format!("{operation}, 1 client"),
            Some(n) => format!("{operation}, {n} clients"),
            None => operation.to_owned(),
        };
        Panel { title, lines }
    };
    operations.into_iter().map(panel).collect()
}

fn draw(d: &mut Drawing, panel: &Panel, place: (f64, f64, f64, f64), font: f64) {
    let (left, top, room, area) = place;
    let millis = |us: u64| (us.max(1)) as f64 / 1000.0;
    let least = panel
        .lines
        .iter()
        .filter_map(|(.., l)| l.buckets.first())
        .map(|b| millis(b.0))
        .fold(f64::MAX, f64::min);
    let greatest = panel
        .lines
        .iter()
        .filter_map(|(.., l)| l.buckets.last())
        .map(|b| millis(b.0))
        .fold(0.001, f64::max);
    let least = (least * 0.8).min(greatest * 0.5);
    let axes = Axes {
        left: left + text_width("100 %", font) + 10.0,
        top: top + font * 2.4,
        right: left + room - 18.0,
        bottom: top + font * 2.4 + area,
        x: Scale::Log(least, greatest * 1.15),
        y: Scale::Linear(0.0, 1.0),
    };
    let title = super::page::fit(&panel.title, font, room - 20.0);
    d.text((axes.left, top + font), Anchor::Start, font, BLACK, &title);
    axes.draw_y(d, font, 4, |share| format!("{:.0} %", share * 100.0));
    let ticks: Vec<(f64, String)> = axes.x.ticks(8).into_iter().map(|t| (t, short(t))).collect();
    axes.draw_x(d, font, &ticks, "milliseconds");
    for (_, colour, latency) in &panel.lines {
        let total = latency.counted().max(1) as f64;
        let mut seen = 0u64;
        let mut points = vec![(axes.place_x(least), axes.bottom)];
        for (upper, count) in &latency.buckets {
            let x = axes.place_x(millis(*upper));
            points.push((x, axes.place_y(seen as f64 / total)));
            seen = seen.saturating_add(*count);
            points.push((x, axes.place_y(seen as f64 / total)));
        }
        points.push((axes.right, axes.place_y(1.0)));
        d.line(points, *colour, 2.5);
        for q in [0.5, 0.99] {
            if let Some(ms) = latency.quantile_ms(q) {
                d.dot(axes.place((ms, q)), 4.5, colour.ink());
            }
        }
    }
    words(d, panel, &axes, font);
}

/// Names and figures at the lower right, where a distribution function leaves room.
fn words(d: &mut Drawing, panel: &Panel, axes: &Axes, font: f64) {
    let size = font * 0.9;
    for (nth, (name, colour, latency)) in panel.lines.iter().rev().enumerate() {
        let [p50, _, p99, _] = latency
            .quantiles_ms()
            .map(|q| q.map_or("-".into(), short_ms));
        let words = format!("{name}: p50 {p50}, p99 {p99} ms");
        let words = super::page::fit(&words, size, axes.right - axes.left);
        let wide = text_width(&words, size);
        let y = axes.bottom - size * (0.9 + 1.35 * nth as f64);
        let right = axes.right - 4.0;
        let white = super::drawing::WHITE.opacity(0.85);
        d.rect(
            (right - wide - 3.0, y - size * 0.65),
            (right + 3.0, y + size * 0.65),
            white,
        );
        d.text((right, y), Anchor::End, size, colour.ink(), &words);
    }
}

fn short_ms(ms: f64) -> String {
    format::number(ms)
}
