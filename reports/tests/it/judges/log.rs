//! What took effect in a model.

use std::collections::BTreeMap;
use std::ops::Range;

use reports::history::{Key, Nanos, Revision, Version};

/// A change that took effect.
#[derive(Debug, Clone, Copy)]
pub struct Applied {
    pub at: Nanos,
    pub key: Key,
    pub revision: Revision,
    /// `None`: it was deleted.
    pub value: Option<u64>,
}

impl Applied {
    pub fn version(&self) -> Option<Version> {
        let revision = self.revision;
        self.value.map(|value| Version { value, revision })
    }
}

/// What took effect.
pub struct Log {
    pub all: Vec<Applied>,
    /// Those of it that were forgotten at the restart.
    pub forgotten: Range<usize>,
    /// What was there before.
    pub initial: BTreeMap<Key, Version>,
}

impl Log {
    /// What is there in the end: all but what was forgotten.
    pub fn kept(&self) -> impl Iterator<Item = &Applied> {
        let all = self.all.iter().enumerate();
        all.filter(|(index, _)| !self.forgotten.contains(index))
            .map(|(_, applied)| applied)
    }

    pub fn state_before(&self, revision: Revision) -> BTreeMap<Key, Version> {
        let mut state = self.initial.clone();
        for applied in self.kept().filter(|applied| applied.revision < revision) {
            match applied.version() {
                Some(version) => state.insert(applied.key, version),
                None => state.remove(&applied.key),
            };
        }
        state
    }
}
