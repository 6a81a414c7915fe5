//! What the scenarios on a store share: requests that are timed and recorded, watches, writers, and what to compare.

pub mod bench;
pub mod delivery;
pub mod follow;
pub mod steady;
pub mod timing;
