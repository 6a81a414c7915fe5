//! Phases: shaded behind the lines, named in a strip above them. Where a name does not fit there is a number,
//! which a legend below explains; where not even that fits, the legend tells how many there are.

use super::axes::Axes;
use super::drawing::{Anchor, BLACK, Colour, Drawing, GREY};
use super::page::Page;
use super::paint::text_width;
use crate::record::CellRecord;

/// At most this many rows of phases that overlap in time.
const LANES: usize = 3;
/// At most this many phases get a number.
const NUMBERED: usize = 24;

/// A phase with its place among those that run at the same time.
struct Placed {
    name: String,
    from: f64,
    to: f64,
    lane: usize,
}

/// The phases of a cell, ready to be drawn.
pub struct Phases {
    placed: Vec<Placed>,
    hidden: usize,
    lanes: usize,
}

impl Phases {
    /// Places the phases of a cell: the longer of two that start together is the outer one.
    pub fn of(cell: &CellRecord, length: f64) -> Self {
        let mut all: Vec<(f64, f64, &str)> = cell
            .phases
            .iter()
            .map(|p| {
                let from = (p.start_ms - cell.started_ms) / 1000.0;
                let to = p
                    .end_ms
                    .map_or(length, |end| (end - cell.started_ms) / 1000.0);
                (
                    from.clamp(0.0, length),
                    to.clamp(0.0, length),
                    p.name.as_str(),
                )
            })
            .filter(|(from, to, _)| from.is_finite() && to.is_finite() && to >= from)
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
        let mut busy_until: Vec<f64> = Vec::new();
        let mut phases = Self {
            placed: Vec::new(),
            hidden: 0,
            lanes: 0,
        };
        for (from, to, name) in all {
            let free = busy_until.iter().position(|until| *until <= from + 1e-6);
            let lane = match free {
                Some(lane) => lane,
                None if busy_until.len() < LANES => {
                    busy_until.push(0.0);
                    busy_until.len() - 1
                }
                None => {
                    phases.hidden += 1;
                    continue;
                }
            };
            busy_until[lane] = to;
            phases.placed.push(Placed {
                name: crate::text::line(name),
                from,
                to,
                lane,
            });
        }
        phases.lanes = busy_until.len();
        phases
    }

    /// The height of the strip.
    pub fn strip(&self, font: f64) -> f64 {
        self.lanes as f64 * lane_height(font)
    }

    /// Draws shades and strip; the strip ends where the area begins. Returns what the legend must explain.
    pub fn draw(&self, d: &mut Drawing, axes: &Axes, font: f64) -> Vec<String> {
        let small = font * 0.88;
        let height = lane_height(font);
        let mut explained = Vec::new();
        let mut unnamed = self.hidden;
        for (nth, phase) in self.placed.iter().enumerate() {
            let (left, right) = (axes.place_x(phase.from), axes.place_x(phase.to));
            let shade = if nth % 2 == 0 {
                Colour(228, 234, 241, 1.0)
            } else {
                Colour(243, 240, 232, 1.0)
            };
            let bottom = axes.top - self.strip(font) + (phase.lane + 1) as f64 * height;
            if phase.lane == 0 {
                d.rect((left, axes.top), (right, axes.bottom), shade.opacity(0.55));
            }
            d.rect((left, bottom - height + 2.0), (right, bottom), shade);
            d.line(
                vec![(left, bottom - height + 2.0), (left, axes.top)],
                GREY.opacity(0.5),
                1.0,
            );
            let number = (explained.len() + 1).to_string();
            let place = (f64::midpoint(left, right), bottom - height / 2.0 + 1.0);
            let room = right - left - 6.0;
            if text_width(&phase.name, small) <= room {
                d.text(place, Anchor::Middle, small, BLACK, &phase.name);
            } else if text_width(&number, small) <= room && explained.len() < NUMBERED {
                d.text(place, Anchor::Middle, small, BLACK, &number);
                explained.push(format!("{number}: {}", phase.name));
            } else {
                unnamed += 1;
            }
        }
        if unnamed > 0 {
            let phases = crate::format::count(unnamed, "phase");
            explained.push(format!("{phases} too short to name"));
        }
        explained
    }
}

fn lane_height(font: f64) -> f64 {
    font * 1.5
}

/// The legend of numbered phases, in one wrapped paragraph.
pub fn legend(page: &mut Page, explained: &[String]) {
    if !explained.is_empty() {
        let size = page.font * 0.9;
        let pieces: Vec<&str> = explained.iter().map(String::as_str).collect();
        page.pieces(&pieces, "  ·  ", size, BLACK);
    }
}
