//! What keeps the tables honest: nothing vanishes, nothing is misnamed, every official name exists, every check has mutants.

use std::collections::BTreeSet;
use std::path::Path;

use fixtures::official;
use harness::check::Requirement;
use scenarios::conformance::{AREAS, checks};

/// Files of the folder that are no area.
const HELPERS: [&str; 19] = [
    "mod",
    "admitting",
    "cascade",
    "cli",
    "compaction",
    "counted",
    "crud",
    "csr",
    "custom",
    "definitions",
    "explain",
    "kinds",
    "labels",
    "openapiv3",
    "quota_status",
    "status",
    "steps",
    "walk",
    "ways",
];

#[test]
fn every_file_of_an_area_is_in_the_table() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/conformance");
    let mut files = BTreeSet::new();
    for entry in std::fs::read_dir(folder).expect("the folder of areas") {
        let path = entry.expect("an entry").path();
        let stem = path
            .file_stem()
            .and_then(|stem| stem.to_str())
            .unwrap_or_default()
            .to_owned();
        if !HELPERS.contains(&stem.as_str()) {
            files.insert(stem);
        }
    }
    let areas = AREAS
        .iter()
        .map(|area| area.name.to_owned())
        .collect::<BTreeSet<_>>();
    assert_eq!(files, areas);
    assert_eq!(AREAS.len(), areas.len(), "an area appears twice");
    assert!(
        AREAS.iter().all(|area| !area.checks.is_empty()),
        "an area without checks"
    );
}

#[test]
fn ids_are_unique_and_well_formed() {
    let mut seen = BTreeSet::new();
    for area in AREAS {
        for check in area.checks {
            let (own, what) = check.id.split_once('/').unwrap_or_default();
            assert_eq!(own, area.name, "{}", check.id);
            let kebab = what.split('-').all(|word| {
                !word.is_empty()
                    && word
                        .bytes()
                        .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
            });
            assert!(
                kebab && what.contains('-'),
                "{}: not area/what-is-true",
                check.id
            );
            assert!(seen.insert(check.id), "{} appears twice", check.id);
            assert!(
                check.title.ends_with('.') && check.title.len() > 20,
                "{}: the title is no sentence",
                check.id
            );
        }
    }
}

#[test]
fn official_names_exist_and_are_bound_once() {
    let mut bound = BTreeSet::new();
    for check in checks() {
        for name in check.names() {
            let known = official::find(name)
                .unwrap_or_else(|| panic!("{}: no official test is called {name}", check.id));
            assert!(
                known.now.is_empty(),
                "{}: {name} is now called {:?}",
                check.id,
                known.now
            );
            assert!(bound.insert(name), "{name} is restated twice");
        }
    }
    assert!(
        bound.len() >= 30,
        "only {} official tests are restated",
        bound.len()
    );
}

/// A check that asks for a newer version than its official test does would never be made where it is required.
#[test]
fn no_check_asks_for_a_newer_version_than_its_official_test() {
    for check in checks() {
        let first = check
            .names()
            .filter_map(|name| official::minors(name).first().copied());
        let since = check
            .requires
            .iter()
            .filter_map(|requirement| match requirement {
                Requirement::Since(minor) => Some(*minor),
                _ => None,
            });
        if let (Some(first), Some(since)) = (first.min(), since.max()) {
            assert!(
                since <= first,
                "{}: since 1.{since}, official in 1.{first}",
                check.id
            );
        }
    }
}

#[test]
fn every_check_declares_what_it_kills() {
    let all = harness::api::mutant::all();
    for check in checks() {
        assert!(!check.kills.is_empty(), "{} declares no mutant", check.id);
        for (position, mutant) in check.kills.iter().enumerate() {
            assert!(
                all.contains(mutant),
                "{}: {} is not in the table of mutants",
                check.id,
                mutant.name
            );
            assert!(
                !check.kills[..position].contains(mutant),
                "{}: {} twice",
                check.id,
                mutant.name
            );
        }
    }
    for mutant in &all {
        assert!(
            checks().iter().any(|check| check.kills.contains(mutant)),
            "no check kills {}",
            mutant.name
        );
    }
}

#[test]
fn serial_and_slow_checks_say_why() {
    for check in checks() {
        for why in [check.serial, check.slow].into_iter().flatten() {
            assert!(why.len() > 10, "{}", check.id);
        }
    }
}

/// The matrices in the documentation are what `assay mutants` wrote last. They must be of these checks: a check that is not
/// in one that has its area, or that kills others than it says, wants it made anew. Each check is proven in one of them.
#[test]
fn the_documented_matrices_prove_these_checks() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mutants");
    let mut unproven: BTreeSet<&str> = checks().iter().map(|check| check.id).collect();
    for file in std::fs::read_dir(folder).expect("the folder") {
        let file = file.expect("a file").path();
        let text = std::fs::read_to_string(&file).expect("the matrix");
        for row in text.lines().filter(|line| line.starts_with("| `")) {
            let mut cells = row.trim_matches('|').split(" | ").map(str::trim);
            let id = cells.next().unwrap_or_default().trim_matches('`');
            let check = checks().into_iter().find(|check| check.id == id);
            let check = check.unwrap_or_else(|| panic!("{id} in {} is no more", file.display()));
            match cells.next() {
                Some("proven") => {
                    let kills: Vec<_> = check.kills.iter().map(|mutant| mutant.name).collect();
                    let said = cells.next();
                    assert_eq!(
                        said,
                        Some(kills.join(", ").as_str()),
                        "{id} in {}",
                        file.display()
                    );
                    unproven.remove(check.id);
                }
                verdict => assert_eq!(verdict, Some("skipped"), "{id} in {}", file.display()),
            }
        }
    }
    for (id, _) in NEVER_SERVED {
        assert!(unproven.remove(id), "{id} is proven: take it off the list");
    }
    assert_eq!(
        unproven,
        BTreeSet::new(),
        "make the matrices anew with `assay mutants`"
    );
}

const NEWER: &str = "an API in v1 since v1.37, which v1.36 has in beta";

/// Checks that none of those servers serves, and what they want.
const NEVER_SERVED: &[(&str, &str)] = &[
    ("nodes/two-take-pods", "two nodes with kubelets"),
    ("certificates/trust-bundle-serves-every-verb", NEWER),
    ("certificates/pod-request-serves-every-verb", NEWER),
    ("certificates/too-long-a-life-is-refused", NEWER),
    ("certificates/too-short-a-life-is-refused", NEWER),
    ("dra/device-taint-rule-serves-every-verb", NEWER),
    ("migration/serves-every-verb", NEWER),
];
