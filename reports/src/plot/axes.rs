//! Axes: from values to places, ticks at round numbers, a grid that stays in the background.

use super::drawing::{Anchor, BLACK, Drawing, GREY, GRID};

/// How values become places.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scale {
    /// From a least to a greatest value.
    Linear(f64, f64),
    /// The same, by powers of ten; both are positive.
    Log(f64, f64),
}

impl Scale {
    /// The share of the way from least to greatest, 0 to 1; values outside are put on the edge.
    #[must_use]
    pub fn share(self, value: f64) -> f64 {
        let share = match self {
            Self::Linear(least, greatest) => (value - least) / (greatest - least),
            Self::Log(least, greatest) => (value.max(least) / least).ln() / (greatest / least).ln(),
        };
        if share.is_nan() {
            0.0
        } else {
            share.clamp(0.0, 1.0)
        }
    }

    /// Values for ticks, at most about `most`.
    #[must_use]
    pub fn ticks(self, most: usize) -> Vec<f64> {
        match self {
            Self::Linear(least, greatest) => linear_ticks(least, greatest, most),
            Self::Log(least, greatest) => {
                let decades: Vec<i32> =
                    (least.log10().floor() as i32..=greatest.log10().ceil() as i32).collect();
                let at = |steps: &[f64]| -> Vec<f64> {
                    let all = decades
                        .iter()
                        .flat_map(|d| steps.iter().map(|s| s * 10f64.powi(*d)));
                    all.filter(|v| *v >= least * 0.999 && *v <= greatest * 1.001)
                        .collect()
                };
                let fine = at(&[1.0, 2.0, 5.0]);
                if fine.len() <= most { fine } else { at(&[1.0]) }
            }
        }
    }
}

/// A round step such that at most `most` fit: 1, 2 or 5 times a power of ten.
fn linear_ticks(least: f64, greatest: f64, most: usize) -> Vec<f64> {
    let span = greatest - least;
    if !span.is_finite() || span <= 0.0 || most == 0 {
        return vec![least];
    }
    let rough = span / most as f64;
    let power = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough * 0.999)
        .unwrap_or(power * 10.0);
    let first = (least / step).ceil() as i64;
    let last = (greatest / step + 1e-9).floor() as i64;
    (first..=last).map(|n| n as f64 * step).collect()
}

/// A plot's area with its two scales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Axes {
    /// Left edge.
    pub left: f64,
    /// Top edge.
    pub top: f64,
    /// Right edge.
    pub right: f64,
    /// Bottom edge.
    pub bottom: f64,
    /// Horizontal scale.
    pub x: Scale,
    /// Vertical scale.
    pub y: Scale,
}

impl Axes {
    /// The horizontal place of a value.
    #[must_use]
    pub fn place_x(&self, value: f64) -> f64 {
        self.left + self.x.share(value) * (self.right - self.left)
    }

    /// The vertical place of a value.
    #[must_use]
    pub fn place_y(&self, value: f64) -> f64 {
        self.bottom - self.y.share(value) * (self.bottom - self.top)
    }

    /// The place of a point.
    #[must_use]
    pub fn place(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.place_x(x), self.place_y(y))
    }

    /// Horizontal grid lines with their values to the left. The lowest is the axis itself.
    pub fn draw_y(&self, d: &mut Drawing, font: f64, most: usize, label: impl Fn(f64) -> String) {
        for value in self.y.ticks(most) {
            let y = self.place_y(value);
            d.line(vec![(self.left, y), (self.right, y)], GRID, 1.0);
            d.text(
                (self.left - 8.0, y),
                Anchor::End,
                font,
                BLACK,
                &label(value),
            );
        }
    }

    /// The lower axis with ticks at values. A label that would touch its neighbour is left out.
    pub fn draw_x(&self, d: &mut Drawing, font: f64, ticks: &[(f64, String)], name: &str) {
        let (left, right, bottom) = (self.left, self.right, self.bottom);
        d.line(vec![(left, bottom), (right, bottom)], GREY, 1.5);
        let mut free_from = f64::MIN;
        for (value, label) in ticks {
            let x = self.place_x(*value);
            d.line(vec![(x, bottom), (x, bottom + 5.0)], GREY, 1.5);
            let half = super::paint::text_width(label, font) / 2.0;
            if x - half > free_from {
                d.text(
                    (x, bottom + 6.0 + font * 0.7),
                    Anchor::Middle,
                    font,
                    BLACK,
                    label,
                );
                free_from = x + half + font * 0.5;
            }
        }
        let middle = f64::midpoint(left, right);
        let y = bottom + 6.0 + font * 2.0;
        d.text((middle, y), Anchor::Middle, font, GREY, name);
    }
}

/// The height that [`Axes::draw_x`] needs below the area.
#[must_use]
pub fn height_below(font: f64) -> f64 {
    6.0 + font * 2.7
}

/// Ticks of a time axis given in seconds, in seconds or minutes.
#[must_use]
pub fn time_ticks(scale: Scale, most: usize) -> (Vec<(f64, String)>, &'static str) {
    let Scale::Linear(least, greatest) = scale else {
        return (Vec::new(), "");
    };
    let in_minutes = greatest - least > 300.0;
    let unit = if in_minutes { 60.0 } else { 1.0 };
    let ticks = linear_ticks(least / unit, greatest / unit, most)
        .into_iter()
        .map(|t| (t * unit, short(t)))
        .collect();
    let name = if in_minutes { "minutes" } else { "seconds" };
    (ticks, name)
}

/// A tick's number, without needless digits.
#[must_use]
pub fn short(value: f64) -> String {
    if value != 0.0 && value.abs() < 1.0 {
        let text = format!("{value:.3}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else if value.fract().abs() > 1e-9 && value.abs() < 100.0 {
        let text = format!("{value:.2}");
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        crate::format::number(value.round())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_inside() {
        assert_eq!(
            Scale::Linear(0.0, 573.0).ticks(6),
            [0.0, 100.0, 200.0, 300.0, 400.0, 500.0]
        );
        assert_eq!(
            Scale::Linear(0.0, 1.0).ticks(5),
            [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]
        );
        assert_eq!(
            Scale::Log(0.4, 30.0).ticks(9),
            [0.5, 1.0, 2.0, 5.0, 10.0, 20.0]
        );
        assert_eq!(Scale::Log(0.01, 9000.0).ticks(7).len(), 6);
        assert_eq!(Scale::Linear(3.0, 3.0).ticks(5), [3.0]);
        assert_eq!(Scale::Linear(f64::NAN, 3.0).ticks(5).len(), 1);
    }

    #[test]
    fn places_stay_inside() {
        let axes = Axes {
            left: 10.0,
            top: 5.0,
            right: 110.0,
            bottom: 105.0,
            x: Scale::Linear(0.0, 10.0),
            y: Scale::Log(1.0, 100.0),
        };
        assert_eq!(axes.place((5.0, 10.0)), (60.0, 55.0));
        assert_eq!(axes.place((-5.0, 1e9)), (10.0, 5.0));
        assert_eq!(axes.place((f64::NAN, f64::NAN)), (10.0, 105.0));
    }

    #[test]
    fn tick_labels_are_short() {
        for (value, label) in [
            (0.0, "0"),
            (0.5, "0.5"),
            (2.5, "2.5"),
            (0.02, "0.02"),
            (5000.0, "5,000"),
        ] {
            assert_eq!(short(value), label);
        }
    }
}
