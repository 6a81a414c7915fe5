//! Known bugs of the specimen, asked for with `--server-env ASSAY_SPECIMEN_BUG=NAME`: by that way alone, so that the
//! cell's name and the record's list of variables always tell it.

use fixtures::etcd::shim::Bug;
use reports::known_bug::KNOWN_BUG;

use super::CommandError;
use crate::distribution::Distribution;
use crate::plan::PlannedCell;

/// The bug that was asked for.
pub(super) fn asked(
    env: &[(String, String)],
    distribution: &dyn Distribution,
) -> Result<Option<Bug>, CommandError> {
    let mut found = None;
    for (_, value) in env.iter().filter(|(name, _)| name == KNOWN_BUG) {
        if !distribution.is_specimen() {
            return Err(CommandError::Usage(format!(
                "{KNOWN_BUG} breaks the specimen on purpose, and {} is none; give --distribution reference",
                distribution.name()
            )));
        }
        if found.is_some() {
            return Err(CommandError::Usage(format!(
                "{KNOWN_BUG} is given twice; a specimen has one bug at a time"
            )));
        }
        found = Some(Bug::named(value).map_err(CommandError::Usage)?);
    }
    Ok(found)
}

/// Says in the run's warnings that the specimen is broken, and skips the cells that cannot have the bug.
pub(super) fn tell(bug: Bug, warnings: &mut Vec<String>, cells: &mut [PlannedCell]) {
    let name = bug.name();
    warnings.push(format!(
        "KNOWN BUG: the specimen has the bug {name} ({KNOWN_BUG}), so that something can be shown to find it; a run that \
         passes has not found it"
    ));
    for cell in cells.iter_mut() {
        if !cell.datastore.is_sqlite() && cell.skip.is_none() {
            cell.skip = Some(format!(
                "the bug {name} is one of the specimen's SQLite; there is none in {}",
                cell.datastore
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::{k3s::K3s, reference::Reference};

    fn env(value: &str) -> Vec<(String, String)> {
        vec![
            ("GOGC".into(), "40".into()),
            (KNOWN_BUG.into(), value.into()),
        ]
    }

    #[test]
    fn only_the_specimen_is_broken_and_only_by_a_name_that_there_is() {
        for bug in Bug::ALL {
            let asked = asked(&env(bug.name()), &Reference).unwrap();
            assert_eq!(asked, Some(*bug));
        }
        assert!(asked(&[], &K3s).unwrap().is_none());
        for (value, distribution) in [
            ("stale-list", &K3s as &dyn Distribution),
            ("stale", &Reference),
        ] {
            assert!(matches!(
                asked(&env(value), distribution),
                Err(CommandError::Usage(_))
            ));
        }
        let twice = [env("stale-list"), env("stale-list")].concat();
        assert!(asked(&twice, &Reference).is_err());
    }
}
