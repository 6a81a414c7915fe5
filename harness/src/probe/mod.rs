//! Probes: facts of the place, taken before anything is measured there.

pub mod disk;
