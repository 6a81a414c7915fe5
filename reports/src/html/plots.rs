//! Plots in the page, as SVG, each in a wide and a narrow form.

use std::fmt::Write as _;

use crate::plot::{self, Width, paint};
use crate::record::RunRecord;
use crate::text::html as escape;

pub(super) fn render(run: &RunRecord) -> String {
    let mut out = String::new();
    let wide = plot::all(run, Width::Wide);
    let narrow = plot::all(run, Width::Narrow);
    for (plot, class) in wide
        .iter()
        .map(|p| (p, "wide"))
        .zip(narrow.iter().map(|p| (p, "narrow")))
        .flat_map(|(w, n)| [w, n])
    {
        match paint::svg(&plot.drawing) {
            Ok(svg) => {
                let _ = writeln!(out, "<figure class=\"{class}\">{svg}</figure>");
            }
            // A report without one plot is worth more than no report.
            Err(reason) => {
                let _ = writeln!(
                    out,
                    "<p class=\"{class}\">The plot {} could not be drawn: {}</p>",
                    escape(&plot.name),
                    escape(&reason)
                );
            }
        }
    }
    out
}
