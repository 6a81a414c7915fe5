//! A drawing: shapes in plain units, with the origin at the top left. No backend and no scale is known here.

/// A colour: red, green, blue, opacity.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colour(pub u8, pub u8, pub u8, pub f64);

impl Colour {
    /// The same colour with another opacity.
    #[must_use]
    pub fn opacity(self, opacity: f64) -> Self {
        Self(self.0, self.1, self.2, opacity.clamp(0.0, 1.0))
    }

    /// The same colour dark enough for text on white.
    #[must_use]
    pub fn ink(self) -> Self {
        let luma =
            0.299 * f64::from(self.0) + 0.587 * f64::from(self.1) + 0.114 * f64::from(self.2);
        let factor = (105.0 / luma.max(1.0)).min(1.0);
        let part = |c: u8| (f64::from(c) * factor) as u8;
        Self(part(self.0), part(self.1), part(self.2), 1.0)
    }
}

// The palette of Okabe and Ito, which people with any kind of colour vision can tell apart.

/// Black: axes' words and marks.
pub const BLACK: Colour = Colour(26, 26, 26, 1.0);
/// Grey: captions.
pub const GREY: Colour = Colour(85, 85, 85, 1.0);
/// Light grey: grid lines.
pub const GRID: Colour = Colour(222, 222, 222, 1.0);
/// White: behind words.
pub const WHITE: Colour = Colour(255, 255, 255, 1.0);
/// Blue.
pub const BLUE: Colour = Colour(0, 114, 178, 1.0);
/// Orange.
pub const ORANGE: Colour = Colour(230, 159, 0, 1.0);
/// Bluish green.
pub const GREEN: Colour = Colour(0, 158, 115, 1.0);
/// Sky blue.
pub const SKY: Colour = Colour(86, 180, 233, 1.0);
/// Vermillion: the budget and what breaks it, and nothing else.
pub const VERMILLION: Colour = Colour(213, 94, 0, 1.0);
/// Reddish purple.
pub const PURPLE: Colour = Colour(204, 121, 167, 1.0);

/// The colours of compared cells, in order.
pub const COMPARED: [Colour; 5] = [BLUE, ORANGE, GREEN, PURPLE, SKY];

/// Where a text's position lies in it, horizontally. Vertically it is always the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At its left end.
    Start,
    /// In its middle.
    Middle,
    /// At its right end.
    End,
}

/// One shape.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// A line through points.
    Path {
        /// The points.
        points: Vec<(f64, f64)>,
        /// Its colour.
        colour: Colour,
        /// Its width.
        width: f64,
    },
    /// A filled rectangle.
    Rect {
        /// Top left.
        from: (f64, f64),
        /// Bottom right.
        to: (f64, f64),
        /// Its colour.
        colour: Colour,
    },
    /// A filled circle.
    Dot {
        /// Its middle.
        at: (f64, f64),
        /// Its radius.
        radius: f64,
        /// Its colour.
        colour: Colour,
    },
    /// One line of text.
    Text {
        /// Where.
        at: (f64, f64),
        /// Which end is there.
        anchor: Anchor,
        /// The size of its letters (em).
        size: f64,
        /// Its colour.
        colour: Colour,
        /// Its words.
        text: String,
    },
}

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Drawing {
    /// Its width.
    pub width: f64,
    /// Its height.
    pub height: f64,
    /// What it shows, for those who cannot see it.
    pub title: String,
    /// Its shapes, the later ones above the earlier.
    pub shapes: Vec<Shape>,
}

impl Drawing {
    /// A line.
    pub fn line(&mut self, points: Vec<(f64, f64)>, colour: Colour, width: f64) {
        if points.len() > 1 {
            self.shapes.push(Shape::Path {
                points,
                colour,
                width,
            });
        }
    }

    /// A straight dashed line.
    pub fn dashes(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour, width: f64) {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let (dash, period) = (9.0, 15.0);
        let at = |d: f64| {
            let share = (d / length).min(1.0);
            (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            )
        };
        let mut start = 0.0;
        while start < length {
            self.line(vec![at(start), at(start + dash)], colour, width);
            start += period;
        }
    }

    /// A filled rectangle.
    pub fn rect(&mut self, from: (f64, f64), to: (f64, f64), colour: Colour) {
        self.shapes.push(Shape::Rect { from, to, colour });
    }

    /// A dot.
    pub fn dot(&mut self, at: (f64, f64), radius: f64, colour: Colour) {
        self.shapes.push(Shape::Dot { at, radius, colour });
    }

    /// One line of text; hostile text is made plain here.
    pub fn text(&mut self, at: (f64, f64), anchor: Anchor, size: f64, colour: Colour, text: &str) {
        self.shapes.push(Shape::Text {
            at,
            anchor,
            size,
            colour,
            text: crate::text::line(text),
        });
    }
}

impl Shape {
    /// The box of a text: left, top, right, bottom.
    #[must_use]
    pub fn text_box(&self) -> Option<(f64, f64, f64, f64)> {
        let Self::Text {
            at,
            anchor,
            size,
            text,
            ..
        } = self
        else {
            return None;
        };
        let width = super::paint::text_width(text, *size);
        let left = match anchor {
            Anchor::Start => at.0,
            Anchor::Middle => at.0 - width / 2.0,
            Anchor::End => at.0 - width,
        };
        Some((left, at.1 - size * 0.55, left + width, at.1 + size * 0.55))
    }
}
