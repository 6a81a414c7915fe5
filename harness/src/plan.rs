//! The plan: the chosen suites crossed with the cells that this host can run. Every skip has its reason here.

use std::collections::BTreeMap;
use std::path::PathBuf;

use reports::budget::Budget;

use crate::distribution::{Datastore, Distribution};

/// A cell that will run.
#[derive(Clone)]
pub struct PlannedCell {
    /// Its id, unique within the run.
    pub id: String,
    /// What is under test.
    pub distribution: &'static dyn Distribution,
    /// What backs it.
    pub datastore: Datastore,
    /// What it may use.
    pub budget: Budget,
    /// Why it cannot run; then it is skipped with this reason.
    pub skip: Option<String>,
}

/// Crosses a distribution's datastores with a budget.
///
/// `binaries` are the ones that could be resolved; `missing` says of the others why not.
#[must_use]
pub fn cells(
    target: &str,
    distribution: &'static dyn Distribution,
    datastores: &[Datastore],
    budget: &Budget,
    binaries: &BTreeMap<&'static str, PathBuf>,
    missing: &BTreeMap<&'static str, String>,
) -> Vec<PlannedCell> {
    datastores
        .iter()
        .map(|&datastore| {
            let skip = distribution
                .artifacts()
                .iter()
                .filter(|need| need.only_for.is_none_or(|only| only == datastore))
                .find(|need| !binaries.contains_key(need.name))
                .map(|need| {
                    missing
                        .get(need.name)
                        .cloned()
                        .unwrap_or_else(|| format!("{} was not found", need.name))
                });
            PlannedCell {
                id: format!(
                    "{target}-{}-{datastore}-{}",
                    distribution.name(),
                    slug(&budget.name)
                ),
                distribution,
                datastore,
                budget: budget.clone(),
                skip,
            }
        })
        .collect()
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
        let cells = cells(
            "native",
            &Reference,
            &both,
            &"768Mi/1.5".parse().unwrap(),
            &binaries,
            &missing,
        );
        assert_eq!(cells[0].id, "native-reference-sqlite-768Mi-1.5");
        assert_eq!(cells[0].skip, None);
        assert_eq!(cells[1].skip.as_deref(), Some("etcd is not on PATH"));
    }
}
