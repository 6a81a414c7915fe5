//! The plan: the chosen suites crossed with the cells that this host can run. Every skip has its reason here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reports::budget::Budget;

use crate::cell::Shape;
use crate::distribution::{Datastore, Distribution};

/// What the id of a cell for faults ends with.
pub const FAULTS: &str = "-faults";

/// The size of the disk of a cell for faults. K3s v1.21 unpacks 200 MiB, and etcd reserves 64 MiB at a time for its log:
/// that and what scenarios write must fit.
pub const FAULTS_DISK: u64 = 1 << 30;

/// A cell that will run.
#[derive(Clone)]
pub struct PlannedCell {
    /// Its id, unique within the run.
    pub id: String,
    /// Which repeat of its cell it is, counted from 0.
    pub repeat: u32,
    /// What is under test.
    pub distribution: &'static dyn Distribution,
    /// What backs it.
    pub datastore: Datastore,
    /// How much of Kubernetes it runs.
    pub shape: Shape,
    /// Variables that its server gets besides its own.
    pub env: Vec<(String, String)>,
    /// How many agents join its server.
    pub agents: u8,
    /// What it may use.
    pub budget: Budget,
    /// Whether it is for the scenarios that inject faults, and for no other.
    pub faults: bool,
    /// Why it cannot run; then it is skipped with this reason.
    pub skip: Option<String>,
}

/// What all planned cells have in common.
pub struct Common<'a> {
    /// Where they are made.
    pub target: &'a str,
    /// What is under test.
    pub distribution: &'static dyn Distribution,
    /// How much of Kubernetes they run.
    pub shape: Shape,
    /// Variables that their servers get.
    pub env: &'a [(String, String)],
    /// How many agents join each server.
    pub agents: u8,
    /// What they may use.
    pub budget: &'a Budget,
    /// Whether they are for faults.
    pub faults: bool,
}

impl Common<'_> {
    /// The id of the cell on `datastore`: what is the default is not named.
    fn id(&self, datastore: Datastore) -> String {
        let mut id = format!("{}-{}-{datastore}", self.target, self.distribution.name());
        if self.shape != Shape::default() {
            id.push_str(&format!("-{}", self.shape));
        }
        if self.agents > 0 {
            id.push_str(&format!("-agents{}", self.agents));
        }
        id.push_str(&format!("-{}", slug(&self.budget.name)));
        // The id is in every report and names folders: no secret, and nothing long.
        let shown = crate::text::redact_pairs(self.env);
        for (name, value) in self.env {
            let plain = shown.get(name) == Some(value) && value.len() <= LONGEST_VALUE;
            let value = if plain { slug(value) } else { digest(value) };
            id.push_str(&format!("-{}{value}", slug(name)));
        }
        if self.faults {
            id.push_str(FAULTS);
        }
        id
    }
}

/// Crosses a distribution's datastores with what the cells have in common.
///
/// `binaries` are the ones that could be resolved; `missing` says of the others why not.
#[must_use]
pub fn cells(
    common: &Common<'_>,
    datastores: &[Datastore],
    binaries: &BTreeMap<&'static str, PathBuf>,
    missing: &BTreeMap<&'static str, String>,
) -> Vec<PlannedCell> {
    datastores
        .iter()
        .map(|&datastore| {
            let skip = common
                .distribution
                .artifacts()
                .iter()
                .filter(|need| need.applies(datastore, common.shape))
                .find(|need| !binaries.contains_key(need.name))
                .map(|need| {
                    missing
                        .get(need.name)
                        .cloned()
                        .unwrap_or_else(|| format!("{} was not found", need.name))
                });
            PlannedCell {
                id: common.id(datastore),
                repeat: 0,
                distribution: common.distribution,
                datastore,
                shape: common.shape,
                env: common.env.to_vec(),
                agents: common.agents,
                budget: common.budget.clone(),
                faults: common.faults,
                skip,
            }
        })
        .collect()
}

/// The cells `times` times over in mirrored order: A B, B A, A B. What drifts slowly on this host, such as its heat or
/// its neighbours, then weighs on all of them alike. What is skipped is not repeated.
#[must_use]
pub fn repeated(cells: Vec<PlannedCell>, times: u32) -> Vec<PlannedCell> {
    let again: Vec<PlannedCell> = cells
        .iter()
        .filter(|cell| cell.skip.is_none())
        .cloned()
        .collect();
    let mut all = cells;
    for repeat in 1..times {
        let nth = again.iter().map(|cell| PlannedCell {
            id: reports::repeats::id(&cell.id, repeat),
            repeat,
            ..cell.clone()
        });
        if repeat % 2 == 1 {
            all.extend(nth.rev());
        } else {
            all.extend(nth);
        }
    }
    all
}

/// A longer value of a variable is shown in an id by its digest.
const LONGEST_VALUE: usize = 16;

/// Eight hexadecimal digits that tell one value from another.
fn digest(value: &str) -> String {
    use sha2::{Digest, Sha256};
    let sum = Sha256::digest(value.as_bytes());
    sum[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A budget's text made fit for a folder's name.
fn slug(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '.' {
                c
            } else {
                '-'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::reference::Reference;

    #[test]
    fn a_missing_binary_skips_only_the_cell_that_needs_it() {
        let binaries = BTreeMap::from([("assay", PathBuf::from("/bin/assay"))]);
        let missing = BTreeMap::from([("etcd", "etcd is not on PATH".to_owned())]);
        let both = [Datastore::Sqlite, Datastore::Etcd];
        let budget = "768Mi/1.5".parse().unwrap();
        let common = Common {
            target: "native",
            distribution: &Reference,
            shape: Shape::ControlPlane,
            env: &[],
            agents: 0,
            budget: &budget,
            faults: false,
        };
        let planned = cells(&common, &both, &binaries, &missing);
        assert_eq!(planned[0].id, "native-reference-sqlite-768Mi-1.5");
        assert_eq!(planned[0].skip, None);
        assert_eq!(planned[1].skip.as_deref(), Some("etcd is not on PATH"));
        let ids = |times| -> Vec<String> {
            let all = repeated(planned.clone(), times);
            all.into_iter().map(|cell| cell.id).collect()
        };
        let lone = "native-reference-sqlite-768Mi-1.5";
        assert_eq!(ids(1)[1..], ids(2)[1..2], "once is what it was");
        assert_eq!(ids(2)[2..], [format!("{lone}-r2")], "no skip is repeated");
        let other = Common {
            shape: Shape::Node,
            env: &[("GOGC".into(), "40".into())],
            ..common
        };
        assert_eq!(
            other.id(Datastore::Etcd),
            "native-reference-etcd-node-768Mi-1.5-GOGC40"
        );
        let harmed = Common {
            faults: true,
            ..common
        };
        assert_eq!(
            harmed.id(Datastore::Etcd),
            "native-reference-etcd-768Mi-1.5-faults"
        );
        let joined = Common { agents: 2, ..other };
        assert_eq!(
            joined.id(Datastore::Etcd),
            "native-reference-etcd-node-agents2-768Mi-1.5-GOGC40"
        );
        let secret = Common {
            env: &[("K3S_TOKEN".into(), "verysecret".into())],
            ..other
        };
        assert!(!secret.id(Datastore::Etcd).contains("verysecret"));
    }

    #[test]
    fn repeats_take_turns_in_mirrored_order() {
        let budget = Budget::edge();
        let cell = |id: &str| PlannedCell {
            id: id.to_owned(),
            repeat: 0,
            faults: false,
            distribution: &Reference,
            datastore: Datastore::Sqlite,
            shape: Shape::ControlPlane,
            env: Vec::new(),
            agents: 0,
            budget: budget.clone(),
            skip: None,
        };
        let all = repeated(vec![cell("a"), cell("b")], 3);
        let ids: Vec<&str> = all.iter().map(|cell| cell.id.as_str()).collect();
        assert_eq!(ids, ["a", "b", "b-r2", "a-r2", "a-r3", "b-r3"]);
        let nth: Vec<u32> = all.iter().map(|cell| cell.repeat).collect();
        assert_eq!(nth, [0, 0, 1, 1, 2, 2]);
    }
}
