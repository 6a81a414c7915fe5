//! The page of a plot: title, area, legend and caption, one below the other, with words wrapped to its width.

use super::Width;
use super::drawing::{Anchor, BLACK, Colour, Drawing, GREY};
use super::paint::text_width;
use crate::overview::SPECIMEN;
use crate::record::{CellRecord, RunRecord};

/// A page that grows downwards.
pub struct Page {
    /// What is drawn so far.
    pub drawing: Drawing,
    /// The size of its letters.
    pub font: f64,
    /// The next free place from the top.
    pub y: f64,
    /// Whether it is narrow.
    pub narrow: bool,
}

/// The space at the left and right edge.
pub const EDGE: f64 = 10.0;

impl Page {
    /// A page with its title; that of a specimen says so first.
    pub fn new(width: Width, specimen: bool, title: &str) -> Self {
        let (units, font) = match width {
            Width::Wide => (960.0, 17.0),
            Width::Narrow => (440.0, 15.0),
        };
        let mut page = Self {
            drawing: Drawing {
                width: units,
                ..Drawing::default()
            },
            font,
            y: 8.0,
            narrow: width == Width::Narrow,
        };
        if specimen {
            page.words(SPECIMEN, font * 1.1, super::drawing::VERMILLION.ink());
        }
        page.words(title, font * 1.15, BLACK);
        page.drawing.title = if specimen {
            format!("{SPECIMEN}: {title}")
        } else {
            title.to_owned()
        };
        page
    }

    /// Wrapped words over the whole width.
    pub fn words(&mut self, words: &str, size: f64, colour: Colour) {
        let pieces: Vec<&str> = words.split_whitespace().collect();
        self.pieces(&pieces, " ", size, colour);
    }

    /// Pieces that stay whole where they fit, wrapped over the whole width.
    pub fn pieces(&mut self, pieces: &[&str], between: &str, size: f64, colour: Colour) {
        let most = self.drawing.width - 2.0 * EDGE;
        for line in wrap(pieces, between, size, most) {
            self.y += size * 0.7;
            let at = (EDGE, self.y);
            self.drawing.text(at, Anchor::Start, size, colour, &line);
            self.y += size * 0.65;
        }
    }

    /// Coloured names in a row: what the lines are, where they cannot be labelled at their ends.
    pub fn legend(&mut self, entries: &[(String, Colour)]) {
        let size = self.font;
        let mut x = EDGE;
        self.y += size * 0.8;
        for (name, colour) in entries {
            let width = 34.0 + text_width(name, size) + 22.0;
            if x > EDGE && x + width > self.drawing.width {
                x = EDGE;
                self.y += size * 1.4;
            }
            let y = self.y;
            self.drawing.line(vec![(x, y), (x + 26.0, y)], *colour, 4.0);
            self.drawing
                .text((x + 34.0, y), Anchor::Start, size, colour.ink(), name);
            x += width;
        }
        self.y += size * 0.8;
    }

    /// Ends the page with its caption.
    pub fn finish(mut self, caption: &str) -> Drawing {
        self.y += 4.0;
        let size = self.font * 0.9;
        self.words(caption, size, GREY);
        self.drawing.height = (self.y + 8.0).ceil();
        self.drawing
    }
}

/// What every caption ends with: what was measured, where.
pub fn provenance(run: &RunRecord, cells: &[&CellRecord]) -> String {
    let mut versions: Vec<String> = Vec::new();
    for cell in cells {
        let mut version = format!("{} {}", cell.spec.distribution, cell.spec.version);
        if cell.spec.emulated {
            let arch = cell.spec.arch.as_deref().unwrap_or("another machine");
            version.push_str(&format!(" on emulated {arch}"));
        }
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    let day = run.started.started_at.get(..10).unwrap_or("");
    format!(
        "{}; kernel {} {}; {day}",
        versions.join(", "),
        run.started.host.kernel,
        run.started.host.arch
    )
}

/// Puts pieces into lines no wider than `most`; a piece that is wider by itself is cut.
pub fn wrap(pieces: &[&str], between: &str, size: f64, most: f64) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for piece in pieces {
        let piece = crate::text::line(piece);
        let candidate = if line.is_empty() {
            piece.clone()
        } else {
            format!("{line}{between}{piece}")
        };
        if text_width(&candidate, size) <= most {
            line = candidate;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        line = fit(&piece, size, most);
    }
    lines.push(line);
    lines
}

/// Text cut so that it is no wider than `most`.
pub fn fit(words: &str, size: f64, most: f64) -> String {
    if text_width(words, size) <= most {
        return words.to_owned();
    }
    let mut cut: String = words.to_owned();
    while cut.pop().is_some() {
        let short = format!("{cut}…");
        if text_width(&short, size) <= most {
            return short;
        }
    }
    String::new()
}

/// Thin dashes from the end of a line that ends early to where its label is: a lead and no data.
pub fn lead_out(d: &mut Drawing, end: Option<&(f64, f64)>, right: f64, colour: Colour) {
    if let Some(&(x, y)) = end
        && right - x > 8.0
    {
        d.dashes((x, y), (right, y), colour.opacity(0.5), 1.0);
    }
}

/// Labels at the right end of lines: their places are moved apart until none touches another.
pub fn label_ends(
    d: &mut Drawing,
    x: f64,
    (top, bottom): (f64, f64),
    font: f64,
    mut labels: Vec<(f64, String, Colour)>,
) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0));
    let gap = font * 1.3;
    let mut places: Vec<f64> = Vec::new();
    for (y, ..) in &labels {
        let least = places.last().map_or(top, |last| last + gap);
        places.push(y.max(least));
    }
    let mut greatest = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(greatest);
        greatest = *place - gap;
    }
    for ((y, text, colour), place) in labels.into_iter().zip(places) {
        d.line(vec![(x + 2.0, y), (x + 12.0, place)], colour, 1.0);
        d.text((x + 16.0, place), Anchor::Start, font, colour.ink(), &text);
    }
}
