//! Throughput and p99 over the number of concurrent clients, one row of panels an operation.

use super::axes::{Axes, Scale, height_below, short};
use super::drawing::{Anchor, BLACK, COMPARED, Colour, Drawing};
use super::page::{EDGE, Page, fit, provenance};
use super::paint::text_width;
use super::{Plot, Width, prepare};
use crate::event::Latency;
use crate::record::{CellRecord, RunRecord};
use crate::repeats::{self, Repeated};

/// The most operations.
const ROWS: usize = 4;

/// One panel: its figure and how it is read from a distribution.
type Figure = (&'static str, fn(&Latency) -> Option<f64>);

const FIGURES: [Figure; 2] = [
    ("ops/s", Latency::per_second),
    ("p99, ms", |l| l.quantile_ms(0.99)),
];

pub(super) fn plots(run: &RunRecord, width: Width) -> Vec<Plot> {
    let mut compared = repeats::cells(run);
    let shown = |l: &Latency| operation_of(l).is_some();
    compared.retain(|cell| cell.all.iter().any(|c| c.latencies.iter().any(shown)));
    compared.truncate(COMPARED.len());
    let cells: Vec<&CellRecord> = compared.iter().map(Repeated::first).collect();
    let mut all: Vec<Vec<Latency>> = compared.iter().map(Repeated::merged).collect();
    all.iter_mut().for_each(|latencies| latencies.retain(shown));
    let mut clients: Vec<u32> = all.iter().flatten().filter_map(Latency::clients).collect();
    clients.sort_unstable();
    clients.dedup();
    if clients.len() < 2 {
        return Vec::new();
    }
    let mut operations: Vec<(&str, Option<&str>, &str)> = Vec::new();
    for operation in all.iter().flatten().filter_map(operation_of) {
        if !operations.contains(&operation) {
            operations.push(operation);
        }
    }
    operations.sort_by_key(|(scenario, ..)| *scenario != crate::stores::LADDER);
    operations.truncate(ROWS);
    let names = prepare::names(&cells);
    let specimen = cells.iter().any(|cell| cell.spec.specimen);
    let title = "Throughput and p99 latency by number of clients, closed loop";
    let mut page = Page::new(width, specimen, title);
    page.legend(&names.iter().cloned().zip(COMPARED).collect::<Vec<_>>());
    let font = page.font;
    let room = (page.drawing.width - 2.0 * EDGE) / 2.0;
    for operation in operations {
        let top = page.y;
        let area = if page.narrow { 130.0 } else { 170.0 };
        for (column, figure) in FIGURES.iter().enumerate() {
            let lines: Vec<(Colour, Vec<(f64, f64)>)> = all
                .iter()
                .zip(COMPARED)
                .map(|(latencies, colour)| {
                    (colour, points(latencies, operation, &clients, figure.1))
                })
                .collect();
            let place = (EDGE + column as f64 * room, top, room, area);
            let title = match operation {
                ("mix", _, name) => format!("{name}: {}", figure.0),
                (_, Some(level), name) => format!("{name}, {level}: {}", figure.0),
                (scenario, None, name) => format!("{scenario}, {name}: {}", figure.0),
            };
            panel(&mut page.drawing, &title, &lines, &clients, place, font);
        }
        page.y = top + font * 2.4 + area + height_below(font);
    }
    let errors: Vec<String> = all
        .iter()
        .zip(&names)
        .map(|(latencies, name)| {
            let errors: u64 = latencies
                .iter()
                .map(|l| l.errors)
                .fold(0, u64::saturating_add);
            let ops: u64 = latencies
                .iter()
                .map(|l| l.count)
                .fold(0, u64::saturating_add);
            let (ops, errors) = (ops as f64, errors as f64);
            format!(
                "{name}: n = {} operations, {} errors",
                crate::format::number(ops),
                crate::format::number(errors)
            )
        })
        .collect();
    let caption = format!("{}; {}", errors.join("; "), provenance(run, &cells));
    vec![Plot {
        name: "throughput".into(),
        cell: None,
        drawing: page.finish(&caption),
    }]
}

/// What has a row: the scenario, its level if it has one, and the operation of a closed loop.
fn operation_of(l: &Latency) -> Option<(&str, Option<&str>, &str)> {
    let known = |label: &String| ["clients", "level", "loop"].contains(&label.as_str());
    let plain = l.labels.keys().all(known) && !l.scenario.starts_with("fault_");
    (l.clients().is_some() && plain).then_some((
        l.scenario.as_str(),
        l.labels.get("level").map(String::as_str),
        l.operation.as_str(),
    ))
}

/// Index of the number of clients, and the figure.
fn points(
    latencies: &[Latency],
    operation: (&str, Option<&str>, &str),
    clients: &[u32],
    figure: fn(&Latency) -> Option<f64>,
) -> Vec<(f64, f64)> {
    clients
        .iter()
        .enumerate()
        .filter_map(|(index, n)| {
            let found = latencies
                .iter()
                .find(|l| operation_of(l) == Some(operation) && l.clients() == Some(*n))?;
            Some((index as f64, figure(found).filter(|v| v.is_finite())?))
        })
        .collect()
}

fn panel(
    d: &mut Drawing,
    title: &str,
    lines: &[(Colour, Vec<(f64, f64)>)],
    clients: &[u32],
    (left, top, room, area): (f64, f64, f64, f64),
    font: f64,
) {
    let highest = lines
        .iter()
        .flat_map(|(_, points)| points.iter().map(|p| p.1))
        .fold(0.0, f64::max);
    let y = Scale::Linear(0.0, if highest > 0.0 { highest * 1.08 } else { 1.0 });
    let label_width = y
        .ticks(4)
        .iter()
        .map(|t| text_width(&short(*t), font))
        .fold(0.0, f64::max);
    let axes = Axes {
        left: left + label_width + 12.0,
        top: top + font * 2.4,
        right: left + room - 18.0,
        bottom: top + font * 2.4 + area,
        x: Scale::Linear(-0.4, clients.len() as f64 - 0.6),
        y,
    };
    let title = fit(title, font, room - 14.0);
    d.text((left, top + font), Anchor::Start, font, BLACK, &title);
    axes.draw_y(d, font, 4, short);
    let ticks: Vec<(f64, String)> = clients
        .iter()
        .enumerate()
        .map(|(index, n)| (index as f64, n.to_string()))
        .collect();
    axes.draw_x(d, font, &ticks, "clients");
    for (colour, points) in lines {
        let places: Vec<_> = points.iter().map(|p| axes.place(*p)).collect();
        for place in &places {
            d.dot(*place, 5.0, *colour);
        }
        d.line(places, *colour, 2.5);
    }
    if lines.iter().all(|(_, points)| points.is_empty()) {
        let middle = (
            f64::midpoint(axes.left, axes.right),
            f64::midpoint(axes.top, axes.bottom),
        );
        d.text(middle, Anchor::Middle, font, BLACK, "too few operations");
    }
}
