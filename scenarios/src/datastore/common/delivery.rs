//! What a watch delivered against what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};

use reports::history::Revision;

/// How the deliveries of watches stand to the acknowledged writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Changes that were to be delivered, to all watches together.
    pub expected: u64,
    /// Changes that were never delivered.
    pub lost: u64,
    /// Deliveries of what had been delivered already.
    pub repeated: u64,
    /// First deliveries that came after one of a later revision.
    pub disordered: u64,
    /// Deliveries of revisions that no acknowledged write has.
    pub unasked: u64,
}

impl Delivery {
    /// Adds what one watch saw, in its order.
    pub fn add(&mut self, expected: &BTreeSet<Revision>, seen: impl IntoIterator<Item = Revision>) {
        let mut times: BTreeMap<Revision, u64> = BTreeMap::new();
        let mut newest = Revision::MIN;
        for revision in seen {
            let times = times.entry(revision).or_default();
            *times += 1;
            if *times > 1 {
                self.repeated += 1;
            } else if revision < newest {
                self.disordered += 1;
            }
            newest = newest.max(revision);
            if *times == 1 && !expected.contains(&revision) {
                self.unasked += 1;
            }
        }
        self.expected += expected.len() as u64;
        let delivered = expected.iter().filter(|r| times.contains_key(r)).count();
        self.lost += (expected.len() - delivered) as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(seen: &[Revision]) -> Delivery {
        let mut delivery = Delivery::default();
        delivery.add(&BTreeSet::from([5, 7, 8]), seen.iter().copied());
        delivery
    }

    #[test]
    fn each_defect_is_counted_as_itself() {
        let good = Delivery {
            expected: 3,
            ..Delivery::default()
        };
        assert_eq!(of(&[5, 7, 8]), good);
        assert_eq!(of(&[5, 8]), Delivery { lost: 1, ..good });
        assert_eq!(
            of(&[5, 7, 7, 8]),
            Delivery {
                repeated: 1,
                ..good
            }
        );
        // What is repeated later is not out of order as well: a resumed watch may do so.
        assert_eq!(
            of(&[5, 7, 8, 7]),
            Delivery {
                repeated: 1,
                ..good
            }
        );
        assert_eq!(
            of(&[5, 8, 7]),
            Delivery {
                disordered: 1,
                ..good
            }
        );
        assert_eq!(of(&[5, 6, 7, 8]), Delivery { unasked: 1, ..good });
        assert_eq!(of(&[]), Delivery { lost: 3, ..good });
    }
}
