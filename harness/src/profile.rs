//! How much is run.

use std::time::Duration;

/// How much is run: of each suite, and of the targets where none is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// A slice: the first check of each area and the first scenario of each suite; by itself on this host's processes
    /// only, and no cell is begun after 5 minutes.
    Quick,
    /// Everything but checks that may wait for ten minutes; by itself also in containers and emulated machines, where
    /// this host has them, and no cell is begun after 20 minutes.
    #[default]
    Default,
    /// Every check, and whole nodes too; no bound.
    Full,
}

impl Profile {
    /// After this time no cell is begun.
    #[must_use]
    pub fn time(self) -> Option<Duration> {
        match self {
            Self::Quick => Some(Duration::from_secs(5 * 60)),
            Self::Default => Some(Duration::from_secs(20 * 60)),
            Self::Full => None,
        }
    }
}
