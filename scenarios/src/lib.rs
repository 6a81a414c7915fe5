//! Content: what is checked and what is measured.

pub mod conformance;
