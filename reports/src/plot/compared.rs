//! What plots that compare datastores have in common: whom they compare, in which colour, and panels of lines.

use super::axes::{Axes, Scale, height_below, short};
use super::drawing::{Anchor, BLACK, COMPARED, Colour, Drawing, GREY};
use super::page::{EDGE, Page, fit, provenance};
use super::paint::text_width;
use super::{Plot, Width, prepare};
use crate::record::{CellRecord, RunRecord};
use crate::repeats::{self, Repeated};

/// The cells to compare, each with its repeats, name and colour.
pub struct Compared<'a> {
    /// The run.
    pub run: &'a RunRecord,
    /// Its cells.
    pub cells: Vec<(Repeated<'a>, String, Colour)>,
}

impl<'a> Compared<'a> {
    /// The first cells of a run that have something to show, as many as there are colours; `None` without any.
    pub fn of(run: &'a RunRecord, has: impl Fn(&Repeated<'_>) -> bool) -> Option<Self> {
        let mut cells = repeats::cells(run);
        cells.retain(|cell| has(cell));
        cells.truncate(COMPARED.len());
        let firsts: Vec<&CellRecord> = cells.iter().map(Repeated::first).collect();
        let names = prepare::names(&firsts);
        let cells: Vec<_> = cells
            .into_iter()
            .zip(names)
            .zip(COMPARED)
            .map(|((c, n), colour)| (c, n, colour))
            .collect();
        (!cells.is_empty()).then_some(Self { run, cells })
    }

    /// A page with the names in their colours.
    pub fn page(&self, width: Width, title: &str) -> Page {
        let specimen = self
            .cells
            .iter()
            .any(|(cell, ..)| cell.first().spec.specimen);
        let mut page = Page::new(width, specimen, title);
        let entries: Vec<_> = self
            .cells
            .iter()
            .map(|(_, name, colour)| (name.clone(), *colour))
            .collect();
        page.legend(&entries);
        page
    }

    /// The finished plot.
    pub fn finish(&self, page: Page, name: &str, caption: &str) -> Plot {
        let firsts: Vec<&CellRecord> = self.cells.iter().map(|(cell, ..)| cell.first()).collect();
        let servers: Vec<String> = self
            .cells
            .iter()
            .map(|(cell, name, _)| {
                format!("{name}: {}", crate::format::count(cell.all.len(), "server"))
            })
            .collect();
        let caption = format!(
            "{caption}; {}; {}",
            servers.join(", "),
            provenance(self.run, &firsts)
        );
        Plot {
            name: name.to_owned(),
            cell: None,
            drawing: page.finish(&caption),
        }
    }

    /// One line for each cell.
    pub fn lines(
        &self,
        points: impl Fn(&Repeated<'_>) -> Vec<(f64, f64)>,
    ) -> Vec<(Colour, Vec<(f64, f64)>)> {
        self.cells
            .iter()
            .map(|(cell, _, colour)| (*colour, sane(points(cell))))
            .collect()
    }
}

fn sane(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.retain(|(x, y)| x.is_finite() && y.is_finite() && *y >= 0.0);
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    points
}

/// A panel of lines.
pub struct Panel<'a> {
    /// Its heading, with the unit of what goes up.
    pub title: String,
    /// What goes to the right.
    pub across: &'a str,
    /// The lines.
    pub lines: Vec<(Colour, Vec<(f64, f64)>)>,
    /// A thin line from corner to corner: where both axes are the same.
    pub diagonal: bool,
}

/// Panels in rows of two, of one on a narrow page.
pub fn panels(page: &mut Page, panels: &[Panel<'_>]) {
    let columns = if page.narrow || panels.len() == 1 {
        1
    } else {
        2
    };
    let font = page.font;
    let room = (page.drawing.width - 2.0 * EDGE) / columns as f64;
    for row in panels.chunks(columns) {
        let top = page.y;
        let area = if page.narrow { 150.0 } else { 190.0 };
        for (column, panel) in row.iter().enumerate() {
            let left = EDGE + column as f64 * room;
            draw(&mut page.drawing, panel, (left, top, room, area), font);
        }
        page.y = top + font * 2.4 + area + height_below(font);
    }
}

fn draw(
    d: &mut Drawing,
    panel: &Panel<'_>,
    (left, top, room, area): (f64, f64, f64, f64),
    font: f64,
) {
    let all = || panel.lines.iter().flat_map(|(_, points)| points);
    let greatest = |of: fn(&(f64, f64)) -> f64| all().map(of).fold(0.0, f64::max);
    let (right_most, mut highest) = (greatest(|p| p.0), greatest(|p| p.1));
    if panel.diagonal {
        highest = highest.max(right_most);
    }
    let up = |most: f64| if most > 0.0 { most * 1.08 } else { 1.0 };
    let y = Scale::Linear(0.0, up(highest));
    let widest = y
        .ticks(4)
        .iter()
        .map(|t| text_width(&short(*t), font))
        .fold(0.0, f64::max);
    let axes = Axes {
        left: left + widest + 12.0,
        top: top + font * 2.4,
        right: left + room - 18.0,
        bottom: top + font * 2.4 + area,
        x: Scale::Linear(0.0, up(right_most)),
        y,
    };
    let title = fit(&panel.title, font, room - 14.0);
    d.text((left, top + font), Anchor::Start, font, BLACK, &title);
    axes.draw_y(d, font, 4, short);
    let ticks: Vec<(f64, String)> = axes.x.ticks(5).into_iter().map(|t| (t, short(t))).collect();
    axes.draw_x(d, font, &ticks, panel.across);
    if panel.diagonal {
        d.dashes(
            axes.place((0.0, 0.0)),
            axes.place((right_most, right_most)),
            GREY.opacity(0.6),
            1.0,
        );
    }
    for (colour, points) in &panel.lines {
        let places: Vec<_> = points.iter().map(|p| axes.place(*p)).collect();
        for place in &places {
            d.dot(*place, 4.5, *colour);
        }
        d.line(places, *colour, 2.5);
    }
    if all().next().is_none() {
        let middle = (
            f64::midpoint(axes.left, axes.right),
            f64::midpoint(axes.top, axes.bottom),
        );
        d.text(middle, Anchor::Middle, font, BLACK, "not measured");
    }
}
