//! Mutation by judge: who finds what.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use reports::judge::JUDGES;

use super::found;
use super::mutations::{Mutation, all};

/// So many histories get each mutation.
const HISTORIES: usize = 40;

/// How often each judge found a mutation, and what went wrong with that.
fn meet(mutation: &Mutation, wrong: &mut Vec<String>) -> BTreeMap<String, usize> {
    let mut met = BTreeMap::new();
    let name = mutation.name;
    let histories = (0..10_000).filter_map(|seed| Some((seed, mutation.made(seed)?)));
    let mut put_in = 0;
    for (seed, history) in histories.take(HISTORIES) {
        put_in += 1;
        let found = found(&history);
        for finding in &found {
            if finding.judge != mutation.judge {
                wrong.push(format!(
                    "{name}: a false alarm in history {seed}: {finding:#?}"
                ));
            }
            *met.entry(finding.judge.clone()).or_default() += 1;
        }
        if !found.iter().any(|finding| finding.judge == mutation.judge) {
            wrong.push(format!("{name} survives in history {seed}"));
        }
    }
    if put_in != HISTORIES {
        wrong.push(format!("{name} has a place in {put_in} histories only"));
    }
    met
}

#[test]
fn each_mutation_is_found_by_its_judge_and_by_no_other() {
    let mut text = format!(
        "# Judges and the defects that they find\n\n\
         Each defect was put into {HISTORIES} good histories of a model: several clients, answers that never came, watches, \
         lists, a restart. The table says in how many of them each judge found something. The test that made it fails when \
         a defect is not found each time, or by another judge than its own.\n\n| judge | promise |\n|---|---|\n"
    );
    for judge in JUDGES {
        let _ = writeln!(text, "| `{}` | {} |", judge.name, judge.promise);
    }
    text.push_str("\n| defect |");
    for judge in JUDGES {
        let _ = write!(text, " {} |", judge.name);
    }
    text.push_str("\n|---|");
    text.push_str(&"---|".repeat(JUDGES.len()));
    text.push('\n');
    let mut wrong = Vec::new();
    for mutation in all() {
        let met = meet(mutation, &mut wrong);
        let _ = write!(text, "| `{}`: {} |", mutation.name, mutation.defect);
        for judge in JUDGES {
            match met.get(judge.name) {
                Some(times) => {
                    let _ = write!(text, " **{times}** |");
                }
                None => text.push_str(" |"),
            }
        }
        text.push('\n');
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/judges.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &text).expect("the table is written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        committed, text,
        "make docs/judges.md anew with UPDATE_DOCS=1"
    );
}

#[test]
fn every_judge_has_a_mutation_that_it_finds() {
    for judge in JUDGES {
        let found = all().iter().any(|mutation| mutation.judge == judge.name);
        assert!(found, "{} was never seen red", judge.name);
    }
}
