//! The stream of samples.
use crate::Test;
pub const TESTS: &[Test] = &[];
