//! Tests of judging and rendering on hand-made journals.

mod compare;
mod formats;
mod gates;
mod histories;
mod hostile;
mod journals;
mod judges;
mod liveness;
mod machines;
mod official;
mod plots;
mod prefixes;
mod statements;
mod stores;
mod support;
mod tables;
