//! Tests of judging and rendering on hand-made journals.

mod formats;
mod gates;
mod hostile;
mod journals;
mod liveness;
mod machines;
mod official;
mod plots;
mod prefixes;
mod statements;
mod support;
mod tables;
