//! Profiles: how much is run, and how often.

use std::time::Duration;

/// How much is run: of each suite, and of the targets where none is named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Profile {
    /// A slice: the first check of each area and the first scenario of each suite; by itself on this host's processes
    /// only, and no cell is begun after 5 minutes.
    Quick,
    /// Everything but checks that may wait for ten minutes; by itself also in containers and emulated machines, where
    /// this host has them, and no cell is begun after 20 minutes. Headline scenarios run on 5 servers.
    #[default]
    Default,
    /// Every check, and whole nodes too; no bound. Headline scenarios run on 10 servers.
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

    /// On how many servers, one after another, a headline scenario runs: as many as a comparison needs
    /// ([`reports::compare::LEAST_VALUES`]), and one where nobody wants to wait.
    #[must_use]
    pub fn headline_repeats(self) -> u32 {
        match self {
            Self::Quick => 1,
            Self::Default => 5,
            Self::Full => 10,
        }
    }
}

/// How often scenarios run, as the profile and the command line have it.
#[derive(Debug, Clone, Copy)]
pub struct Repeats {
    /// The profile.
    pub profile: Profile,
    /// The number of repeats that was asked for, for scenarios that repeat in any profile.
    pub asked: Option<u32>,
}

impl Repeats {
    /// On how many servers a scenario runs; at least one.
    #[must_use]
    pub fn of(self, scenario: &dyn crate::scenario::Scenario) -> u32 {
        let own = scenario.repeats(self.profile);
        let repeats = scenario.repeats(Profile::Full) > 1;
        self.asked.filter(|_| repeats).unwrap_or(own).max(1)
    }
}
