//! Plots: each is drawn once as a list of shapes, and painted as SVG and as PNG from that list.
//!
//! A plot has two widths, so that its words can be read on a telephone as well: fonts keep their size, and the
//! area gives way. Files hold the wide one; `report.html` holds both and shows the one that fits.

use crate::record::{CellRecord, RunRecord};
use crate::{RenderError, RenderedFile, Report};

pub mod axes;
mod bars;
mod by_label;
mod compared;
mod cpu;
pub mod drawing;
mod ecdf;
mod ladder;
mod memory;
mod overlay;
mod page;
pub mod paint;
mod phases;
mod prepare;
mod throughput;

pub use drawing::Drawing;

/// How wide a plot is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// For screens and files: 960 units, 17 unit letters.
    Wide,
    /// For telephones: 440 units, 15 unit letters.
    Narrow,
}

/// A plot of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Plot {
    /// File name without folder and extension, such as `memory-native-k3s-sqlite-edge`.
    pub name: String,
    /// The cell it belongs to; `None` for comparisons.
    pub cell: Option<String>,
    /// The shapes.
    pub drawing: Drawing,
}

/// What makes plots of a run; none where there are no data for it.
type Plotter = fn(&RunRecord, Width) -> Vec<Plot>;

/// The cells that have a plot of their own, or a line in one: of repeats the first stands for all.
fn drawn(run: &RunRecord) -> impl Iterator<Item = &CellRecord> {
    run.cells.iter().filter(|cell| cell.spec.repeat == 0)
}

/// The plots, in the order in which the report shows them.
const PLOTTERS: &[Plotter] = &[
    overlay::plots,
    memory::plots,
    cpu::plots,
    ecdf::plots,
    throughput::plots,
    ladder::plots,
    by_label::slow_disk,
    by_label::sizes,
    bars::wear,
    bars::recovery,
];

/// All plots of a run.
#[must_use]
pub fn all(run: &RunRecord, width: Width) -> Vec<Plot> {
    let mut plots: Vec<Plot> = PLOTTERS.iter().flat_map(|p| p(run, width)).collect();
    // Hostile or repeated cell ids must not make two plots write one file.
    for nth in 1..plots.len() {
        let taken = |name: &str| plots[..nth].iter().any(|p| p.name == name);
        if taken(&plots[nth].name) {
            let name = (2..)
                .map(|n| format!("{}-{n}", plots[nth].name))
                .find(|name| !taken(name));
            plots[nth].name = name.expect("one of infinitely many names is free");
        }
    }
    plots
}

/// `plots/*.svg` and `plots/*.png`.
pub struct Plots;

impl Report for Plots {
    fn name(&self) -> &'static str {
        "plots"
    }

    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError> {
        let failed = |reason: String| RenderError {
            report: "plots",
            reason,
        };
        let mut files = Vec::new();
        for plot in all(run, Width::Wide) {
            files.push(RenderedFile {
                path: format!("plots/{}.svg", plot.name),
                bytes: paint::svg(&plot.drawing).map_err(failed)?.into_bytes(),
            });
            files.push(RenderedFile {
                path: format!("plots/{}.png", plot.name),
                bytes: paint::png(&plot.drawing).map_err(failed)?,
            });
        }
        Ok(files)
    }
}

/// A file name made of a cell's id: letters, digits, `-`, `_` and `.` inside; at most 100 characters.
fn file_name(prefix: &str, id: &str) -> String {
    let safe: String = id
        .chars()
        .take(100)
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
            _ => '_',
        })
        .collect();
    format!("{prefix}-{safe}")
}
