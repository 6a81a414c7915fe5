//! What a run is, how it is judged and how it looks.
//!
//! Everything here is pure: no processes, no sockets, no clock. The harness writes an event journal
//! ([`event`]); [`record::RunRecord`] is the fold of such a journal; gates ([`gate`]) judge a record;
//! reports ([`Report`]) render it to bytes. Rendering an old run is the same code on a journal read from disk.

pub mod budget;
pub mod event;
pub mod gate;
pub mod metric;
pub mod outcome;
pub mod record;

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
