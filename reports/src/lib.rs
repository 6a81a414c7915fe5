//! What a run is, how it is judged and how it looks.
//!
//! Everything here is pure: no processes, no sockets, no clock. The harness writes an event journal
//! ([`event`]); [`record::RunRecord`] is the fold of such a journal; gates ([`gate`]) judge a record;
//! reports ([`Report`]) render it to bytes. Rendering an old run is the same code on a journal read from disk.

pub mod budget;
pub mod compare;
pub mod console;
pub mod csv;
pub mod event;
mod evidence;
pub mod exit;
pub mod figures;
pub mod format;
pub mod gate;
pub mod histories;
pub mod history;
pub mod html;
pub mod json;
pub mod judge;
pub mod junit;
pub mod known_bug;
pub mod latency;
pub mod markdown;
pub mod metric;
pub mod mutants;
pub mod observer;
pub mod official;
pub mod outcome;
pub mod overview;
pub mod plot;
pub mod record;
pub mod repeats;
pub mod statement;
pub mod stats;
pub mod stores;
pub mod tables;
pub mod text;

pub use exit::{ExitCode, exit_code};
pub use gate::judge;

use record::RunRecord;

/// One rendered file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderedFile {
    /// Path relative to the run's folder, with `/` as separator.
    pub path: String,
    /// The file's whole content.
    pub bytes: Vec<u8>,
}

/// Why a report could not be rendered.
#[derive(Debug, thiserror::Error)]
#[error("failed to render {report}: {reason}")]
pub struct RenderError {
    /// The report's name.
    pub report: &'static str,
    /// What went wrong, as a sentence fragment.
    pub reason: String,
}

/// A rendering of a run: pure, from record to bytes.
pub trait Report: Sync {
    /// The name by which `--format` selects it.
    fn name(&self) -> &'static str;
    /// Renders the record.
    ///
    /// # Errors
    /// When the record cannot be shown in this format.
    fn render(&self, run: &RunRecord) -> Result<Vec<RenderedFile>, RenderError>;
}

/// The reports, in the order in which they are written.
pub static REPORTS: &[&dyn Report] = &[
    &json::Json,
    &junit::Junit,
    &markdown::Markdown,
    &csv::Csv,
    &console::Console,
    &html::Html,
    &plot::Plots,
];

/// One file, for reports that make just one.
pub(crate) fn one_file(path: &str, text: String) -> Vec<RenderedFile> {
    vec![RenderedFile {
        path: path.to_owned(),
        bytes: text.into_bytes(),
    }]
}
