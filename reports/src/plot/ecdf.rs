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
use crate::repeats::{self, Repeated};

/// The most panels.
const PANELS: usize = 6;

/// One operation at one concurrency: the distributions to compare, with name and colour.
struct Panel {
    title: String,
    lines: Vec<(String, Colour, Latency)>,
}

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    let shown = |l: &Latency| l.counted() > 1 && operation_of(l).is_some();
    let mut compared = repeats::cells(run);
    compared.retain(|cell| cell.all.iter().any(|c| c.latencies.iter().any(shown)));
    compared.truncate(COMPARED.len());
    let cells: Vec<&CellRecord> = compared.iter().map(Repeated::first).collect();
    let all: Vec<Vec<Latency>> = compared.iter().map(Repeated::merged).collect();
    let panels = panels(&prepare::names(&cells), &all);
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

/// What is drawn in one panel: the scenario, its level if it has one, and the operation. What offers a rate or injects
/// something has plots of its own.
fn operation_of(l: &Latency) -> Option<(&str, Option<&str>, &str)> {
    let elsewhere = l.scenario.starts_with("fault_") || l.labels.contains_key("rate");
    (!elsewhere).then_some((
        l.scenario.as_str(),
        l.labels.get("level").map(String::as_str),
        l.operation.as_str(),
    ))
}

/// For each operation, the greatest concurrency, or number of objects, that most cells have: under load the difference
/// shows.
fn panels(names: &[String], all: &[Vec<Latency>]) -> Vec<Panel> {
    let mut operations: Vec<(&str, Option<&str>, &str)> = Vec::new();
    for l in all.iter().flatten().filter(|l| l.counted() > 1) {
        let Some(operation) = operation_of(l) else {
            continue;
        };
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    operations.sort_by_key(|(scenario, ..)| *scenario != crate::stores::LADDER);
    operations.truncate(PANELS);
    let panel = |operation: (&str, Option<&str>, &str)| {
        let of = |l: &&Latency| operation_of(l) == Some(operation) && l.counted() > 1;
        let holders = |labels: &Labels| {
            let has = |ls: &&Vec<Latency>| ls.iter().any(|l| of(&l) && l.labels == *labels);
            all.iter().filter(has).count()
        };
        let numbers = |labels: &Labels| -> u64 {
            let numbers = labels.values().filter_map(|v| v.parse::<u64>().ok());
            numbers.max().unwrap_or(0)
        };
        let chosen = all.iter().flatten().filter(of).map(|l| &l.labels);
        let chosen = chosen.max_by_key(|labels| (holders(labels), numbers(labels)));
        let mut lines = Vec::new();
        for ((latencies, name), colour) in all.iter().zip(names).zip(COMPARED) {
            let same = latencies.iter().filter(of);
            if let Some(l) = same.into_iter().find(|l| Some(&l.labels) == chosen) {
                lines.push((name.clone(), colour, l.clone()));
            }
        }
        let title = chosen.map_or(operation.2.to_owned(), |labels| title(operation, labels));
        Panel { title, lines }
    };
    operations.into_iter().map(panel).collect()
}

type Labels = std::collections::BTreeMap<String, String>;

fn title((scenario, _, operation): (&str, Option<&str>, &str), labels: &Labels) -> String {
    let mut title = match scenario {
        "mix" => operation.to_owned(),
        _ => format!("{scenario}: {operation}"),
    };
    for (label, value) in labels {
        title.push_str(&match (label.as_str(), value.as_str()) {
            ("clients", "1") => ", 1 client".to_owned(),
            ("level", level) => format!(", {level}"),
            ("loop", how) => format!(", {how} loop"),
            (label, value) => format!(", {value} {}", label.replace('_', " ")),
        });
    }
    title
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
    let title = super::page::fit(&panel.title, font, axes.right - axes.left);
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
