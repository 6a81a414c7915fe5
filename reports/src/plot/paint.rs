//! Paints drawings with plotters: SVG and PNG from the same shapes.

use std::sync::OnceLock;

use plotters::backend::DrawingBackend;
use plotters::prelude::{
    BitMapBackend, Circle, IntoDrawingArea, IntoFont, PathElement, RGBAColor, Rectangle, SVGBackend,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontStyle, ShapeStyle, TextStyle};

use super::drawing::{Anchor, Colour, Drawing, Shape};

/// DejaVu Sans, cut down to Latin and Greek: plotters has no font of its own and asks no system for one.
static FONT: &[u8] = include_bytes!("../../assets/DejaVuSans.ttf");

/// The name under which the font is known. In an SVG the reader's own sans-serif stands for it, so that the
/// file needs no font; widths are measured in DejaVu Sans, which is wider than most.
const FAMILY: &str = "sans-serif";

/// plotters' font size is 1.24 em.
const PER_EM: f64 = 1.24;

/// SVG coordinates of plotters are whole numbers, so the SVG is drawn larger and scaled down by its view box.
const SVG_SCALE: f64 = 4.0;

/// The PNG has two pixels a unit, for dense screens.
const PNG_SCALE: f64 = 2.0;

fn font_ready() -> bool {
    static READY: OnceLock<bool> = OnceLock::new();
    *READY.get_or_init(|| plotters::style::register_font(FAMILY, FontStyle::Normal, FONT).is_ok())
}

/// The width of one line of text. Measured at a large size, since plotters measures in whole pixels.
#[must_use]
pub fn text_width(text: &str, size: f64) -> f64 {
    const MEASURED: f64 = 100.0;
    if !font_ready() {
        return 0.62 * size * text.chars().count() as f64;
    }
    let font = (FAMILY, MEASURED * PER_EM).into_font();
    font.box_size(text)
        .map_or(0.0, |(width, _)| f64::from(width) * size / MEASURED)
}

/// The drawing as a self-contained SVG document.
///
/// # Errors
/// When plotters fails, in its words.
pub fn svg(drawing: &Drawing) -> Result<String, String> {
    let size = pixels(drawing, SVG_SCALE);
    let mut text = String::new();
    let backend = SVGBackend::with_string(&mut text, size);
    paint(drawing, backend, SVG_SCALE, 0.0)?;
    let drawn = format!("<svg width=\"{}\" height=\"{}\" ", size.0, size.1);
    let shown = format!(
        "<svg role=\"img\" aria-label=\"{}\" width=\"{}\" height=\"{}\" ",
        crate::text::html(&drawing.title),
        drawing.width.ceil(),
        drawing.height.ceil()
    );
    Ok(text.replacen(&drawn, &shown, 1))
}

/// The drawing as a PNG.
///
/// # Errors
/// When plotters or the encoder fails, in its words.
pub fn png(drawing: &Drawing) -> Result<Vec<u8>, String> {
    let size = pixels(drawing, PNG_SCALE);
    let mut rgb = vec![0; size.0 as usize * size.1 as usize * 3];
    paint(
        drawing,
        BitMapBackend::with_buffer(&mut rgb, size),
        PNG_SCALE,
        0.1,
    )?;
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.0, size.1);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Best);
    encoder.set_filter(png::FilterType::NoFilter);
    let mut writer = encoder.write_header().map_err(|e| e.to_string())?;
    writer.write_image_data(&rgb).map_err(|e| e.to_string())?;
    writer.finish().map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn pixels(drawing: &Drawing, scale: f64) -> (u32, u32) {
    let side = |units: f64| (units.ceil().clamp(1.0, 4000.0) * scale) as u32;
    (side(drawing.width), side(drawing.height))
}

/// `lower` moves text down by a share of its size: the bitmap backend centres the whole line, with room for
/// descenders, while the SVG centres the small letters.
fn paint<B: DrawingBackend>(
    drawing: &Drawing,
    backend: B,
    scale: f64,
    lower: f64,
) -> Result<(), String> {
    if !font_ready() {
        return Err("the built-in font cannot be read".into());
    }
    let root = backend.into_drawing_area();
    let at = |p: &(f64, f64)| ((p.0 * scale).round() as i32, (p.1 * scale).round() as i32);
    let fill = |colour: &Colour| ShapeStyle {
        color: colour_of(*colour),
        filled: true,
        stroke_width: 0,
    };
    root.fill(&plotters::style::WHITE)
        .map_err(|e| e.to_string())?;
    for shape in &drawing.shapes {
        let drawn = match shape {
            Shape::Path {
                points,
                colour,
                width,
            } => {
                let stroke = (width * scale).round().max(1.0) as u32;
                let style = colour_of(*colour).stroke_width(stroke);
                let points: Vec<_> = points.iter().map(at).collect();
                root.draw(&PathElement::new(points, style))
            }
            Shape::Rect { from, to, colour } => {
                root.draw(&Rectangle::new([at(from), at(to)], fill(colour)))
            }
            Shape::Dot {
                at: centre,
                radius,
                colour,
            } => root.draw(&Circle::new(
                at(centre),
                (radius * scale).round() as i32,
                fill(colour),
            )),
            Shape::Text {
                at: place,
                anchor,
                size,
                colour,
                text,
            } => {
                let horizontal = match anchor {
                    Anchor::Start => HPos::Left,
                    Anchor::Middle => HPos::Center,
                    Anchor::End => HPos::Right,
                };
                let ink = colour_of(*colour);
                let style = TextStyle::from((FAMILY, size * scale * PER_EM).into_font())
                    .color(&ink)
                    .pos(Pos::new(horizontal, VPos::Center));
                root.draw_text(text, &style, at(&(place.0, place.1 + size * lower)))
            }
        };
        drawn.map_err(|e| e.to_string())?;
    }
    root.present().map_err(|e| e.to_string())
}

fn colour_of(colour: Colour) -> RGBAColor {
    RGBAColor(colour.0, colour.1, colour.2, colour.3)
}
