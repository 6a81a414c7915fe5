//! Plans that a seed chooses.

use reports::history::Level;

use super::model::{MS, Plan};
use super::rng::Rng;

impl Plan {
    /// A plan that a seed chooses.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0xa55a);
        Self {
            seed,
            clients: rng.between(2, 7) as u32,
            keys: rng.between(1, 7) as u32,
            operations: 300,
            unknown: [0, 10, 50, 200][rng.below(4) as usize],
            level: if rng.per_mille(500) {
                Level::Api
            } else {
                Level::Datastore
            },
            watches: rng.below(4) as u32,
            think: 300 * MS,
            fault: rng.per_mille(500),
            forgets: 0,
            reuses: false,
            final_list: rng.per_mille(900),
            lists: rng.per_mille(900),
            deletes: rng.per_mille(800),
        }
    }

    /// One in which every judge but the fallback has something to look at, for mutating.
    pub fn rich(seed: u64) -> Self {
        Self {
            clients: 4,
            keys: 5,
            operations: 400,
            unknown: 20,
            level: Level::Datastore,
            watches: 3,
            fault: seed % 2 == 1,
            final_list: true,
            lists: true,
            deletes: true,
            ..Self::of(seed)
        }
    }
}
